//! Reads of other tasks: each must be of a task that has certainly been decided before.

use super::digraph::upstream;
use super::machine;
use super::outline::{Level, Outline, Shape};
use crate::plan::CompositeId;
use crate::source::{Problem, Span};

const NOT_UPSTREAM: &str = "SF1121";

/// One `tasks.ID` in an expression.
pub(super) struct Read {
    /// Where both of these are children.
    pub level: CompositeId,
    pub read: u32,
    /// The task with the expression, or the one around it.
    pub reader: u32,
    pub span: Span,
}

/// Reports the reads whose order is not certain. All reads of a level are answered together.
pub(super) fn check(outline: &Outline<'_>, mut reads: Vec<Read>, problems: &mut Vec<Problem>) {
    reads.sort_by_key(|it| it.level);
    for reads in reads.chunk_by(|a, b| a.level == b.level) {
        let level = outline.level(reads[0].level);
        let before = before(outline, level);
        let pairs: Vec<(u32, u32)> = reads.iter().map(|it| (it.read, it.reader)).collect();
        let certain = upstream(&before, &pairs);
        let open: Vec<&Read> =
            reads.iter().zip(certain).filter(|(_, it)| !it).map(|(read, _)| read).collect();
        let reversed: Vec<(u32, u32)> = open.iter().map(|it| (it.reader, it.read)).collect();
        let later = upstream(&before, &reversed);
        for (read, later) in open.into_iter().zip(later) {
            problems.push(not_upstream(outline, level, read, later));
        }
    }
}

/// What comes right before each child.
fn before(outline: &Outline<'_>, level: &Level<'_>) -> Vec<Vec<u32>> {
    match level.shape {
        Shape::Graph(_) | Shape::Single(_) => {
            outline.children(level).iter().map(|it| it.needs.clone()).collect()
        }
        Shape::Machine(machine) => machine::predecessors(&machine::successors(machine, level)),
    }
}

fn not_upstream(outline: &Outline<'_>, level: &Level<'_>, read: &Read, later: bool) -> Problem {
    let children = outline.children(level);
    let target = &children[read.read as usize].task.id;
    let reader = &children[read.reader as usize].task.id;
    let (target_id, id) = (&target.value, &reader.value);
    let is_machine = matches!(level.shape, Shape::Machine(_));
    if read.read == read.reader {
        return Problem::error(NOT_UPSTREAM, read.span, format!("`{id}` reads its own outcome"))
            .label("there is none before it has ended")
            .help("read another task, or move the expression into one that needs this one");
    }
    let problem = Problem::error(
        NOT_UPSTREAM,
        read.span,
        format!("`{id}` reads `tasks.{target_id}`, which is not upstream of it"),
    )
    .related(target.span, format!("`{target_id}` is defined here"));
    if is_machine {
        problem.label("no way leads from that state to this one").help(format!(
            "add transitions from `{target_id}` to `{id}`, or keep the value with `set`"
        ))
    } else if later {
        problem
            .label("runs only later")
            .help(format!("`{target_id}` needs `{id}`; turn the order of the two around"))
    } else {
        problem
            .label("may not have run by then")
            .help(format!("add `{target_id}` to the `needs` of `{id}`"))
    }
}
