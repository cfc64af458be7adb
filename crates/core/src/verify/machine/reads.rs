//! Where expressions read the outputs of tasks, and what they make sure of before they do.

use std::ops::Range;

use crate::check::place;
use crate::definition::{ExprSource, TemplateSource};
use crate::expr::Expr;
use crate::expr::ast::{Binary, Literal, Logic, Node, NodeKind};
use crate::source::Span;

/// One unguarded read of `tasks.ID.output`.
pub(super) struct Read {
    pub task: String,
    /// A field of the output is read, which fails if there is none.
    pub is_field: bool,
    pub span: Span,
}

/// Adds what a condition reads.
pub(super) fn of_condition(source: &ExprSource, into: &mut Vec<Read>) {
    of_expression(&source.expr, into, |it| place(source.text_start, it, source.span));
}

/// Adds what a template reads.
pub(super) fn of_template(source: &TemplateSource, into: &mut Vec<Read>) {
    for hole in source.template.expressions() {
        let node = source.node.pointer(&hole.pointer).unwrap_or(&source.node);
        of_expression(&hole.expr, into, |it| {
            place(node.text_start, &hole.span_in_string(it), node.span)
        });
    }
}

fn of_expression(expr: &Expr, into: &mut Vec<Read>, place: impl Fn(&Range<usize>) -> Span) {
    let mut sure = Vec::new();
    find_sure(expr.ast(), &mut sure);
    for reference in expr.references() {
        let [task, what, rest @ ..] = &reference.segments[..] else { continue };
        let is_sure = |(part, id): &(Range<usize>, &str)| {
            id == task && part.start <= reference.span.start && reference.span.end <= part.end
        };
        if reference.root != "tasks"
            || what != "output"
            || reference.guarded
            || sure.iter().any(is_sure)
        {
            continue;
        }
        let span = place(&reference.span);
        into.push(Read { task: task.clone(), is_field: !rest.is_empty(), span });
    }
}

/// Finds the parts of an expression that matter only where a task is known to have an output.
fn find_sure<'e>(node: &'e Node, into: &mut Vec<(Range<usize>, &'e str)>) {
    match &node.kind {
        NodeKind::Logic { operator, operands } => {
            let holds = *operator == Logic::And;
            for (at, operand) in operands.iter().enumerate() {
                let others = operands.iter().enumerate().filter(|(other, _)| *other != at);
                let known = others.flat_map(|(_, it)| completed_if(it, holds));
                into.extend(known.map(|it| (operand.span.clone(), it)));
            }
        }
        NodeKind::Conditional(it) => {
            for (part, outcome) in [(&it.then, true), (&it.otherwise, false)] {
                let known = completed_if(&it.condition, outcome);
                into.extend(known.into_iter().map(|it| (part.span.clone(), it)));
            }
        }
        _ => {}
    }
    node.for_each_child(&mut |it| find_sure(it, into));
}

/// The tasks that certainly have an output if a condition comes to `outcome`.
pub(super) fn completed_if(node: &Node, outcome: bool) -> Vec<&str> {
    match &node.kind {
        NodeKind::Not(operand) => completed_if(operand, !outcome),
        NodeKind::Logic { operator, operands } if outcome == (*operator == Logic::And) => {
            operands.iter().flat_map(|it| completed_if(it, outcome)).collect()
        }
        NodeKind::Has(select) if outcome => task_part(&select.operand)
            .filter(|it| it.1 == "output")
            .map(|it| it.0)
            .into_iter()
            .collect(),
        NodeKind::Binary { operator, left, right } => {
            let found = compared(*operator, outcome, left, right);
            found.or_else(|| compared(*operator, outcome, right, left)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// `tasks.ID.status == "completed"`, or `tasks.ID.output != null`.
fn compared<'e>(operator: Binary, outcome: bool, part: &'e Node, with: &Node) -> Option<&'e str> {
    let (task, what) = task_part(part)?;
    let is_equal = match operator {
        Binary::Equal => outcome,
        Binary::NotEqual => !outcome,
        _ => return None,
    };
    let is_sure = match (what, &with.kind) {
        ("status", NodeKind::Literal(Literal::String(status))) => {
            is_equal && &**status == "completed"
        }
        ("output", NodeKind::Literal(Literal::Null)) => !is_equal,
        _ => false,
    };
    is_sure.then_some(task)
}

/// Reads `tasks.ID.output` as its id and `output`; also below that.
fn task_part(node: &Node) -> Option<(&str, &str)> {
    let NodeKind::Select(select) = &node.kind else { return None };
    let NodeKind::Select(task) = &select.operand.kind else { return None };
    match &task.operand.kind {
        NodeKind::Name(root) if &*root.name == "tasks" => Some((&task.field, &select.field)),
        _ => None,
    }
}
