//! Data to try: for each path that guards read, values around the constants that it is compared
//! with. What was tried shows that something can happen, never that it cannot.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::machine::literal;
use super::sample::{put, remove};
use crate::expr::ast::{Binary, Literal, Node, NodeKind};
use crate::expr::{Expr, Template};

/// Values that are tried for one path.
const VALUES_MAX: usize = 12;
/// Paths that are tried with more than one value.
const PATHS_MAX: usize = 16;
/// Combinations that are tried for one list of guards.
const SAMPLES_MAX: usize = 96;

/// A path below one name, such as `event.order.total`.
type Path = Vec<String>;

/// What is to be tried below one name.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    values: BTreeMap<Path, Vec<Option<Json>>>,
}

impl Wanted {
    /// Collects what guards and assignments want of `root`.
    pub fn new<'e>(
        root: &str,
        guards: impl IntoIterator<Item = &'e Expr>,
        written: impl IntoIterator<Item = &'e Template>,
    ) -> Wanted {
        let mut wanted = Wanted::default();
        for guard in guards {
            wanted.condition(guard.ast(), root);
        }
        for template in written {
            for (_, reference) in template.references() {
                if reference.root == root && !wanted.values.contains_key(&reference.segments) {
                    wanted.add(reference.segments, [Some(json!(1)), Some(json!("x"))]);
                }
            }
        }
        wanted
    }

    fn add(&mut self, path: Path, values: impl IntoIterator<Item = Option<Json>>) {
        let known = self.values.entry(path).or_default();
        for value in values {
            if !known.contains(&value) && known.len() < VALUES_MAX {
                known.push(value);
            }
        }
    }

    /// Collects from a part that must be true or false.
    fn condition(&mut self, node: &Node, root: &str) {
        if let Some(path) = path_below(node, root) {
            return self.add(path, [Some(json!(true)), Some(json!(false))]);
        }
        match &node.kind {
            NodeKind::Has(select) => {
                if let Some(mut path) = path_below(&select.operand, root) {
                    path.push(select.field.to_string());
                    self.add(path, [None, Some(json!(1))]);
                }
            }
            NodeKind::Not(operand) => self.condition(operand, root),
            NodeKind::Logic { operands, .. } => {
                operands.iter().for_each(|it| self.condition(it, root));
            }
            NodeKind::Binary { operator, left, right } => {
                self.comparison(*operator, left, right, root);
                self.comparison(*operator, right, left, root);
            }
            _ => node.for_each_child(&mut |it| self.condition(it, root)),
        }
    }

    fn comparison(&mut self, operator: Binary, part: &Node, with: &Node, root: &str) {
        let part = match &part.kind {
            NodeKind::Default { value, .. } => value,
            _ => part,
        };
        let Some(path) = path_below(part, root) else { return };
        match (&with.kind, operator) {
            (NodeKind::List(items), Binary::In) => {
                items.iter().for_each(|it| self.add(path.clone(), around(it)));
            }
            _ => self.add(path, around(with)),
        }
    }

    /// Values of the name: each has the wanted ones somewhere, and the rest from `base`.
    pub fn samples(&self, base: &Json) -> Vec<Json> {
        let mut base = base.clone();
        for (path, values) in self.values.iter().skip(PATHS_MAX) {
            place(&mut base, path, values.first().and_then(Option::as_ref));
        }
        let mut all = vec![base];
        for (path, values) in self.values.iter().take(PATHS_MAX) {
            let mut more: Vec<Json> = Vec::new();
            // Round by round, so that a cut keeps some of every path.
            'all: for value in values {
                for before in &all {
                    if more.len() == SAMPLES_MAX {
                        break 'all;
                    }
                    let mut sample = before.clone();
                    place(&mut sample, path, value.as_ref());
                    more.push(sample);
                }
            }
            all = more;
        }
        all
    }
}

/// A constant and its neighbours.
fn around(node: &Node) -> Vec<Option<Json>> {
    if let NodeKind::Literal(Literal::Double(value)) = node.kind {
        return [value - 1.0, value, value + 1.0].map(|it| Some(json!(it))).into();
    }
    match literal(node) {
        Some(Json::Number(number)) => {
            let Some(number) = number.as_i64() else { return Vec::new() };
            let near = [number.saturating_sub(1), number, number.saturating_add(1)];
            near.map(|it| Some(json!(it))).into()
        }
        Some(Json::String(text)) => vec![Some(json!(text)), Some(json!(format!("not {text}")))],
        Some(Json::Bool(_)) => vec![Some(json!(true)), Some(json!(false))],
        Some(Json::Null) => vec![Some(Json::Null), Some(json!(1))],
        _ => vec![Some(json!(0)), Some(json!(1))],
    }
}

/// Reads `root.a.b` as the path `a.b`.
fn path_below(node: &Node, root: &str) -> Option<Path> {
    match &node.kind {
        NodeKind::Name(name) => (&*name.name == root).then(Vec::new),
        NodeKind::Select(select) => {
            let mut path = path_below(&select.operand, root)?;
            path.push(select.field.to_string());
            Some(path)
        }
        _ => None,
    }
}

fn place(into: &mut Json, path: &[String], value: Option<&Json>) {
    // What is to be missing is put first, so that what it would stand in is there.
    put(into, path, value.cloned().unwrap_or_default());
    if value.is_none() {
        remove(into, path);
    }
}

/// `base` with the fields of `over` in their places.
pub(super) fn overlaid(base: &Json, over: &Json) -> Json {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            let mut fields = base.clone();
            for (name, value) in over {
                let below = fields.get(name).unwrap_or(&Json::Null);
                let below = overlaid(below, value);
                fields.insert(name.clone(), below);
            }
            Json::Object(fields)
        }
        _ => over.clone(),
    }
}

/// A small value that a schema may accept; the caller asks the schema.
pub(super) fn smallest(schema: &Json) -> Json {
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(|it| it.get(0)) {
        return value.clone();
    }
    let kind = match schema.get("type") {
        Some(Json::String(kind)) => kind.as_str(),
        Some(Json::Array(kinds)) => kinds.first().and_then(Json::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ => "null",
    };
    match kind {
        "boolean" => json!(true),
        "integer" => json!(schema.get("minimum").and_then(Json::as_i64).unwrap_or(1)),
        "number" => json!(schema.get("minimum").and_then(Json::as_f64).unwrap_or(1.0)),
        "string" => json!("x".repeat(
            schema.get("minLength").and_then(Json::as_u64).unwrap_or(1).min(64) as usize
        )),
        "array" => json!([]),
        "object" => {
            let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
            let names: BTreeSet<&str> = required.filter_map(Json::as_str).collect();
            let nothing = json!({});
            let field = |name: &&str| {
                let schema = schema.get("properties").and_then(|it| it.get(name));
                smallest(schema.unwrap_or(&nothing))
            };
            Json::Object(names.iter().map(|it| ((*it).to_owned(), field(it))).collect())
        }
        _ => Json::Null,
    }
}
