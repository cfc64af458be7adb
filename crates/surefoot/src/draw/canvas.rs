//! A sheet of characters on which lines join by themselves.

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// The sign for each set of directions that meet in a cell.
const LINES: [char; 16] =
    [' ', '│', '│', '│', '─', '┘', '┐', '┤', '─', '└', '┌', '├', '─', '┴', '┬', '┼'];

#[derive(Clone, Copy)]
enum Cell {
    Line(u8),
    Text(char),
}

pub struct Canvas {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, rows: vec![vec![Cell::Line(0); width]; height] }
    }

    /// Makes a sheet that holds the lines of a text.
    pub fn of_lines(lines: &[String]) -> Canvas {
        let width = lines.iter().map(|it| it.chars().count()).max().unwrap_or(0);
        let mut canvas = Canvas::new(width, lines.len());
        for (y, line) in lines.iter().enumerate() {
            canvas.text(0, y, line);
        }
        canvas
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// Writes a text; what does not fit is left out.
    pub fn text(&mut self, x: usize, y: usize, text: &str) {
        for (at, letter) in text.chars().enumerate() {
            if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x + at)) {
                *cell = Cell::Text(letter);
            }
        }
    }

    pub fn horizontal(&mut self, y: usize, from: usize, to: usize) {
        let (left, right) = (from.min(to), from.max(to));
        for x in left..right {
            self.join(x, y, RIGHT);
            self.join(x + 1, y, LEFT);
        }
    }

    pub fn vertical(&mut self, x: usize, top: usize, bottom: usize) {
        for y in top..bottom {
            self.join(x, y, DOWN);
            self.join(x, y + 1, UP);
        }
    }

    pub fn frame(&mut self, x: usize, y: usize, width: usize, height: usize) {
        let (right, bottom) = (x + width - 1, y + height - 1);
        self.horizontal(y, x, right);
        self.horizontal(bottom, x, right);
        self.vertical(x, y, bottom);
        self.vertical(right, y, bottom);
    }

    /// Copies a sheet onto this one.
    pub fn paste(&mut self, x: usize, y: usize, other: &Canvas) {
        for (dy, row) in other.rows.iter().enumerate() {
            for (dx, cell) in row.iter().enumerate() {
                if let Some(slot) = self.rows.get_mut(y + dy).and_then(|it| it.get_mut(x + dx)) {
                    *slot = *cell;
                }
            }
        }
    }

    fn join(&mut self, x: usize, y: usize, direction: u8) {
        if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) {
            *cell = match *cell {
                Cell::Line(there) => Cell::Line(there | direction),
                Cell::Text(letter) => Cell::Text(letter),
            };
        }
    }

    /// Returns the text, without blanks at the ends of lines.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let line: String = row
                .iter()
                .map(|cell| match cell {
                    Cell::Line(directions) => LINES[*directions as usize],
                    Cell::Text(letter) => *letter,
                })
                .collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}
