//! Where every command meets its rule. The rules are in the files beside this one.

use std::cmp::Reverse;

use super::command::{Command, Refusal};
use super::event::*;
use super::index::{ScopeIndex, Step, Timer, is_active, outcome};
use super::payload::size;
use super::state::ScopeContent;
use super::status::{RunStatus, TaskStatus};
use super::{Run, TaskId};
use crate::ids::RunId;
use crate::join::Tally;
use crate::limits::ADVANCE_MAX;
use crate::plan::{CompositeId, CompositeKind};
use crate::task_error::TaskError;
use crate::time::Millis;

/// What a decision may ask of its surroundings, as data.
pub struct Env<'a> {
    pub now: Millis,
    /// Random bits, for jitter.
    pub draw: u64,
    /// Gives a slot to an attempt right now, or says that it has to queue.
    pub grant: &'a mut dyn FnMut(&Want<'_>) -> bool,
}

/// An attempt that wants a slot.
#[derive(Clone, Debug)]
pub struct Want<'a> {
    pub run: RunId,
    pub task: TaskId,
    pub kind: &'a str,
    pub priority: i32,
    /// The evaluated concurrency key of the task, and what it bounds.
    pub key: Option<&'a str>,
    pub limit: Option<u32>,
    pub rate: Option<crate::definition::Rate>,
}

/// What a command changed.
#[derive(Debug, Default)]
pub struct Decision {
    /// To be made durable before anything else happens. None if nothing changed.
    pub record: Option<Record>,
    /// Lines that `log` tasks wrote.
    pub logs: Vec<InlineLog>,
    /// Tasks whose effects to ask for once the record is durable.
    pub touched: Vec<TaskId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineLog {
    pub task: String,
    pub attempt: u32,
    pub level: String,
    pub text: String,
}

/// A decision in the making.
pub(super) struct Decider<'a, 'e> {
    pub run: &'a mut Run,
    pub env: &'a mut Env<'e>,
    pub by: By,
    pub events: Vec<Event>,
    pub logs: Vec<InlineLog>,
    draws: u64,
}

impl Run {
    /// Decides a command. The events of the returned record are applied already: make the record
    /// durable, or drop this run and load it again. A refusal has changed nothing, save that a
    /// stale result is worth a record of its own.
    pub fn decide(
        &mut self,
        command: Command,
        by: By,
        env: &mut Env<'_>,
    ) -> Result<Decision, Refusal> {
        let now = env.now.max(self.state.last_at);
        env.now = now;
        self.index.touched.clear();
        let mut decider =
            Decider { run: self, env, by, events: Vec::new(), logs: Vec::new(), draws: 0 };
        decider.command(command)?;
        decider.drain();
        let Decider { by, events, logs, .. } = decider;
        let touched = std::mem::take(&mut self.index.touched);
        if events.is_empty() {
            return Ok(Decision { record: None, logs, touched });
        }
        self.state.records += 1;
        self.state.last_at = now;
        Ok(Decision {
            record: Some(Record { v: RECORD_FORMAT, at: now, by, events }),
            logs,
            touched,
        })
    }
}

impl Decider<'_, '_> {
    fn command(&mut self, command: Command) -> Result<(), Refusal> {
        match command {
            Command::Admit => self.admit(),
            Command::Advance => Ok(()),
            Command::Tick => self.tick(),
            Command::Recover => self.recover(),
            Command::Dispatch { task, worker } => self.dispatch_queued(task, worker),
            Command::Complete { task, attempt, output } => self.complete(task, attempt, output),
            Command::Fail { task, attempt, error } => self.fail_attempt(task, attempt, error),
            Command::Beat { task, attempt } => self.beat(task, attempt),
            Command::Lost { task, attempt, reason } => self.lose(task, attempt, &reason),
            Command::ChildStarted { task, attempt, run } => self.await_child(task, attempt, run),
            Command::ChildEnded { task, run, status, output, error } => {
                self.child_ended(task, run, status, output, error)
            }
            Command::Signal { name, data } => self.signal(name, data),
            Command::Vote { task, approve, comment, data, groups } => {
                let actor = self.by.actor.clone();
                let vote = Vote { actor, approve, comment, data, at: self.now() };
                self.vote(task.as_deref(), vote, &groups)
            }
            Command::Pause => self.pause(),
            Command::Resume => self.resume(),
            Command::Cancel => self.cancel(),
            Command::Kill => self.kill(),
            Command::Retry => self.retry(),
            Command::Rewind { to } => self.rewind(&to),
            Command::Skip { task } => self.skip(&task),
            Command::SetResult { task, output } => self.set_result(&task, output),
        }
    }

    /// Looks at everything that the command has set in motion, up to a bound: what is left stays
    /// in the index, and the run asks to advance.
    fn drain(&mut self) {
        for _ in 0..ADVANCE_MAX {
            if self.run.state.status.is_terminal() {
                self.run.index.steps.clear();
                return;
            }
            let Some(step) = self.run.index.steps.pop_front() else { return };
            match step {
                Step::Consider(task) => self.consider(task),
                Step::Fill(scope) => self.fill(scope),
                Step::Settle(task) => self.settle(task),
                Step::Close(scope) => self.close(scope),
                Step::Conclude => self.next_part(),
            }
        }
    }

    pub fn now(&self) -> Millis {
        self.env.now
    }

    /// Returns fresh random bits for this decision (SplitMix64, Steele et al., OOPSLA 2014).
    pub fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut bits = self.env.draw.wrapping_add(self.draws.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    pub fn step(&mut self, step: Step) {
        self.run.index.steps.push_back(step);
    }

    /// Records an event about one task (or none) and keeps the index in step with it.
    pub fn emit(&mut self, event: Event) {
        let task = subject(&event);
        let before = task.map(|it| self.run.state.task(it).status);
        if let Event::Completed { task, output, .. } | Event::Given { task, output } = &event {
            self.index_output(*task, output.value());
        }
        self.run.state.evolve(&event, self.env.now);
        match &event {
            Event::Opened { scope, .. } | Event::Mapped { scope, .. } => self.index_opened(*scope),
            Event::Moved { scope, .. } => self.index_moved(*scope),
            // The others change no scope.
            _ => {}
        }
        if let (Some(task), Some(before)) = (task, before) {
            self.index_changed(task, before);
        }
        self.events.push(event);
    }

    /// Records an event that changes many tasks, and derives the index anew.
    pub fn emit_wide(&mut self, event: Event) {
        self.run.state.evolve(&event, self.env.now);
        let touched = self.run.state.tasks.len() as u32;
        self.events.push(event);
        let steps = std::mem::take(&mut self.run.index.steps);
        self.run.rebuild_index();
        // Steps that were due before the event stay first.
        let fresh = std::mem::replace(&mut self.run.index.steps, steps);
        self.run.index.steps.extend(fresh);
        self.run.index.touched.extend((0..touched).map(TaskId));
    }

    /// Records that a scope is stopped. Wide, but bounded by the scope.
    pub fn emit_stopped(&mut self, scope: ScopeId, cause: StopCause) {
        let before: Vec<_> =
            self.run.state.children(scope).map(|it| (it, self.run.state.task(it).status)).collect();
        let event = Event::Stopped { scope, cause };
        self.run.state.evolve(&event, self.env.now);
        self.events.push(event);
        self.run.index.scopes[scope.0 as usize].held.clear();
        for (task, status) in before {
            self.index_changed(task, status);
        }
        self.step(Step::Close(scope));
    }

    fn index_opened(&mut self, id: ScopeId) {
        let run = &mut *self.run;
        let scope = run.state.scope(id);
        let composite = run.plan.composite(CompositeId(scope.composite));
        run.index.scopes.push(ScopeIndex { open: scope.len, ..ScopeIndex::default() });
        run.index.tallies.resize(run.state.tasks.len(), Tally::default());
        match (&scope.content, &composite.kind) {
            (ScopeContent::Graph, CompositeKind::Graph { roots, .. }) => {
                for local in 0..scope.len {
                    let node = &run.plan.nodes[(composite.first + local) as usize];
                    run.index.tallies[(scope.first + local) as usize] =
                        Tally::new(node.needs.len() as u32);
                }
                let first = scope.first;
                run.index.steps.extend(roots.iter().map(|it| Step::Consider(TaskId(first + it))));
            }
            (ScopeContent::Map { .. }, _) => run.index.steps.push_back(Step::Fill(id)),
            (ScopeContent::Machine { .. } | ScopeContent::Graph, _) => {}
        }
        if scope.len == 0 {
            run.index.steps.push_back(Step::Close(id));
        }
    }

    /// A new output takes the place of the task's last one.
    fn index_output(&mut self, task: TaskId, output: &serde_json::Value) {
        let old = self.run.state.task(task).output.as_deref().map_or(0, |it| size(it, usize::MAX));
        let index = &mut self.run.index;
        index.context_bytes = index.context_bytes.saturating_sub(old) + size(output, usize::MAX);
    }

    /// A move gives the new state a fresh task and the machine new timers.
    fn index_moved(&mut self, id: ScopeId) {
        let run = &mut *self.run;
        let ScopeContent::Machine { after, .. } = &run.state.scope(id).content else { return };
        let timers = after.iter().filter(|it| **it > 0);
        run.index.timers.extend(timers.map(|it| Reverse((*it, Timer::After(id)))));
        let children = run.state.children(id).map(|it| run.state.task(it).status);
        let (mut open, mut active) = (0, 0);
        for status in children {
            open += u32::from(!status.is_ended());
            active += u32::from(is_active(status));
        }
        let entry = &mut run.index.scopes[id.0 as usize];
        (entry.open, entry.active) = (open, active);
    }

    /// Accounts for the change of one task's status.
    fn index_changed(&mut self, task: TaskId, before: TaskStatus) {
        let run = &mut *self.run;
        let state = run.state.task(task);
        let (after, scope_id) = (state.status, state.scope);
        run.index.touched.push(task);
        if let Some(due) = state.due {
            run.index.timers.push(Reverse((due, Timer::Task(task))));
        }
        if let Some(due) = state.escalates_at() {
            run.index.timers.push(Reverse((due, Timer::Task(task))));
        }
        if let Some(due) = run.beat_due(task) {
            run.index.timers.push(Reverse((due, Timer::Beat(task))));
        }
        if before == after {
            return;
        }
        if let Some(due) = state.total_due()
            && !after.is_ended()
        {
            run.index.timers.push(Reverse((due, Timer::Task(task))));
        }
        run.index.live += u32::from(run.is_live(task, after));
        run.index.live -= u32::from(run.is_live(task, before));
        let entry = &mut run.index.scopes[scope_id.0 as usize];
        entry.active += u32::from(is_active(after));
        entry.active -= u32::from(is_active(before));
        entry.open += u32::from(!after.is_ended());
        entry.open -= u32::from(!before.is_ended());
        if before.is_ended() == after.is_ended() {
            return;
        }
        if let Some(outcome) = outcome(after).filter(|_| !before.is_ended()) {
            run.tell_dependents(task, outcome);
            run.index.steps.push_back(Step::Settle(task));
        }
    }

    pub fn fatal(kind: &str, message: impl Into<String>) -> TaskError {
        TaskError::fatal(kind, message)
    }

    /// Refuses a verb in a status in which it makes no sense.
    pub fn refuse_run(&self, verb: &str, hint: &str) -> Refusal {
        let status = self.run.state.status;
        Refusal::Run { verb: verb.to_owned(), status, hint: hint.to_owned() }
    }

    pub fn is_over(&self) -> bool {
        self.run.state.status.is_terminal()
    }

    pub fn is_paused(&self) -> bool {
        self.run.state.status == RunStatus::Paused
    }
}

impl Run {
    /// Counts the end of a task at every join behind it.
    fn tell_dependents(&mut self, task: TaskId, outcome: crate::join::Outcome) {
        let scope = self.state.scope(self.state.task(task).scope);
        if !matches!(scope.content, ScopeContent::Graph) {
            return;
        }
        let plan = self.plan.clone();
        let composite = plan.composite(CompositeId(scope.composite));
        let node = &plan.nodes[(composite.first + (task.0 - scope.first)) as usize];
        for dependent in &node.dependents {
            let dependent = TaskId(scope.first + dependent);
            self.index.tallies[dependent.0 as usize].record(outcome);
            self.index.steps.push_back(Step::Consider(dependent));
        }
    }
}

/// The task whose status an event may change.
fn subject(event: &Event) -> Option<TaskId> {
    match event {
        Event::Queued { task, .. }
        | Event::Dispatched { task, .. }
        | Event::Waiting { task, .. }
        | Event::Entered { task, .. }
        | Event::Completed { task, .. }
        | Event::Retrying { task, .. }
        | Event::Failed { task, .. }
        | Event::Lost { task, .. }
        | Event::Skipped { task, .. }
        | Event::Cancelling { task, .. }
        | Event::Cancelled { task }
        | Event::Consumed { task, .. }
        | Event::Voted { task, .. }
        | Event::Escalated { task, .. }
        | Event::Undoing { task }
        | Event::Undone { task, .. }
        | Event::ChildLeft { task, .. }
        | Event::ChildGone { task, .. }
        | Event::Given { task, .. } => Some(*task),
        Event::Expired { task, .. } => *task,
        Event::Created(_)
        | Event::Started { .. }
        | Event::Opened { .. }
        | Event::Mapped { .. }
        | Event::Stopped { .. }
        | Event::Moved { .. }
        | Event::Elapsed { .. }
        | Event::Signalled { .. }
        | Event::Paused
        | Event::Resumed { .. }
        | Event::CancelAsked { .. }
        | Event::Concluded { .. }
        | Event::Ended { .. }
        | Event::Reset { .. } => None,
    }
}
