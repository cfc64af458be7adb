//! Which data an expression reads: paths from the variables of its scope.

use std::ops::Range;

use super::ast::{Literal, Logic, Node, NodeKind, Select};

/// A path that an expression reads, such as `tasks.pay.output.id`, as long as it can be told
/// without evaluating: `input.items[index].price` reads `input.items`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub root: String,
    /// The fields below the root.
    pub segments: Vec<String>,
    /// Bytes of the expression's source.
    pub span: Range<usize>,
    /// The expression copes with the absence of this path: it stands in `has` or `default`, or it
    /// is used only where a `has` of the path, or of a part of it, is true.
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
        _ => Vec::new(),
    }
}
