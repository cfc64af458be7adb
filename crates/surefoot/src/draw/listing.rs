//! Texts for what has no room as a picture: the waves of a graph, the states of a machine.

use super::diagram::{Level, Shape, Vertex};
use super::layers::layered;
use super::{Statuses, sign};

/// A wave of more tasks than this is a count and the first names.
const WAVE_MAX: usize = 6;

/// Lists a graph in waves: what can run side by side, and after what.
pub fn waves(level: &Level, statuses: &Statuses, width: usize) -> String {
    if level.is_machine {
        return states(level, statuses).iter().map(|it| cut(it, width) + "\n").collect();
    }
    let layered = layered(level.vertices.len(), &level.pairs());
    let is_vertex = |it: &&u32| (**it as usize) < level.vertices.len();
    let digits = layered.layers.len().to_string().len();
    let mut out = String::new();
    for (at, layer) in layered.layers.iter().enumerate() {
        let vertices: Vec<&u32> = layer.iter().filter(is_vertex).collect();
        let head = format!("{:>digits$}  ", at + 1);
        let lines = match vertices.len() {
            0 => continue,
            1..=WAVE_MAX => vertices.iter().map(|it| one(level, **it, statuses)).collect(),
            _ => vec![many(level, &vertices, statuses, width.saturating_sub(head.len()))],
        };
        for (row, line) in lines.iter().enumerate() {
            let start = if row == 0 { head.clone() } else { " ".repeat(head.len()) };
            out.push_str(cut(&format!("{start}{line}"), width).trim_end());
            out.push('\n');
        }
    }
    out
}

fn one(level: &Level, at: u32, statuses: &Statuses) -> String {
    let vertex = &level.vertices[at as usize];
    let needs: Vec<&str> = level
        .edges
        .iter()
        .filter(|it| it.to == at)
        .take(WAVE_MAX)
        .map(|it| level.vertices[it.from as usize].label.as_str())
        .collect();
    let inner = vertex.inner.as_ref().map(|it| format!("{} inside", it.len()));
    let after = (!needs.is_empty()).then(|| format!("after {}", needs.join(", ")));
    let detail = (!vertex.detail.is_empty()).then(|| vertex.detail.clone());
    let notes: Vec<String> = [detail, inner, after].into_iter().flatten().collect();
    format!("{:<24}  {}", name(vertex, statuses), notes.join("  "))
}

/// As many names as fit, and the number of the others.
fn many(level: &Level, all: &[&u32], statuses: &Statuses, width: usize) -> String {
    let mut line = format!("{} tasks: ", all.len());
    for (at, vertex) in all.iter().enumerate() {
        let name = name(&level.vertices[**vertex as usize], statuses);
        let rest = format!(" and {} more", all.len() - at);
        if line.chars().count() + name.chars().count() + rest.len() + 2 > width {
            line.truncate(line.trim_end_matches(", ").len());
            return line + &rest;
        }
        line.push_str(&name);
        line.push_str(if at + 1 < all.len() { ", " } else { "" });
    }
    line
}

/// Lists the states of a machine, each with the ways that lead out of it.
pub fn states(level: &Level, statuses: &Statuses) -> Vec<String> {
    let labels = level.edges.iter().map(|it| it.label.chars().count());
    let widest = labels.max().unwrap_or(0);
    let mut lines = Vec::new();
    for (at, vertex) in level.vertices.iter().enumerate() {
        let mark = match vertex.shape {
            Shape::InitialState => '●',
            Shape::FinalState => '◉',
            Shape::State | Shape::Task | Shape::Human => '○',
        };
        let inner = vertex.inner.as_ref().map(|it| format!("{} inside", it.len()));
        let notes: Vec<String> = [Some(vertex.detail.clone()).filter(|it| !it.is_empty()), inner]
            .into_iter()
            .flatten()
            .collect();
        let note =
            if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        lines.push(format!("{mark} {}{note}", name(vertex, statuses)));
        let ways: Vec<_> = level.edges.iter().filter(|it| it.from as usize == at).collect();
        for (place, way) in ways.iter().enumerate() {
            let corner = if place + 1 == ways.len() { '└' } else { '├' };
            let to = &level.vertices[way.to as usize].label;
            let pad = "─".repeat(widest - way.label.chars().count());
            let gap = if way.label.is_empty() { "─" } else { " " };
            lines.push(format!("{corner}─ {}{gap}{pad}─▶ {to}", way.label));
        }
    }
    lines
}

fn name(vertex: &Vertex, statuses: &Statuses) -> String {
    match statuses.get(&vertex.path) {
        Some(status) => format!("{} {} {status}", sign(*status), vertex.label),
        None => vertex.label.clone() + &vertex.mark.note(),
    }
}

/// Cuts a text to so many characters.
pub fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}
