//! Tables without frames, for people.

use anstyle::Style;
use comfy_table::{Table as Grid, presets};

use super::harmless::is_harmful;
use super::style::{HEADING, paint};

/// Rows of cells; the first cell is a status word that may have a colour.
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<(Style, Vec<String>)>,
}

impl Table {
    pub fn new(header: &[&'static str]) -> Table {
        Table { header: header.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, style: Style, cells: Vec<String>) {
        self.rows.push((style, cells));
    }

    /// Writes the table; what is too long for `width` columns is cut, if it may be.
    pub fn print(&self, width: Option<usize>) -> String {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        grid.set_header(self.header.iter().copied());
        for (_, cells) in &self.rows {
            grid.add_row(cells.iter().map(|it| one_line(it)));
        }
        for at in 0..self.header.len() {
            if let Some(column) = grid.column_mut(at) {
                column.set_padding((0, 2));
            }
        }
        let mut out = String::new();
        for (at, line) in grid.lines().enumerate() {
            let line = line.trim_end();
            let line = width.map_or_else(|| line.to_owned(), |it| cut(line, it));
            let styled = match at.checked_sub(1).and_then(|it| self.rows.get(it)) {
                None => paint(HEADING, &line),
                Some((style, cells)) => {
                    let word = cells.first().map_or("", String::as_str);
                    match line.strip_prefix(word) {
                        Some(rest) => paint(*style, word) + rest,
                        None => line,
                    }
                }
            };
            out.push_str(&styled);
            out.push('\n');
        }
        out
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|it| if is_harmful(it) || it == '\t' { ' ' } else { it }).collect()
}

/// Cuts a text to so many characters.
pub fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Draws how much is done, such as `▓▓▓░░ 3/5`.
pub fn bar(done: u32, total: u32, width: u32) -> String {
    let full = if total == 0 { 0 } else { u64::from(done) * u64::from(width) / u64::from(total) };
    let full = full.min(u64::from(width)) as usize;
    let rest = width as usize - full;
    format!("{}{} {done}/{total}", "▓".repeat(full), "░".repeat(rest))
}
