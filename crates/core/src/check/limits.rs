//! The limits that only the definition as a whole can break; `parse` checks the others.

use super::CheckContext;
use super::outline::Outline;
use crate::definition::Definition;
use crate::limits::{EDGES_MAX, LARGE_EDGES_MAX};
use crate::source::Problem;

const LIMIT: &str = "SF1042";

pub(super) fn check(
    definition: &Definition,
    outline: &Outline<'_>,
    context: &CheckContext,
    problems: &mut Vec<Problem>,
) {
    let limit = if context.large { LARGE_EDGES_MAX } else { EDGES_MAX };
    let edges: usize = outline.nodes.iter().map(|it| it.task.needs.len()).sum();
    if edges > limit {
        let message = format!("{edges} entries in all `needs`; the limit is {limit}");
        problems.push(
            Problem::error(LIMIT, definition.id.span, message)
                .help("let a task that only joins stand between two layers of tasks"),
        );
    }
}
