//! The tasks of a run as text: all of them, or what matters of many.

use std::fmt::Write as _;

use surefoot::TaskStatus;
use surefoot::core::run::{Run, RunError, TaskId, Wait};
use surefoot::core::time::Millis;
use surefoot::draw::sign;

use crate::output::table::{bar, cut};
use crate::output::time::took;
use crate::output::{harmless, style};

/// More tasks than this are counted, not listed.
pub const LISTED_MAX: usize = 40;
/// Of many tasks, so many running ones are shown.
const RUNNING_MAX: usize = 8;
const FAILED_MAX: usize = 8;
/// Of what waits for people, so much is shown with the command that answers it.
const ANSWERS_MAX: usize = 10;
const NAME_WIDTH: usize = 22;
const BAR_WIDTH: u32 = 20;

/// The tree under a headline, as a terminal sees it while the run goes on.
pub fn live(run: &Run, now: Millis, width: usize) -> String {
    let state = run.state();
    let (done, total) = state.progress();
    let since = state.started_at.unwrap_or(state.created_at);
    let mut text = format!(
        "{}  {}  {}  {}  {}\n",
        style::paint(style::HEADING, &state.created.workflow),
        run.id(),
        style::paint(style::run(state.status), state.status),
        bar(done, total, BAR_WIDTH),
        took(state.ended_at.unwrap_or(now).saturating_sub(since)),
    );
    text.push_str(&if run.state().tasks.len() > LISTED_MAX {
        counted(run, now, width)
    } else {
        listed(run, now, width)
    });
    text.push_str(&answers(run));
    text
}

/// The tree of `show`: every task, however many.
pub fn whole(run: &Run, now: Millis, width: usize) -> String {
    listed(run, now, width)
}

fn listed(run: &Run, now: Millis, width: usize) -> String {
    let mut text = String::new();
    for scope in (0..run.state().scopes.len() as u32).map(surefoot::core::run::ScopeId) {
        if run.state().scope(scope).owner.is_none() {
            children(run, scope, 1, now, width, &mut text);
        }
    }
    text
}

fn children(
    run: &Run,
    scope: surefoot::core::run::ScopeId,
    depth: usize,
    now: Millis,
    width: usize,
    text: &mut String,
) {
    for task in run.state().children(scope) {
        text.push_str(&line(run, task, depth, now, width));
        if let Some(inner) = run.state().task(task).inner {
            children(run, inner, depth + 1, now, width, text);
        }
    }
}

/// What matters of many tasks: how many of each status, the longest running, the failed.
fn counted(run: &Run, now: Millis, width: usize) -> String {
    let tasks = || (0..run.state().tasks.len() as u32).map(TaskId);
    let counts: Vec<String> = TaskStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let count = tasks().filter(|it| run.state().task(*it).status == status).count();
            let word = format!("{} {count} {status}", sign(status));
            (count > 0).then(|| style::paint(style::task(status), word))
        })
        .collect();
    let mut text = format!(" {}\n", counts.join(" · "));
    let with = |statuses: &[TaskStatus]| {
        let mut found: Vec<TaskId> =
            tasks().filter(|it| statuses.contains(&run.state().task(*it).status)).collect();
        found.sort_by_key(|it| run.state().task(*it).since);
        found
    };
    let running = with(&[TaskStatus::Running, TaskStatus::Retrying]);
    let failed = with(&[TaskStatus::Failed]);
    let shown = running.iter().take(RUNNING_MAX).chain(failed.iter().take(FAILED_MAX));
    shown.for_each(|it| text.push_str(&line(run, *it, 1, now, width)));
    text
}

/// One task: sign, name, status word, what there is to say.
pub fn line(run: &Run, task: TaskId, depth: usize, now: Millis, width: usize) -> String {
    let state = run.state().task(task);
    let name = if depth > 1 { short_name(run, task) } else { run.path(task) };
    let indent = "  ".repeat(depth - 1);
    let room = NAME_WIDTH.saturating_sub(indent.len());
    let name = harmless::line(&name);
    let head = format!(" {indent}{} {name:<room$} ", sign(state.status));
    let note = note(run, task, now);
    let rest = format!("{:<9} {}", state.status.name(), harmless::line(&note));
    let left = width.saturating_sub(head.chars().count());
    format!("{}{}\n", style::paint(style::task(state.status), head), cut(rest.trim_end(), left))
}

fn short_name(run: &Run, task: TaskId) -> String {
    let path = run.path(task);
    if run.is_item(task) {
        return format!("[{}]", run.local(task));
    }
    path.rsplit('.').next().unwrap_or(&path).to_owned()
}

fn note(run: &Run, task: TaskId, now: Millis) -> String {
    let state = run.state().task(task);
    let attempt = (state.attempt > 1).then(|| format!("attempt {}", state.attempt));
    let error = || state.error().map(|it| it.message.clone());
    let since = |at: Option<Millis>, to: Millis| at.map(|it| took(to.saturating_sub(it)));
    let parts: Vec<Option<String>> = match state.status {
        TaskStatus::Completed | TaskStatus::Compensated => {
            vec![since(state.started_at, state.since), attempt]
        }
        TaskStatus::Running => vec![since(Some(state.since), now), attempt],
        TaskStatus::Retrying => {
            let again = state.due.map(|it| format!("again in {}", took(it.saturating_sub(now))));
            vec![Some(format!("attempt {}", state.attempt)), error(), again]
        }
        TaskStatus::Failed => vec![error(), attempt],
        TaskStatus::Waiting => vec![Some(run.why(task, now).why)],
        TaskStatus::Skipped => vec![Some(run.why(task, now).why)],
        TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Cancelled => vec![],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// How to answer what the run waits for, from another terminal.
pub fn answers(run: &Run) -> String {
    if run.state().status.is_terminal() {
        return String::new();
    }
    let id = run.id();
    let mut text = String::new();
    let waiting = run.state().tasks.iter().enumerate().filter(|(_, it)| it.wait().is_some());
    for (at, state) in waiting.take(ANSWERS_MAX) {
        let path = || harmless::line(&run.path(TaskId(at as u32))).into_owned();
        match state.wait() {
            Some(Wait::Approval(approval)) => {
                let prompt = harmless::line(&approval.prompt);
                let _ = writeln!(text, "  {} {prompt}", style::paint(style::HELP, "asked:"));
                let _ = writeln!(
                    text,
                    "    surefoot task approve {id} {0}    surefoot task reject {id} {0}",
                    path()
                );
            }
            Some(Wait::Signal { name, .. }) => {
                let name = harmless::line(name);
                let _ = writeln!(text, "    surefoot signal {id} {name} -d '{{}}'");
            }
            Some(Wait::Time { .. } | Wait::Event | Wait::Child { .. }) | None => {}
        }
    }
    let events = run.transitions(0).into_iter().filter(|it| {
        it.open && it.on != "done" && it.on != "failed" && !it.on.starts_with("after ")
    });
    let mut names: Vec<String> = events.map(|it| it.on).collect();
    names.dedup();
    for name in names {
        let _ = writeln!(text, "    surefoot signal {id} {}", harmless::line(&name));
    }
    text
}

pub fn error_line(error: &RunError) -> String {
    let task = error.task.as_ref().map_or_else(String::new, |it| format!("`{it}` failed: "));
    let message = harmless::line(&error.error.message);
    let mut text =
        format!("{} {}{message}", style::paint(style::ERROR, "error"), harmless::line(&task));
    if !error.not_undone.is_empty() {
        let _ = write!(
            text,
            "\n  could not be undone, somebody must look: {}",
            harmless::line(&error.not_undone.join(", "))
        );
    }
    text
}
