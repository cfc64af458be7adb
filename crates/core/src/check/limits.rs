//! The limits of a definition as a whole.

use super::CheckContext;
use super::outline::{Outline, Shape};
use crate::definition::{Concurrency, Definition, Spanned};
use crate::limits::{
    ATTEMPTS_MAX, DEPTH_MAX, EDGES_MAX, LABELS_MAX, LARGE_EDGES_MAX, LARGE_TASKS_MAX, TASKS_MAX,
};
use crate::source::{Problem, Span};

/// A limit is broken.
const LIMIT: &str = "SF1107";
/// A number that must be 1 or more.
const ZERO: &str = "SF1123";

pub(super) fn check(
    definition: &Definition,
    outline: &Outline<'_>,
    context: &CheckContext,
    problems: &mut Vec<Problem>,
) {
    let (tasks_max, edges_max) =
        if context.large { (LARGE_TASKS_MAX, LARGE_EDGES_MAX) } else { (TASKS_MAX, EDGES_MAX) };
    let whole = definition.id.span;
    let split = "split the workflow, and start its parts with `uses: workflow`";
    let mut limit = |what: &str, found: usize, max: usize, at: Span, help: &str| {
        if found > max {
            let message = format!("{found} {what}; the limit is {max}");
            problems.push(Problem::error(LIMIT, at, message).help(help));
        }
    };
    let large =
        if context.large { split } else { "allow large definitions, or split the workflow" };
    limit("tasks", outline.nodes.len(), tasks_max, whole, large);
    let edges = outline.nodes.iter().map(|it| it.task.needs.len()).sum();
    limit("entries in all `needs`", edges, edges_max, whole, large);
    limit("labels", definition.labels.len(), LABELS_MAX, whole, "drop some labels");
    let deepest = outline.levels.iter().max_by_key(|it| it.depth);
    if let Some(level) = deepest {
        let at = match level.shape {
            Shape::Graph(graph) => graph.span,
            Shape::Machine(machine) => machine.span,
            Shape::Single(task) => task.span,
        };
        limit("levels of nesting", level.depth, DEPTH_MAX, at, split);
    }
    numbers(definition, outline, problems);
}

fn numbers(definition: &Definition, outline: &Outline<'_>, problems: &mut Vec<Problem>) {
    for level in &outline.levels {
        if let Shape::Graph(graph) = level.shape {
            not_zero("max_parallel", graph.max_parallel.as_ref(), problems);
        }
    }
    concurrency(definition.concurrency.as_ref(), problems);
    retry(definition.defaults.retry.as_ref(), problems);
    for placed in &outline.nodes {
        let each = placed.task.for_each.as_ref();
        not_zero("max_parallel", each.and_then(|it| it.max_parallel.as_ref()), problems);
        concurrency(placed.task.concurrency.as_ref(), problems);
        retry(placed.task.retry.as_ref(), problems);
    }
}

fn concurrency(source: Option<&Spanned<Concurrency>>, problems: &mut Vec<Problem>) {
    let limit = source.and_then(|it| it.value.limit.as_ref());
    not_zero("limit", limit, problems);
}

fn not_zero(name: &str, value: Option<&Spanned<u32>>, problems: &mut Vec<Problem>) {
    let Some(zero) = value.filter(|it| it.value == 0) else { return };
    problems.push(
        Problem::error(ZERO, zero.span, format!("`{name}` is 0, so nothing would ever run"))
            .label("must be 1 or more")
            .help(format!("write 1 or more, or leave `{name}` out for no limit")),
    );
}

fn retry(source: Option<&Spanned<crate::definition::Retry>>, problems: &mut Vec<Problem>) {
    let Some(Spanned { value, span }) = source else { return };
    if value.max_attempts.is_some_and(|it| it == 0 || it > ATTEMPTS_MAX) {
        let found = value.max_attempts.unwrap_or(0);
        problems.push(
            Problem::error(LIMIT, *span, format!("`max_attempts` is {found}"))
                .label(format!("must be from 1 to {ATTEMPTS_MAX}"))
                .help("count the first try: `max_attempts: 3` tries again twice"),
        );
    }
    if value.multiplier.is_some_and(|it| !(it >= 1.0 && it.is_finite())) {
        let found = value.multiplier.unwrap_or(0.0);
        problems.push(
            Problem::error(ZERO, *span, format!("`multiplier` is {found}"))
                .label("must be 1 or more")
                .help("write `backoff: fixed` for delays that do not grow"),
        );
    }
    if let (Some(first), Some(longest)) = (value.delay, value.max_delay)
        && longest < first
    {
        problems.push(
            Problem::error(
                ZERO,
                *span,
                format!("`max_delay` {longest} is shorter than `delay` {first}"),
            )
            .help("raise `max_delay`, or shorten `delay`"),
        );
    }
}
