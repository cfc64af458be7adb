//! Which data an expression reads: paths from the variables of its scope.

use std::ops::Range;

use super::ast::{Binary, Literal, Logic, Node, NodeKind, Select};

/// A path that an expression reads, such as `tasks.pay.output.id`, as long as it can be told
/// without evaluating: `input.items[index].price` reads `input.items`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub root: String,
    /// The fields below the root.
    pub segments: Vec<String>,
    /// Bytes of the expression's source.
    pub span: Range<usize>,
    /// The expression copes with the absence of this path: it stands in `has` or `default`, it is
    /// a task's whole output that is compared with `null`, or it is used only where a `has` of the path, or of a part of it, is
    /// true, where such a part is not `null`, or where the task that it is an output of is known to
    /// have completed.
    pub guarded: bool,
}

pub(super) fn collect(root: &Node) -> Vec<Reference> {
    let mut collector = Collector::default();
    collector.visit(root, false);
    collector.references
}

#[derive(Default)]
struct Collector<'e> {
    references: Vec<Reference>,
    /// Variables of the macros around the current node.
    bound: Vec<&'e str>,
    /// Paths that are known to be there at the current node.
    present: Vec<Path<'e>>,
}

#[derive(Debug, PartialEq)]
struct Path<'e> {
    root: &'e str,
    absolute: bool,
    segments: Vec<&'e str>,
}

impl<'e> Collector<'e> {
    fn visit(&mut self, node: &'e Node, guarded: bool) {
        if let Some(path) = path(node) {
            return self.add(&path, node, guarded);
        }
        match &node.kind {
            NodeKind::Has(select) => self.visit_has(select, node, guarded),
            NodeKind::Default { value, fallback } => {
                self.visit(value, true);
                self.visit(fallback, guarded);
            }
            NodeKind::Binary { operator: Binary::Equal | Binary::NotEqual, left, right } => {
                self.visit(left, guarded || (is_null(right) && may_be_null(left)));
                self.visit(right, guarded || (is_null(left) && may_be_null(right)));
            }
            NodeKind::Logic { operator, operands } => {
                self.visit_logic(*operator, operands, guarded);
            }
            NodeKind::Conditional(it) => {
                self.visit(&it.condition, guarded);
                self.visit_knowing(present_if(&it.condition, true), &it.then, guarded);
                self.visit_knowing(present_if(&it.condition, false), &it.otherwise, guarded);
            }
            NodeKind::Loop(it) => {
                self.visit(&it.range, guarded);
                self.bound.push(&it.variable);
                for body in it.condition.iter().chain([&it.body]) {
                    self.visit(body, guarded);
                }
                self.bound.pop();
            }
            _ => node.for_each_child(&mut |it| self.visit(it, guarded)),
        }
    }

    fn visit_has(&mut self, select: &'e Select, node: &'e Node, guarded: bool) {
        match path(&select.operand) {
            Some(mut path) => {
                path.segments.push(&select.field);
                self.add(&path, node, true);
            }
            None => self.visit(&select.operand, guarded),
        }
    }

    /// An operand matters only where the others do not settle the matter, in whatever order they
    /// stand: an error of one is absorbed by another that is false in `&&`, true in `||`.
    fn visit_logic(&mut self, operator: Logic, operands: &'e [Node], guarded: bool) {
        for (index, operand) in operands.iter().enumerate() {
            let others = operands.iter().enumerate().filter(|(other, _)| *other != index);
            let holds = operator == Logic::And;
            let present = others.flat_map(|(_, it)| present_if(it, holds)).collect();
            self.visit_knowing(present, operand, guarded);
        }
    }

    fn visit_knowing(&mut self, present: Vec<Path<'e>>, node: &'e Node, guarded: bool) {
        let before = self.present.len();
        self.present.extend(present);
        self.visit(node, guarded);
        self.present.truncate(before);
    }

    fn add(&mut self, path: &Path<'e>, node: &Node, guarded: bool) {
        if !path.absolute && self.bound.contains(&path.root) {
            return;
        }
        let is_present = self
            .present
            .iter()
            .any(|it| it.root == path.root && path.segments.starts_with(&it.segments));
        self.references.push(Reference {
            root: path.root.to_owned(),
            segments: path.segments.iter().map(|it| (*it).to_owned()).collect(),
            span: node.span.clone(),
            guarded: guarded || is_present,
        });
    }
}

/// Returns the path that a node is, if it is one all the way to its root.
fn path(node: &Node) -> Option<Path<'_>> {
    match &node.kind {
        NodeKind::Name(name) => {
            Some(Path { root: &name.name, absolute: name.absolute, segments: Vec::new() })
        }
        NodeKind::Select(select) => extend(&select.operand, &select.field),
        NodeKind::Index { operand, index } => match &index.kind {
            NodeKind::Literal(Literal::String(field)) => extend(operand, field),
            _ => None,
        },
        _ => None,
    }
}

fn extend<'e>(operand: &'e Node, field: &'e str) -> Option<Path<'e>> {
    let mut path = path(operand)?;
    path.segments.push(field);
    Some(path)
}

/// Returns the root and the fields below it, if a node is a path all the way to its root.
pub(crate) fn path_of(node: &Node) -> Option<(&str, Vec<&str>)> {
    path(node).map(|it| (it.root, it.segments))
}

/// Returns the paths that are there if `condition` evaluates to `outcome`.
fn present_if(condition: &Node, outcome: bool) -> Vec<Path<'_>> {
    match &condition.kind {
        NodeKind::Has(select) if outcome => {
            extend(&select.operand, &select.field).into_iter().collect()
        }
        NodeKind::Not(operand) => present_if(operand, !outcome),
        NodeKind::Logic { operator, operands } if outcome == (*operator == Logic::And) => {
            operands.iter().flat_map(|it| present_if(it, outcome)).collect()
        }
        NodeKind::Binary { operator: Binary::Equal, left, right } if outcome => {
            [(left, right), (right, left)]
                .into_iter()
                .filter_map(|(a, b)| completed(a, b))
                .collect()
        }
        NodeKind::Binary { operator: Binary::NotEqual, left, right } if outcome => {
            not_null(left, right)
        }
        NodeKind::Binary { operator: Binary::Equal, left, right } => not_null(left, right),
        _ => Vec::new(),
    }
}

/// Returns the output of the task whose status is compared with `completed`.
fn completed<'e>(status: &'e Node, value: &Node) -> Option<Path<'e>> {
    let NodeKind::Literal(Literal::String(text)) = &value.kind else { return None };
    let mut path = path(status).filter(|it| it.root == "tasks" && &**text == "completed")?;
    match path.segments[..] {
        [_, "status"] => path.segments[1] = "output",
        _ => return None,
    }
    Some(path)
}

fn not_null<'e>(left: &'e Node, right: &'e Node) -> Vec<Path<'e>> {
    let sides = [(left, right), (right, left)].into_iter();
    sides.filter(|(_, other)| is_null(other)).filter_map(|(side, _)| path(side)).collect()
}

/// Whether a node is the output or the error of a task, which is `null` where there is none.
fn may_be_null(node: &Node) -> bool {
    path(node)
        .is_some_and(|it| it.root == "tasks" && matches!(it.segments[..], [_, "output" | "error"]))
}

fn is_null(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Literal(Literal::Null))
}
