//! Mermaid: pictures in READMEs and merge requests.

use std::fmt::Write as _;

use surefoot_core::run::TaskStatus;

use super::Statuses;
use super::diagram::{Diagram, Level, Shape, Vertex};

/// Writes a flowchart for graphs, a state diagram if the whole plan is one flat machine.
pub fn mermaid(diagram: &Diagram, statuses: &Statuses) -> String {
    let mut writer = Writer { out: String::new(), statuses, ids: 0 };
    let body = diagram.sections.first().map(|(_, level)| level);
    match body {
        Some(level) if level.is_machine && diagram.sections.len() == 1 && is_flat(level) => {
            writer.states(level);
        }
        _ => {
            writer.out.push_str("flowchart TD\n");
            for (name, level) in &diagram.sections {
                writer.section(name, level);
            }
            writer.classes();
        }
    }
    writer.out
}

fn is_flat(level: &Level) -> bool {
    level.vertices.iter().all(|it| it.inner.is_none())
}

struct Writer<'a> {
    out: String,
    statuses: &'a Statuses,
    /// Boxes so far: each gets a number, for Mermaid reserves words such as `end`.
    ids: usize,
}

impl Writer<'_> {
    fn section(&mut self, name: &str, level: &Level) {
        if name.is_empty() {
            self.level(level, 1);
        } else {
            let id = self.next();
            let _ = writeln!(self.out, "  subgraph n{id} [\"{name}\"]");
            self.level(level, 2);
            self.out.push_str("  end\n");
        }
    }

    fn next(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    fn level(&mut self, level: &Level, depth: usize) {
        let indent = "  ".repeat(depth);
        let mut ids = Vec::with_capacity(level.vertices.len());
        for vertex in &level.vertices {
            let id = self.next();
            ids.push(id);
            match &vertex.inner {
                Some(inner) => {
                    let _ = writeln!(self.out, "{indent}subgraph n{id} [\"{}\"]", text(vertex));
                    self.level(inner, depth + 1);
                    let _ = writeln!(self.out, "{indent}end");
                }
                None => {
                    let (open, close) = brackets(vertex.shape);
                    let status = self.statuses.get(&vertex.path);
                    let class = status.map_or_else(String::new, |it| format!(":::{it}"));
                    let _ =
                        writeln!(self.out, "{indent}n{id}{open}\"{}\"{close}{class}", text(vertex));
                }
            }
        }
        for edge in &level.edges {
            let (from, to) = (ids[edge.from as usize], ids[edge.to as usize]);
            let label = if edge.label.is_empty() {
                String::new()
            } else {
                format!("|\"{}\"|", escaped(&edge.label))
            };
            let _ = writeln!(self.out, "{indent}n{from} -->{label} n{to}");
        }
    }

    fn states(&mut self, level: &Level) {
        self.out.push_str("stateDiagram-v2\n");
        for (at, vertex) in level.vertices.iter().enumerate() {
            let _ = writeln!(self.out, "  state \"{}\" as s{at}", text(vertex));
            if vertex.shape == Shape::InitialState {
                let _ = writeln!(self.out, "  [*] --> s{at}");
            }
            if vertex.shape == Shape::FinalState {
                let _ = writeln!(self.out, "  s{at} --> [*]");
            }
        }
        for edge in &level.edges {
            let label = if edge.label.is_empty() {
                String::new()
            } else {
                format!(" : {}", plain(&edge.label))
            };
            let _ = writeln!(self.out, "  s{} --> s{}{label}", edge.from, edge.to);
        }
    }

    fn classes(&mut self) {
        let mut used: Vec<TaskStatus> = self.statuses.values().copied().collect();
        used.sort_unstable();
        used.dedup();
        for status in used {
            let (fill, line) = super::svg::colours(status);
            let _ =
                writeln!(self.out, "  classDef {status} fill:{fill},stroke:{line},color:#1a1a1a");
        }
    }
}

fn brackets(shape: Shape) -> (&'static str, &'static str) {
    match shape {
        Shape::Task => ("[", "]"),
        Shape::Human => ("{{", "}}"),
        Shape::State => ("(", ")"),
        Shape::InitialState => ("([", "])"),
        Shape::FinalState => ("(((", ")))"),
    }
}

fn text(vertex: &Vertex) -> String {
    let label = escaped(&vertex.label);
    if vertex.detail.is_empty() {
        return label;
    }
    format!("{label}<br/>{}", escaped(&vertex.detail))
}

/// Writes what Mermaid would read as markup as numbered entities.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '<' | '>' | '#' | '&' | '|' | '`' | ';' => {
                let _ = write!(out, "#{};", letter as u32);
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

/// Labels of state diagrams know no quotes, and end at a colon or semicolon.
fn plain(text: &str) -> String {
    escaped(text).replace(':', "#58;")
}
