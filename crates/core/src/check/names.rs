//! Ids: none hides another, and every need is one of them.

use std::collections::HashMap;

use super::outline::{Level, Outline, Role};
use crate::definition::Spanned;
use crate::plan::{CompositeId, ROOT};
use crate::source::{Problem, Span, nearest};

const UNKNOWN_NEED: &str = "SF1101";
const HIDDEN_ID: &str = "SF1103";
const REPEATED_NEED: &str = "SF1104";

pub(super) fn check(outline: &Outline<'_>, problems: &mut Vec<Problem>) {
    // Where the tasks of each name are, for needs that name one elsewhere.
    let mut elsewhere: HashMap<&str, Span> = HashMap::new();
    for placed in &outline.nodes {
        elsewhere.entry(&placed.task.id.value).or_insert(placed.task.id.span);
    }
    for (id, level) in outline.levels() {
        if matches!(level.role, Role::Undo(_)) {
            continue;
        }
        shadowed(outline, id, level, problems);
        needs(outline, level, &elsewhere, problems);
    }
}

/// `tasks.x` means the innermost `x`, so an inner `x` would hide an outer one.
fn shadowed(
    outline: &Outline<'_>,
    id: CompositeId,
    level: &Level<'_>,
    problems: &mut Vec<Problem>,
) {
    let outer = outline.enclosing(id);
    for placed in outline.children(level).iter().filter(|_| !outer.is_empty()) {
        let id = &placed.task.id;
        let hidden = outer.iter().find_map(|it| {
            let level = outline.level(*it);
            level.ids.get(id.value.as_str()).map(|at| &outline.children(level)[*at as usize])
        });
        if let Some(hidden) = hidden {
            let name = &id.value;
            problems.push(
                Problem::error(HIDDEN_ID, id.span, format!("`{name}` hides an outer `{name}`"))
                    .label("`tasks` would mean this one from here on inwards")
                    .related(hidden.task.id.span, "the outer one")
                    .help("rename one of them: an id must differ from those around it"),
            );
        }
    }
}

fn needs(
    outline: &Outline<'_>,
    level: &Level<'_>,
    elsewhere: &HashMap<&str, Span>,
    problems: &mut Vec<Problem>,
) {
    for placed in outline.children(level) {
        let task = &placed.task.id.value;
        for (at, need) in placed.task.needs.iter().enumerate() {
            let name = need.value.as_str();
            if let Some(first) = placed.task.needs[..at].iter().find(|it| it.value == name) {
                problems.push(
                    Problem::warning(
                        REPEATED_NEED,
                        need.span,
                        format!("`{task}` needs `{name}` twice"),
                    )
                    .related(first.span, "first named here")
                    .help("drop one of them"),
                );
            } else if !level.ids.contains_key(name) {
                let known = level.ids.keys().copied().collect::<Vec<_>>();
                problems.push(unknown_need(task, need, known, elsewhere));
            }
        }
    }
}

fn unknown_need(
    task: &str,
    need: &Spanned<String>,
    mut known: Vec<&str>,
    elsewhere: &HashMap<&str, Span>,
) -> Problem {
    let name = need.value.as_str();
    let message = format!("`{task}` needs `{name}`, which is not defined here");
    let problem = Problem::error(UNKNOWN_NEED, need.span, message);
    if let Some(span) = elsewhere.get(name) {
        return problem
            .label("not a task of the same `tasks`")
            .related(*span, format!("this `{name}` stands at another level"))
            .help("`needs` names tasks of the same `tasks`; need the task that contains it");
    }
    known.sort_unstable();
    let problem = problem.label("no task has this id");
    match nearest(name, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("define a task `{name}`, or drop it from `needs`")),
    }
}

impl Outline<'_> {
    /// Returns the levels around a level whose ids are seen from within, innermost first.
    pub(super) fn enclosing(&self, id: CompositeId) -> Vec<CompositeId> {
        let mut around = Vec::new();
        let mut at = id;
        loop {
            at = match self.level(at).role {
                Role::Body => return around,
                Role::OnFailure | Role::Finally => ROOT,
                Role::Work(owner) | Role::Undo(owner) => self.node(owner).level,
            };
            around.push(at);
        }
    }
}
