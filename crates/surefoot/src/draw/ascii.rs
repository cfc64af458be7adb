//! Pictures for terminals: boxes and lines of box-drawing characters. What is too wide or too
//! large for that becomes a listing.

use std::collections::{BTreeMap, BTreeSet};

use surefoot_core::run::TaskStatus;

use super::canvas::Canvas;
use super::channel;
use super::diagram::{Diagram, Level, Vertex};
use super::listing;
use super::place::{Layout, Size, Spacing, layout};
use super::{Statuses, sign};

/// Narrower terminals get the drawing for this width.
pub const WIDTH_MIN: usize = 40;
/// Larger diagrams are listed: nobody reads two hundred boxes.
const BOXES_MAX: usize = 200;
/// Characters of a box's second line.
const DETAIL_LEN_MAX: usize = 32;
const SPACING: Spacing = Spacing { beside: 3.0, between: 0.0, bend: 1.0 };

/// Draws a diagram in at most `width` columns.
pub fn ascii(diagram: &Diagram, statuses: &Statuses, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let is_large = diagram.len() > BOXES_MAX;
    let mut out = String::new();
    for (name, level) in &diagram.sections {
        if !name.is_empty() {
            out.push_str(&format!("\n{name}:\n"));
        }
        let drawn = (!is_large).then(|| draw(level, statuses)).filter(|it| it.width() <= width);
        match drawn {
            Some(canvas) => out.push_str(&canvas.print()),
            None => out.push_str(&listing::waves(level, statuses, width)),
        }
    }
    for clash in &diagram.clashes {
        let (a, b) = &clash.between;
        let line = format!("✗ {a} and {b}: {} {}", clash.code, clash.message);
        out.push_str(&(listing::cut(&line, width) + "\n"));
    }
    out
}

fn draw(level: &Level, statuses: &Statuses) -> Canvas {
    if level.is_machine {
        return Canvas::of_lines(&listing::states(level, statuses));
    }
    let boxes: Vec<Canvas> = level.vertices.iter().map(|it| boxed(it, statuses)).collect();
    let size = |it: &Canvas| Size { width: it.width() as f64, height: it.height() as f64 };
    let sizes: Vec<Size> = boxes.iter().map(size).collect();
    let plan = layout(&sizes, &level.pairs(), SPACING);
    Sheet { boxes: &boxes, plan: &plan }.draw()
}

fn boxed(vertex: &Vertex, statuses: &Statuses) -> Canvas {
    let mut lines = vec![labelled(vertex, statuses.get(&vertex.path).copied())];
    if !vertex.detail.is_empty() {
        lines.push(listing::cut(&vertex.detail, DETAIL_LEN_MAX));
    }
    let inner = vertex.inner.as_ref().map(|it| draw(it, statuses));
    let text = Canvas::of_lines(&lines);
    let inner_size = inner.as_ref().map_or((0, 0), |it| (it.width(), it.height()));
    let mut sheet =
        Canvas::new(text.width().max(inner_size.0) + 4, text.height() + inner_size.1 + 2);
    sheet.frame(0, 0, sheet.width(), sheet.height());
    sheet.paste(2, 1, &text);
    if let Some(inner) = inner {
        sheet.paste(2, 1 + text.height(), &inner);
    }
    sheet
}

fn labelled(vertex: &Vertex, status: Option<TaskStatus>) -> String {
    match status {
        Some(status) => format!("{} {}", sign(status), vertex.label),
        None => vertex.label.clone() + &vertex.mark.note(),
    }
}

/// One graph on its sheet.
struct Sheet<'a> {
    boxes: &'a [Canvas],
    plan: &'a Layout,
}

impl Sheet<'_> {
    fn draw(&self) -> Canvas {
        let layers = &self.plan.layered.layers;
        let channels: Vec<_> =
            (0..layers.len()).map(|it| channel::route(&self.pieces(it))).collect();
        let mut tops = vec![0];
        for (layer, (nets, rows)) in layers.iter().zip(&channels) {
            let gap = if nets.is_empty() { 0 } else { rows + 1 };
            tops.push(tops[tops.len() - 1] + self.height(layer) + gap);
        }
        let right = |it: u32| self.left(it) + self.width(it);
        let width = layers.iter().flatten().map(|it| right(*it)).max().unwrap_or(0);
        let mut sheet = Canvas::new(width, tops[layers.len()]);
        for (at, layer) in layers.iter().enumerate() {
            for point in layer {
                match self.boxes.get(*point as usize) {
                    Some(drawn) => sheet.paste(self.left(*point), tops[at], drawn),
                    None => sheet.vertical(
                        self.port(*point),
                        tops[at],
                        tops[at] + self.height(layer).saturating_sub(1),
                    ),
                }
            }
        }
        for (at, layer) in layers.iter().enumerate() {
            self.connect(
                &mut sheet,
                at,
                tops[at] + self.height(layer),
                tops[at + 1],
                &channels[at].0,
            );
        }
        sheet
    }

    /// Draws what leads from a layer to the next, in the rows `top..bottom`.
    fn connect(
        &self,
        sheet: &mut Canvas,
        layer: usize,
        top: usize,
        bottom: usize,
        nets: &[channel::Net],
    ) {
        let layers = &self.plan.layered.layers;
        let layer_top = top - self.height(&layers[layer]);
        // A box lower than its layer leaves a gap above the channel.
        let ends: BTreeMap<usize, usize> = layers[layer]
            .iter()
            .map(|it| {
                (
                    self.port(*it),
                    self.boxes.get(*it as usize).map_or(top, |it| layer_top + it.height()),
                )
            })
            .collect();
        for net in nets {
            let turn = top + net.row.unwrap_or(0);
            sheet.horizontal(turn, net.left(), net.right());
            for from in &net.from {
                sheet.vertical(*from, ends.get(from).map_or(top, |it| *it) - 1, turn);
            }
            for to in &net.to {
                sheet.vertical(*to, turn, bottom);
            }
        }
        let reached: BTreeSet<usize> = nets.iter().flat_map(|it| it.to.iter().copied()).collect();
        let next = layers.get(layer + 1).into_iter().flatten();
        for point in next.filter(|it| reached.contains(&self.port(**it))) {
            if let Some(drawn) = self.boxes.get(*point as usize) {
                sheet.text(self.port(*point), bottom - 1, "▼");
                // The line ended in the frame; the arrow stands above it.
                sheet.paste(self.left(*point), bottom, drawn);
            }
        }
    }

    /// The pieces of arrows that lead from a layer to the next one.
    fn pieces(&self, layer: usize) -> Vec<(usize, usize)> {
        let layered = &self.plan.layered;
        let pairs = layered.chains.iter().flat_map(|it| it.points.windows(2));
        let here = pairs.filter(|it| {
            layered.layer[it[0] as usize] as usize == layer
                && layered.layer[it[1] as usize] as usize == layer + 1
        });
        here.map(|it| (self.port(it[0]), self.port(it[1]))).collect()
    }

    fn width(&self, point: u32) -> usize {
        self.boxes.get(point as usize).map_or(1, Canvas::width)
    }

    fn height(&self, layer: &[u32]) -> usize {
        let boxes = layer.iter().filter_map(|it| self.boxes.get(*it as usize));
        boxes.map(Canvas::height).max().unwrap_or(1)
    }

    fn left(&self, point: u32) -> usize {
        (self.plan.centres[point as usize] - self.width(point) as f64 / 2.0).round() as usize
    }

    /// The column in which arrows come and go.
    fn port(&self, point: u32) -> usize {
        self.left(point) + self.width(point) / 2
    }
}
