//! A guard as a boolean skeleton over parts that are looked at one by one.

use std::collections::BTreeMap;
use std::ops::Range;

use super::search::Truth;
use crate::expr::Expr;
use crate::expr::ast::{Binary, Literal, Logic, Node, NodeKind};

/// A guard, cut where the rules of bools say how the parts combine.
#[derive(Clone, Debug)]
pub(super) enum Skeleton {
    Constant(bool),
    Leaf {
        leaf: usize,
        span: Range<usize>,
    },
    Not(Box<Skeleton>),
    Logic {
        operator: Logic,
        operands: Vec<Skeleton>,
    },
    Conditional(Box<[Skeleton; 3]>),
    /// `==` or `!=` of two bools.
    Same {
        is_negated: bool,
        sides: Box<[Skeleton; 2]>,
    },
}

impl Skeleton {
    /// Combines what is known of the leaves, in the three-valued logic of the evaluator: `false`
    /// settles `&&` whatever the other operands do, `true` settles `||`.
    pub fn evaluate(&self, leaf: &mut dyn FnMut(usize) -> Truth) -> Truth {
        match self {
            Skeleton::Constant(value) => Truth::of(*value),
            Skeleton::Leaf { leaf: index, .. } => leaf(*index),
            Skeleton::Not(operand) => operand.evaluate(leaf).negated(),
            Skeleton::Logic { operator, operands } => {
                let settles = Truth::of(*operator == Logic::Or);
                let (mut open, mut has_failed) = (None, false);
                for operand in operands {
                    match operand.evaluate(leaf) {
                        truth if truth == settles => return settles,
                        Truth::Open(variable) => open = open.or(Some(variable)),
                        Truth::Error => has_failed = true,
                        Truth::True | Truth::False => {}
                    }
                }
                match open {
                    Some(variable) => Truth::Open(variable),
                    None if has_failed => Truth::Error,
                    None => settles.negated(),
                }
            }
            Skeleton::Conditional(it) => match it[0].evaluate(leaf) {
                Truth::True => it[1].evaluate(leaf),
                Truth::False => it[2].evaluate(leaf),
                unsettled => unsettled,
            },
            Skeleton::Same { is_negated, sides } => {
                match (sides[0].evaluate(leaf), sides[1].evaluate(leaf)) {
                    (Truth::Error, _) | (_, Truth::Error) => Truth::Error,
                    (Truth::Open(variable), _) | (_, Truth::Open(variable)) => {
                        Truth::Open(variable)
                    }
                    (left, right) => Truth::of((left == right) != *is_negated),
                }
            }
        }
    }

    /// Calls `visit` with each leaf and its place, in the order of the source.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(usize, &Range<usize>)) {
        match self {
            Skeleton::Constant(_) => {}
            Skeleton::Leaf { leaf, span } => visit(*leaf, span),
            Skeleton::Not(operand) => operand.for_each_leaf(visit),
            Skeleton::Logic { operands, .. } => {
                operands.iter().for_each(|it| it.for_each_leaf(visit));
            }
            Skeleton::Conditional(it) => it.iter().for_each(|it| it.for_each_leaf(visit)),
            Skeleton::Same { sides, .. } => sides.iter().for_each(|it| it.for_each_leaf(visit)),
        }
    }
}

pub(super) struct Part<'e> {
    pub node: &'e Node,
    pub text: &'e str,
}

/// Cuts guards, and gives parts that read the same one number.
#[derive(Default)]
pub(super) struct Cutter<'e> {
    /// The part of each leaf.
    pub parts: Vec<Part<'e>>,
    by_text: BTreeMap<&'e str, usize>,
}

impl<'e> Cutter<'e> {
    /// Cuts a guard; one that is too large to be looked into is one part.
    pub fn cut(&mut self, expression: &'e Expr, is_large: bool) -> Skeleton {
        if is_large {
            self.leaf(expression, expression.ast())
        } else {
            self.node(expression, expression.ast())
        }
    }

    fn node(&mut self, expression: &'e Expr, node: &'e Node) -> Skeleton {
        match &node.kind {
            NodeKind::Literal(Literal::Bool(value)) => Skeleton::Constant(*value),
            NodeKind::Not(operand) => Skeleton::Not(Box::new(self.node(expression, operand))),
            NodeKind::Logic { operator, operands } => {
                let operands = operands.iter().map(|it| self.node(expression, it)).collect();
                Skeleton::Logic { operator: *operator, operands }
            }
            NodeKind::Conditional(it) => Skeleton::Conditional(Box::new(
                [&it.condition, &it.then, &it.otherwise].map(|it| self.node(expression, it)),
            )),
            NodeKind::Binary { operator, left, right }
                if matches!(operator, Binary::Equal | Binary::NotEqual)
                    && is_bool(left)
                    && is_bool(right) =>
            {
                let sides = [left, right].map(|it| self.node(expression, it));
                Skeleton::Same { is_negated: *operator == Binary::NotEqual, sides: Box::new(sides) }
            }
            _ => self.leaf(expression, node),
        }
    }

    fn leaf(&mut self, expression: &'e Expr, node: &'e Node) -> Skeleton {
        let text = &expression.source()[node.span.clone()];
        let leaf = *self.by_text.entry(text).or_insert_with(|| {
            self.parts.push(Part { node, text });
            self.parts.len() - 1
        });
        Skeleton::Leaf { leaf, span: node.span.clone() }
    }
}

/// Tells whether a node is true, false or fails, whatever the data.
fn is_bool(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Literal(Literal::Bool(_))
        | NodeKind::Has(_)
        | NodeKind::Not(_)
        | NodeKind::Logic { .. } => true,
        NodeKind::Binary { operator, .. } => !matches!(
            operator,
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder
        ),
        NodeKind::Conditional(it) => is_bool(&it.then) && is_bool(&it.otherwise),
        NodeKind::Default { value, fallback } => is_bool(value) && is_bool(fallback),
        _ => false,
    }
}

/// Counts the nodes of a tree, but not beyond a limit.
pub(super) fn has_more_nodes_than(node: &Node, limit: usize) -> bool {
    let mut left = limit;
    count_down(node, &mut left);
    left == 0
}

fn count_down(node: &Node, left: &mut usize) {
    *left = left.saturating_sub(1);
    if *left > 0 {
        node.for_each_child(&mut |it| count_down(it, left));
    }
}
