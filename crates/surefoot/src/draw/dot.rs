//! DOT, for Graphviz.

use std::fmt::Write as _;

use super::Statuses;
use super::diagram::{Diagram, Edge, Level, Shape, Vertex};
use super::marks::Mark;
use super::svg::WRONG;

pub fn dot(diagram: &Diagram, statuses: &Statuses) -> String {
    let mut out = format!(
        "digraph {} {{\n  compound=true; rankdir=TB;\n  \
         node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];\n  \
         edge [fontname=\"sans-serif\", fontsize=10];\n",
        quoted(&diagram.title)
    );
    for (name, level) in &diagram.sections {
        if name.is_empty() {
            write_level(&mut out, level, statuses, 1, "");
        } else {
            let _ = writeln!(
                out,
                "  subgraph {} {{\n    label={};",
                quoted(&format!("cluster_{name}")),
                quoted(name)
            );
            write_level(&mut out, level, statuses, 2, name);
            out.push_str("  }\n");
        }
    }
    for (clash, a, b) in diagram.clashing() {
        let (a, b, code) = (quoted(anchor(a)), quoted(anchor(b)), quoted(clash.code));
        let _ = writeln!(
            out,
            "  {a} -> {b} [dir=none, constraint=false, style=dashed, color=\"{WRONG}\", fontcolor=\"{WRONG}\", label={code}];"
        );
    }
    out.push_str("}\n");
    out
}

fn write_level(out: &mut String, level: &Level, statuses: &Statuses, depth: usize, section: &str) {
    let indent = "  ".repeat(depth);
    for vertex in &level.vertices {
        match &vertex.inner {
            Some(inner) if !inner.is_empty() => {
                let cluster = quoted(&format!("cluster_{section}{}", vertex.path));
                let _ = write!(out, "{indent}subgraph {cluster} {{ label={};", label(vertex));
                let _ = writeln!(out, "{}", cluster_mark(&vertex.mark));
                write_level(out, inner, statuses, depth + 1, section);
                let _ = writeln!(out, "{indent}}}");
            }
            _ => {
                let fill = statuses.get(&vertex.path).map(|it| super::svg::colours(*it).0);
                let fill = fill.map_or_else(String::new, |it| format!(", fillcolor=\"{it}\""));
                let shape = shape(vertex.shape);
                let (path, label) = (quoted(&vertex.path), label(vertex));
                let mark = box_mark(&vertex.mark);
                let _ = writeln!(out, "{indent}{path} [label={label}{shape}{fill}{mark}];");
            }
        }
    }
    for edge in &level.edges {
        let _ = writeln!(out, "{indent}{}", arrow(level, edge));
    }
}

/// Graphviz has no arrows between clusters: they are drawn between boxes inside and cut off.
fn arrow(level: &Level, edge: &Edge) -> String {
    let (from, to) = (&level.vertices[edge.from as usize], &level.vertices[edge.to as usize]);
    let mut attributes = Vec::new();
    if !edge.label.is_empty() {
        attributes.push(format!("label={}", quoted(&edge.label)));
    }
    if is_cluster(from) {
        attributes.push(format!("ltail={}", quoted(&format!("cluster_{}", from.path))));
    }
    if is_cluster(to) {
        attributes.push(format!("lhead={}", quoted(&format!("cluster_{}", to.path))));
    }
    let list =
        if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
    format!("{} -> {}{list};", quoted(anchor(from)), quoted(anchor(to)))
}

fn is_cluster(vertex: &Vertex) -> bool {
    vertex.inner.as_ref().is_some_and(|it| !it.is_empty())
}

fn anchor(vertex: &Vertex) -> &str {
    match vertex.inner.as_ref().and_then(|it| it.vertices.first()) {
        Some(first) => anchor(first),
        None => &vertex.path,
    }
}

fn box_mark(mark: &Mark) -> String {
    match (mark.is_dead, mark.codes.is_empty()) {
        (true, _) => ", style=\"rounded,dashed\", fontcolor=gray40".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!(", color=\"{WRONG}\", penwidth=2"),
    }
}

fn cluster_mark(mark: &Mark) -> String {
    match (mark.is_dead, mark.codes.is_empty()) {
        (true, _) => " style=dashed;".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!(" color=\"{WRONG}\";"),
    }
}

fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Task => "",
        Shape::Human => ", shape=hexagon",
        Shape::State => ", shape=ellipse",
        Shape::InitialState => ", shape=ellipse, penwidth=2",
        Shape::FinalState => ", shape=ellipse, peripheries=2",
    }
}

fn label(vertex: &Vertex) -> String {
    let name = format!("{}{}", vertex.label, vertex.mark.note());
    if vertex.detail.is_empty() {
        return quoted(&name);
    }
    quoted(&format!("{name}\n{}", vertex.detail))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
