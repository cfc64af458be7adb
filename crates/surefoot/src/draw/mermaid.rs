//! Mermaid: pictures in READMEs and merge requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use surefoot_core::run::TaskStatus;

use super::Statuses;
use super::diagram::{Diagram, Level, Shape, Vertex};
use super::marks::Mark;
use super::svg::WRONG;

/// Writes a flowchart for graphs, a state diagram if the whole plan is one flat machine.
pub fn mermaid(diagram: &Diagram, statuses: &Statuses) -> String {
    let mut writer =
        Writer { out: String::new(), statuses, ids: 0, links: 0, marked: BTreeMap::new() };
    let body = diagram.sections.first().map(|(_, level)| level);
    match body {
        Some(level) if level.is_machine && diagram.sections.len() == 1 && is_flat(level) => {
            // Only one state is entered at a time, so there are no clashes to draw.
            writer.states(level);
        }
        _ => {
            writer.out.push_str("flowchart TD\n");
            for (name, level) in &diagram.sections {
                writer.section(name, level);
            }
            writer.clashes(diagram);
            writer.classes();
        }
    }
    writer.marks();
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
    /// Arrows so far: styles name them by number.
    links: usize,
    /// The boxes of paths that are marked, and what with.
    marked: BTreeMap<String, (String, Mark)>,
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
            self.note(vertex, format!("n{id}"));
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
            self.links += 1;
        }
    }

    fn note(&mut self, vertex: &Vertex, id: String) {
        if vertex.mark != Mark::default() {
            self.marked.insert(vertex.path.clone(), (id, vertex.mark.clone()));
        }
    }

    fn clashes(&mut self, diagram: &Diagram) {
        for clash in &diagram.clashes {
            let id = |path: &str| self.marked.get(path).map(|it| &it.0);
            let (Some(a), Some(b)) = (id(&clash.between.0), id(&clash.between.1)) else { continue };
            let _ = writeln!(self.out, "  {a} -.-|\"{}\"| {b}", clash.code);
            let _ = writeln!(self.out, "  linkStyle {} stroke:{WRONG},color:{WRONG}", self.links);
            self.links += 1;
        }
    }

    fn marks(&mut self) {
        let of = |wanted: fn(&Mark) -> bool| -> Vec<&str> {
            let all = self.marked.values().filter(|it| wanted(&it.1));
            all.map(|it| it.0.as_str()).collect()
        };
        let dead = of(|it| it.is_dead);
        let wrong = of(|it| !it.is_dead && !it.codes.is_empty());
        let styles = [
            ("dead", dead, "stroke-dasharray:5 4".to_owned()),
            ("wrong", wrong, format!("stroke:{WRONG},stroke-width:2px")),
        ];
        for (class, ids, style) in styles.iter().filter(|it| !it.1.is_empty()) {
            let _ = writeln!(self.out, "  classDef {class} {style}");
            let _ = writeln!(self.out, "  class {} {class}", ids.join(","));
        }
    }

    fn states(&mut self, level: &Level) {
        self.out.push_str("stateDiagram-v2\n");
        for (at, vertex) in level.vertices.iter().enumerate() {
            self.note(vertex, format!("s{at}"));
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
    let label = escaped(&vertex.label) + &vertex.mark.note();
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
