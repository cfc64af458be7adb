//! What a task does outside, and what happens when it does it twice.

use super::sql::{self, Again, Statement};
use super::with::{With, literal_text};
use crate::definition::{Effect, Task};
use crate::plan::is_built_in;
use crate::source::Content;

/// The effect of one task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    /// None: not known.
    pub effect: Option<Effect>,
    /// The author said so.
    pub is_declared: bool,
    /// Of an unsafe effect: why a second time is one too many, and how to mend that.
    pub why: &'static str,
    pub mend: &'static str,
}

impl Act {
    pub fn of(task: &Task) -> Act {
        if let Some(declared) = &task.effect {
            let why = "its effect is declared `unsafe`";
            let mend = "let the other side recognise repetitions, and declare `effect: keyed`";
            return Act { effect: Some(declared.value), is_declared: true, why, mend };
        }
        With::of(task).map_or(Act::known(Effect::None), |it| Act::of_kind(&it))
    }

    fn of_kind(with: &With<'_>) -> Act {
        match with.kind {
            "http" => http(with),
            "sql" => sql_task(with),
            "file" => file(with),
            "shell" => Act::unsafe_because(
                "nothing says what the command does when it is repeated",
                "declare what it does: `effect: none`, `idempotent`, or `keyed` if it heeds \
                 SUREFOOT_IDEMPOTENCY_KEY",
            ),
            // The event's id is the idempotency key.
            "emit" => Act::known(Effect::Keyed),
            // A sub-run has its own definition, which is checked on its own.
            "workflow" => Act::unknown(),
            kind if is_built_in(kind) => Act::known(Effect::None),
            // A handler is given the idempotency key, and is taken to heed it.
            _ => Act::unknown(),
        }
    }

    fn known(effect: Effect) -> Act {
        Act { effect: Some(effect), is_declared: false, why: "", mend: "" }
    }

    fn unknown() -> Act {
        Act { effect: None, is_declared: false, why: "", mend: "" }
    }

    fn unsafe_because(why: &'static str, mend: &'static str) -> Act {
        Act { effect: Some(Effect::Unsafe), is_declared: false, why, mend }
    }

    pub fn is_unsafe(&self) -> bool {
        self.effect == Some(Effect::Unsafe)
    }

    /// Whether it leaves something behind that a failed run would have to undo: each time
    /// something new. What is idempotent is put right by the next run.
    pub fn commits(&self) -> bool {
        matches!(self.effect, Some(Effect::Keyed | Effect::Unsafe))
    }
}

fn http(with: &With<'_>) -> Act {
    let method = match with.get("method") {
        None => "GET",
        Some(node) => literal_text(node).unwrap_or("POST"),
    };
    match method {
        "GET" | "HEAD" | "OPTIONS" => Act::known(Effect::None),
        "PUT" | "DELETE" => Act::known(Effect::Idempotent),
        _ if with.says("idempotency", false) => Act::unsafe_because(
            "`idempotency: false` sends no key that the server could tell a repetition by",
            "drop `idempotency: false`, or declare `effect: idempotent` if the server recognises \
             repetitions",
        ),
        _ => Act::known(Effect::Keyed),
    }
}

fn sql_task(with: &With<'_>) -> Act {
    let Some(statements) = statements(with) else { return Act::unknown() };
    if statements.iter().all(|it| it.writes.is_empty() && it.again == Again::Same) {
        return Act::known(Effect::None);
    }
    let again = |wanted: Again| statements.iter().any(|it| it.again == wanted);
    if !again(Again::More) && !again(Again::Unknown) {
        Act::known(Effect::Idempotent)
    } else if with.says("exactly_once", true) {
        Act::known(Effect::Keyed)
    } else if again(Again::More) {
        Act::unsafe_because(
            "a repeated attempt changes the data once more",
            "add `exactly_once: true`, which remembers in the same transaction that it was done",
        )
    } else {
        Act::unknown()
    }
}

/// Returns the statements of an `sql` task; None if one of them is not understood.
pub(super) fn statements(with: &With<'_>) -> Option<Vec<Statement>> {
    if let Some(query) = with.text("query") {
        return Some(vec![sql::statement(query)?]);
    }
    let Content::List(items) = &with.get("statements")?.content else { return None };
    let texts = items.iter().map(|it| literal_text(it).or_else(|| literal_text(it.get("query")?)));
    texts.map(|it| sql::statement(it?)).collect()
}

fn file(with: &With<'_>) -> Act {
    match with.text("op") {
        Some("read" | "list" | "glob" | "checksum" | "stat" | "exists") => Act::known(Effect::None),
        Some("append") => {
            Act::unsafe_because("a repeated `append` appends again", "`write` a file of its own")
        }
        Some(_) => Act::known(Effect::Idempotent),
        None => Act::unknown(),
    }
}
