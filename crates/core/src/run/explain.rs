//! Answers for people: why a task is not running, which transitions are open, and what each event
//! of a journal means.

use serde::{Deserialize, Serialize};

use super::Run;
use super::event::*;
use super::machine::transitions;
use super::state::{RunState, ScopeContent};
use super::status::{RunStatus, TaskStatus};
use super::view::Seen;
use crate::definition::Join;
use crate::join::SkipCause;
use crate::plan::{CompositeId, CompositeKind};
use crate::time::{Duration, Millis};

/// Why a task is where it is, in a sentence, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    pub task: String,
    pub status: TaskStatus,
    pub since: Millis,
    /// The sentence, without its full stop.
    pub why: String,
    /// When something will happen by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Millis>,
}

/// A transition that leads out of a machine's current state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenTransition {
    /// Path of the machine; empty for the run's own.
    pub machine: String,
    pub from: String,
    /// The event that takes it, `done`, `failed`, or `after 72h`.
    pub on: String,
    pub to: String,
    pub open: bool,
    /// Why it is closed, or what it waits for.
    pub why: String,
}

impl Run {
    /// Says why a task is not running (or that it is).
    pub fn why(&self, task: TaskId, now: Millis) -> Why {
        let state = self.state.task(task);
        Why {
            task: self.path(task),
            status: state.status,
            since: state.since,
            why: self.sentence(task, now),
            due: state.due,
        }
    }

    fn sentence(&self, task: TaskId, now: Millis) -> String {
        let state = self.state.task(task);
        let more = state.more.as_deref();
        match state.status {
            TaskStatus::Pending => self.why_pending(task),
            TaskStatus::Ready => match more.and_then(|it| it.key.as_deref()) {
                Some(key) => format!("waits for a slot, and for its turn under `{key}`"),
                None => "waits for a slot; all are taken by tasks before it".to_owned(),
            },
            TaskStatus::Running if state.is_cancelling() => {
                "was asked to end and has a moment to do so".to_owned()
            }
            TaskStatus::Running if self.is_leaf(task) => {
                let limit = state.due.map(|it| format!(", at most for another {}", left(it, now)));
                format!("attempt {} is running{}", state.attempt, limit.unwrap_or_default())
            }
            TaskStatus::Running => "the tasks inside it are not all done".to_owned(),
            TaskStatus::Retrying => {
                let error =
                    state.error().map_or_else(String::new, |it| format!(" ({})", it.message));
                let when = state
                    .due
                    .map_or_else(|| "soon".to_owned(), |it| format!("in {}", left(it, now)));
                format!("attempt {} failed{error}, the next one starts {when}", state.attempt)
            }
            TaskStatus::Waiting => self.why_waiting(task, now),
            TaskStatus::Completed => {
                let given = more.is_some_and(|it| it.given);
                if given { "its result was set by hand" } else { "it is done" }.to_owned()
            }
            TaskStatus::Failed => match state.error() {
                Some(error) => format!("it failed: {}", error.message),
                None => "it failed".to_owned(),
            },
            TaskStatus::Skipped => why_skipped(more.and_then(|it| it.cause)).to_owned(),
            TaskStatus::Cancelled => "it was cancelled".to_owned(),
            TaskStatus::Compensated => "it was done, and undone when the run failed".to_owned(),
        }
    }

    fn why_pending(&self, task: TaskId) -> String {
        match self.state.status {
            RunStatus::Pending => {
                return "the run has not started: others hold its concurrency key".to_owned();
            }
            RunStatus::Paused => return "the run is paused".to_owned(),
            status if status.is_terminal() => return format!("the run was {status} before"),
            _ => {}
        }
        let scope_id = self.state.task(task).scope;
        let scope = self.state.scope(scope_id);
        match &scope.content {
            ScopeContent::Machine { current, .. } => {
                let current = current.map(|it| self.plan.child(CompositeId(scope.composite), it));
                let name = current.map_or_else(String::new, |it| self.plan.node(it).id.to_string());
                return format!("the machine is in state `{name}`");
            }
            ScopeContent::Map { .. } => return "items before it take all places".to_owned(),
            ScopeContent::Graph => {}
        }
        let tally = &self.index.tallies[task.0 as usize];
        if tally.waiting == 0 || self.held(scope_id, task) {
            let most = match self.plan.composite(CompositeId(scope.composite)).kind {
                CompositeKind::Graph { max_parallel: Some(most), .. } => most,
                _ => return "it is about to start".to_owned(),
            };
            return format!("max_parallel of its graph is {most}, and that many are under way");
        }
        self.why_needs(task, scope.first)
    }

    fn held(&self, scope: ScopeId, task: TaskId) -> bool {
        let held = &self.index.scopes[scope.0 as usize].held;
        held.iter().any(|(_, it)| *it == task)
    }

    fn why_needs(&self, task: TaskId, first: u32) -> String {
        const NAMED_MAX: usize = 5;
        let node = self.node(task);
        let open: Vec<String> = node
            .needs
            .iter()
            .map(|it| TaskId(first + it))
            .filter(|it| !self.state.task(*it).status.is_ended())
            .map(|it| format!("`{}` ({})", self.node(it).id, self.state.task(it).status))
            .collect();
        let more = open.len().saturating_sub(NAMED_MAX);
        let mut names = open[..open.len().min(NAMED_MAX)].join(", ");
        if more > 0 {
            names.push_str(&format!(" and {more} more"));
        }
        match node.join {
            Join::AnySuccess => format!("waits for one of {names} to complete"),
            Join::AllSuccess | Join::NoneFailed | Join::AnyFailed | Join::AllDone => {
                format!("waits for {names}")
            }
        }
    }

    fn why_waiting(&self, task: TaskId, now: Millis) -> String {
        let state = self.state.task(task);
        let limit = state.due.map(|it| format!(", at most for another {}", left(it, now)));
        let limit = limit.unwrap_or_default();
        match state.wait() {
            Some(Wait::Time { .. }) => {
                let due = state.due.unwrap_or(now);
                format!("waits for a time that comes in {}", left(due, now))
            }
            Some(Wait::Signal { name, .. }) => format!("waits for the signal `{name}`{limit}"),
            Some(Wait::Approval(approval)) => {
                let who = [&approval.users[..], &approval.groups[..]].concat();
                let who = if who.is_empty() { "anybody".to_owned() } else { who.join(", ") };
                let votes = state.more.as_ref().map_or(&[][..], |it| &it.votes);
                let got = votes.iter().filter(|it| it.approve).count();
                let count = if approval.quorum > 1 {
                    format!(" ({got} of {} approvals)", approval.quorum)
                } else {
                    String::new()
                };
                let next = approval.escalate.first().map(|it| {
                    let who = [&it.users[..], &it.groups[..]].concat();
                    format!(", {} in {}", who.join(", "), left(it.at, now))
                });
                let next = next.unwrap_or_default();
                format!("waits for the approval of {who}{next}{count}{limit}")
            }
            Some(Wait::Event) => {
                let on = self.node(task).state.iter().flat_map(|it| &it.on);
                let names: Vec<_> = on.map(|(name, _)| format!("`{name}`")).collect();
                format!("waits for an event: {}", names.join(", "))
            }
            Some(Wait::Child { run }) => format!("waits for the sub-run {run}{limit}"),
            None => "waits".to_owned(),
        }
    }

    /// Returns the transitions out of the current state of every machine of the run, and for each
    /// whether it is open and why not.
    pub fn transitions(&self, now: Millis) -> Vec<OpenTransition> {
        self.current_states().into_iter().rev().flat_map(|(_, it)| self.ways_out(it, now)).collect()
    }

    fn ways_out(&self, task: TaskId, now: Millis) -> Vec<OpenTransition> {
        let scope_id = self.state.task(task).scope;
        let scope = self.state.scope(scope_id);
        let node = self.node(task);
        let Some(state) = node.state.as_deref() else { return Vec::new() };
        let machine = scope.owner.map_or_else(String::new, |it| self.path(it));
        let worked = self.state.task(task).status.is_ended();
        let due = match &scope.content {
            ScopeContent::Machine { after, .. } => after.clone(),
            ScopeContent::Graph | ScopeContent::Map { .. } => Vec::new(),
        };
        let mut ways = Vec::new();
        let mut add = |on: String, way: &crate::plan::TransitionPlan, wait: Option<String>| {
            let to = self.plan.node(self.plan.child(CompositeId(scope.composite), way.to));
            let guard = self.guard(way, &Seen::by(scope_id, task));
            let (open, why) = match (guard, wait) {
                (Some(why), _) => (false, why),
                (None, Some(wait)) => (false, wait),
                (None, None) => (true, "can be taken now".to_owned()),
            };
            let (machine, from, to) = (machine.clone(), node.id.to_string(), to.id.to_string());
            ways.push(OpenTransition { machine, from, on, to, open, why });
        };
        for (name, _) in &state.on {
            for way in transitions(state, name) {
                let own = matches!(&**name, "done" | "failed");
                let wait = own.then(|| format!("taken when the work of the state is {name}"));
                add(name.to_string(), way, wait);
            }
        }
        for (place, (delay, all)) in state.after.iter().enumerate() {
            let at = due.get(place).copied().unwrap_or(0);
            let wait = if at == 0 {
                "its time has passed and its guard was false".to_owned()
            } else {
                format!("taken in {}", left(at, now))
            };
            all.iter().for_each(|way| add(format!("after {delay}"), way, Some(wait.clone())));
        }
        for way in &state.next {
            let wait = (!worked).then(|| "taken when the work of the state is done".to_owned());
            add("done".to_owned(), way, wait);
        }
        ways
    }

    /// Returns why a guard is closed. What needs the event is decided when the event comes.
    fn guard(&self, way: &crate::plan::TransitionPlan, seen: &Seen<'_>) -> Option<String> {
        let condition = way.condition.as_ref()?;
        let needs = |root: &str| condition.references().iter().any(|it| it.root == root);
        if needs("event") || needs("output") || needs("error") {
            return None;
        }
        match self.evaluate_bool(condition, seen) {
            Ok(true) => None,
            Ok(false) => Some(format!("`{}` is false", condition.source())),
            Err(error) => Some(error.message),
        }
    }

    /// Returns the name of a task for people who read the journal.
    fn name_of(&self, task: TaskId) -> String {
        if (task.0 as usize) < self.state.tasks.len() {
            self.path(task)
        } else {
            format!("#{}", task.0)
        }
    }

    /// Describes an event in a line: its kind, the task it is about, and what else is worth saying.
    pub fn describe(&self, event: &Event) -> (&'static str, String, String) {
        let named = |task: &TaskId| self.name_of(*task);
        let none = String::new;
        match event {
            Event::Created(it) => {
                ("created", none(), format!("{} {} by {}", it.workflow, it.version, it.actor))
            }
            Event::Started { .. } => ("started", none(), none()),
            Event::Opened { owner, len, .. } => {
                ("opened", owner.as_ref().map_or_else(none, named), format!("{len} tasks"))
            }
            Event::Mapped { owner, items, .. } => {
                let count = items.value().as_array().map_or(0, Vec::len);
                ("mapped", named(owner), format!("{count} items"))
            }
            Event::Queued { task, key, .. } => {
                ("queued", named(task), key.clone().unwrap_or_default())
            }
            Event::Dispatched { task, attempt, worker, .. } => {
                let by = worker.as_ref().map_or_else(none, |it| format!(" by {it}"));
                ("dispatched", named(task), format!("attempt {attempt}{by}"))
            }
            Event::Waiting { task, wait, .. } => ("waiting", named(task), wait_name(wait)),
            Event::Entered { task, .. } => ("entered", named(task), none()),
            Event::Completed { task, .. } => ("completed", named(task), none()),
            Event::Retrying { task, attempt, error, .. } => {
                ("retrying", named(task), format!("attempt {attempt}: {}", error.message))
            }
            Event::Failed { task, error, accepted } => {
                let note = if *accepted { " (accepted)" } else { "" };
                ("failed", named(task), format!("{}{note}", error.message))
            }
            Event::Lost { task, attempt, reason } => {
                ("lost", named(task), format!("attempt {attempt}: {reason}"))
            }
            Event::Skipped { task, cause } => {
                ("skipped", named(task), why_skipped(Some(*cause)).to_owned())
            }
            Event::Cancelling { task, .. } => ("cancelling", named(task), none()),
            Event::Cancelled { task } => ("cancelled", named(task), none()),
            Event::Stopped { cause, .. } => {
                let why = match cause {
                    StopCause::Failed => "a task failed",
                    StopCause::Cancelled => "cancelled",
                };
                ("stopped", none(), why.to_owned())
            }
            Event::Moved { scope, from, to, on, .. } => {
                ("moved", none(), self.describe_move(*scope, *from, *to, on.as_deref()))
            }
            Event::Elapsed { .. } => ("elapsed", none(), "no guard was true".to_owned()),
            Event::Expired { task, error } => {
                ("expired", task.as_ref().map_or_else(none, named), error.message.clone())
            }
            Event::Signalled { name, actor, .. } => {
                ("signalled", none(), format!("{name} by {actor}"))
            }
            Event::Consumed { task, .. } => ("consumed", named(task), none()),
            Event::Voted { task, vote } => {
                let word = if vote.approve { "approved" } else { "rejected" };
                ("voted", named(task), format!("{} {word}", vote.actor))
            }
            Event::Escalated { task, users, groups } => {
                let who = [&users[..], &groups[..]].concat();
                ("escalated", named(task), format!("to {}", who.join(", ")))
            }
            Event::Paused => ("paused", none(), none()),
            Event::Resumed { .. } => ("resumed", none(), none()),
            Event::CancelAsked { .. } => ("cancel asked", none(), none()),
            Event::Concluded { outcome, error, .. } => {
                let why = error.as_ref().map_or_else(none, |it| format!(": {}", it.error.message));
                ("concluded", none(), format!("{outcome}{why}"))
            }
            Event::Undoing { task } => ("undoing", named(task), none()),
            Event::Undone { task, error } => {
                ("undone", named(task), error.as_ref().map_or_else(none, |it| it.message.clone()))
            }
            Event::Ended { status, .. } => ("ended", none(), status.to_string()),
            Event::Reset { tasks, redo, .. } => {
                let word = if *redo { "rewound" } else { "retried" };
                (word, none(), format!("{} tasks", tasks.len()))
            }
            Event::ChildLeft { task, run } => {
                ("left a sub-run", named(task), format!("{run} is to end"))
            }
            Event::ChildGone { task, run } => ("sub-run gone", named(task), run.to_string()),
            Event::Given { task, .. } => ("given", named(task), none()),
        }
    }

    fn describe_move(
        &self,
        scope: ScopeId,
        from: Option<u32>,
        to: u32,
        on: Option<&str>,
    ) -> String {
        let composite = CompositeId(self.state.scope(scope).composite);
        let name = |it: u32| self.plan.node(self.plan.child(composite, it)).id.to_string();
        match from {
            Some(from) => format!("{} → {} ({})", name(from), name(to), on.unwrap_or_default()),
            None => format!("→ {}", name(to)),
        }
    }
}

impl RunState {
    /// Returns the tasks of the main part.
    pub fn children_of_root(&self) -> impl Iterator<Item = TaskId> + use<> {
        let root = self.scopes.first().map_or(0..0, |it| it.first..it.first + it.len);
        root.map(TaskId)
    }
}

fn why_skipped(cause: Option<SkipCause>) -> &'static str {
    match cause {
        Some(SkipCause::UpstreamFailed) => "a task that it needs failed",
        Some(SkipCause::UpstreamSkipped) => "a task that it needs was skipped",
        Some(SkipCause::NoSuccess) => "none of the tasks that it needs completed",
        Some(SkipCause::NoFailure) => "none of the tasks that it needs failed",
        Some(SkipCause::Condition) => "its condition was false",
        Some(SkipCause::Stopped) => "the graph around it ended before it could start",
        Some(SkipCause::ByHand) => "somebody skipped it",
        None => "it was skipped",
    }
}

fn wait_name(wait: &Wait) -> String {
    match wait {
        Wait::Time { .. } => "for a time".to_owned(),
        Wait::Signal { name, .. } => format!("for signal {name}"),
        Wait::Approval(_) => "for an approval".to_owned(),
        Wait::Event => "for an event".to_owned(),
        Wait::Child { run } => format!("for sub-run {run}"),
    }
}

fn left(due: Millis, now: Millis) -> Duration {
    let ms = due.saturating_sub(now);
    // People read seconds; milliseconds matter below one.
    Duration(if ms > 1000 { ms / 1000 * 1000 } else { ms })
}
