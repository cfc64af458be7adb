//! Where an expression stands, and so which names it may use.
//!
//! | root | where |
//! |---|---|
//! | `input`, `run` | everywhere but in `triggers` |
//! | `vars` | everywhere but in the `vars` of the definition |
//! | `tasks` | in tasks: those upstream; in `output`: all of the top level; in `on_failure` and `finally`: all of the top level too |
//! | `item` (or its name), `index` | in the task with `for_each` except its `if`, and in all that it contains |
//! | `event` | in `triggers`, and in transitions of `on` other than `done` and `failed` |
//! | `error` | in `retry.if`, `on.failed`, `compensate`, `on_failure` and `finally` |
//! | `output` | in `next`, `on.done` and the `output` of a state with work |
//! | `secrets` | in `with` of what acts on the outside |

use crate::plan::{CompositeId, NodeId, ROOT};

/// The names that every expression may start with somewhere. The item of a `for_each` has its own.
pub(super) const ROOTS: [&str; 10] =
    ["input", "vars", "tasks", "item", "index", "event", "error", "output", "run", "secrets"];

#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// The composite whose names are seen, with those around it.
    pub level: CompositeId,
    pub tasks: Seen,
    /// The task whose own item is seen.
    pub item: Option<NodeId>,
    /// The state whose finished work is seen.
    pub output: Option<NodeId>,
    pub is_trigger: bool,
    pub vars: bool,
    pub event: bool,
    pub error: bool,
    pub secrets: bool,
}

/// Which tasks an expression may read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    None,
    /// All of the top level: they have ended, one way or other.
    All,
    /// What has certainly been decided before this one starts.
    Before(NodeId),
    /// The same, and this one.
    Through(NodeId),
}

impl Site {
    /// In the definition, outside of its tasks.
    pub fn top(tasks: Seen) -> Site {
        Site {
            level: ROOT,
            tasks,
            item: None,
            output: None,
            is_trigger: false,
            vars: true,
            event: false,
            error: false,
            secrets: false,
        }
    }

    /// In a task or a state, before it has run.
    pub fn task(level: CompositeId, id: NodeId) -> Site {
        Site { level, ..Site::top(Seen::Before(id)) }
    }

    pub fn with_item(self, id: NodeId) -> Site {
        Site { item: Some(id), ..self }
    }
}

/// Says where a name may be used that may not be used here.
pub(super) fn only(root: &str) -> &'static str {
    match root {
        "input" | "run" => "there is no run yet: a trigger makes the input from `event` and `vars`",
        "vars" => "a variable cannot be made from others; write the value, or use `input`",
        "tasks" => "no task has run here yet",
        "item" | "index" => "it is known only inside a task with `for_each`",
        "event" => "it is known only in transitions under `on`, and in triggers",
        "error" => {
            "it is known only in `retry.if`, `on.failed`, `compensate`, `on_failure` and \
             `finally`; elsewhere write `tasks.ID.error`"
        }
        "output" => {
            "it is known only in `next`, `on.done` and `output` of a state that has work; \
             elsewhere write `tasks.ID.output`"
        }
        "secrets" => {
            "a secret may stand only in `with` of a task that acts on the outside; anywhere else \
             it would be written to the journal"
        }
        _ => "it is not known here",
    }
}
