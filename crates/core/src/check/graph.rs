//! Graphs: no cycles, and joins that have something to join.

use super::digraph::{Components, shortest_cycle};
use super::outline::{Level, Outline, Shape};
use crate::definition::Join;
use crate::source::Problem;

const CYCLE: &str = "SF1102";
const JOIN_WITHOUT_NEEDS: &str = "SF1105";
/// Names of a long cycle that the message shows; the rest is counted.
const CYCLE_NAMES_MAX: usize = 12;

pub(super) fn check(outline: &Outline<'_>, problems: &mut Vec<Problem>) {
    for level in &outline.levels {
        if !matches!(level.shape, Shape::Graph(_)) {
            continue;
        }
        cycles(outline, level, problems);
        joins(outline, level, problems);
    }
}

fn cycles(outline: &Outline<'_>, level: &Level<'_>, problems: &mut Vec<Problem>) {
    let children = outline.children(level);
    let before: Vec<Vec<u32>> = children.iter().map(|it| it.needs.clone()).collect();
    let components = Components::new(&before);
    for component in components.cyclic(&before) {
        let cycle = shortest_cycle(&before, component);
        let task = |at: usize| children[cycle[at % cycle.len()] as usize].task;
        let mut names: Vec<&str> = (0..=cycle.len()).map(|at| task(at).id.value.as_str()).collect();
        if names.len() > CYCLE_NAMES_MAX {
            names.splice(CYCLE_NAMES_MAX / 2..names.len() - CYCLE_NAMES_MAX / 2, ["…"]);
        }
        let message = format!("these tasks wait for each other: {}", names.join(" → "));
        let closing = task(0).needs.iter().find(|it| it.value == task(cycle.len() - 1).id.value);
        let span = closing.map_or(task(0).id.span, |it| it.span);
        let mut problem = if cycle.len() == 1 {
            let message = format!("`{}` waits for itself: {}", names[0], names.join(" → "));
            Problem::error(CYCLE, span, message).label("a task cannot need itself")
        } else {
            Problem::error(CYCLE, span, message).label("closes the cycle")
        };
        for at in 1..cycle.len().min(CYCLE_NAMES_MAX) {
            let need = task(at).needs.iter().find(|it| it.value == task(at - 1).id.value);
            let text = format!("`{}` needs `{}`", task(at).id.value, task(at - 1).id.value);
            problem = problem.related(need.map_or(task(at).id.span, |it| it.span), text);
        }
        if component.len() > cycle.len() {
            let more = component.len() - cycle.len();
            problem = problem.help(format!(
                "drop one of these needs; {more} more tasks are tangled up with this cycle"
            ));
        } else {
            problem = problem.help("drop one of these needs; for a loop, use `states`");
        }
        problems.push(problem);
    }
}

fn joins(outline: &Outline<'_>, level: &Level<'_>, problems: &mut Vec<Problem>) {
    for placed in outline.children(level) {
        let Some(join) = &placed.task.join else { continue };
        if !placed.task.needs.is_empty() {
            continue;
        }
        let id = &placed.task.id.value;
        let problem = Problem::warning(
            JOIN_WITHOUT_NEEDS,
            join.span,
            format!("`{id}` has a `join` and no `needs`, so it starts at once"),
        );
        let help = match join.value {
            Join::AnyFailed => "say which failures it handles: `needs: [task]`",
            Join::AllSuccess | Join::NoneFailed | Join::AnySuccess | Join::AllDone => {
                "add `needs`, or drop `join`"
            }
        };
        problems.push(problem.label("nothing to join").help(help));
    }
}
