//! A run that anybody may do anything to, for `lifecycle`: every command, late results included.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use surefoot_core::ids::RunId;
use surefoot_core::limits::Limits;
use surefoot_core::plan::Plan;
use surefoot_core::run::{
    By, Command, Created, Decision, Effect, Env, Payload, Record, Run, RunState, RunStatus,
    ScopeContent, ScopeId, TaskId, TaskState, TaskStatus, Wait, Want,
};
use surefoot_core::task_error::TaskError;

/// Attempts that may be lost, and moves between visits, that are told apart.
const COUNTED_MAX: u32 = 2;
/// Steps within which a run that is helped along ends.
const STEPS_MAX: usize = 300;

pub struct Lab {
    run: Run,
    now: u64,
    slots: u32,
}

/// One thing that somebody may do.
#[derive(Clone, Debug)]
pub enum Move {
    Ask(Command),
    /// The clock goes on to the next timer.
    Time,
}

/// One change of a status.
#[derive(Clone, Debug)]
pub enum Change {
    Run(RunStatus, RunStatus),
    Task(String, TaskStatus, TaskStatus),
}

/// A state without what only counts: attempts, records, absolute times.
pub type Print = String;

impl Lab {
    /// Creates a run that has not had its turn.
    pub fn new(source: &str, slots: u32) -> Lab {
        let plan: Arc<Plan> = super::plan(source);
        let created = Created {
            workflow: plan.workflow.clone(),
            version: plan.version.clone(),
            definition: plan.hash,
            input: Payload::new(json!({})),
            actor: "ann".to_owned(),
            key: None,
            labels: Default::default(),
            priority: 0,
            parent: None,
            concurrency_key: None,
            fork: None,
            traceparent: None,
            tracestate: None,
        };
        let limits = Arc::new(Limits::default());
        let (run, _) = Run::create(RunId::new(1, 1), plan, created, limits, 1, None);
        Lab { run, now: 1, slots }
    }

    pub fn fork(&self) -> Lab {
        let (plan, state) = (self.run.plan().clone(), self.run.state().clone());
        let mut run = Run::new(plan, state, Arc::new(Limits::default()));
        if run.has_more_to_do() {
            // What a load looks at again changes nothing.
            let looked = decide(&mut run, Command::Advance, self.now, u32::MAX).unwrap();
            assert_eq!(looked.record, None, "a reload changes the run:\n{self}");
        }
        Lab { run, now: self.now, slots: self.slots }
    }

    pub fn state(&self) -> &RunState {
        self.run.state()
    }

    pub fn status(&self) -> RunStatus {
        self.run.state().status
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Does something, and says which statuses changed, one event after the other.
    pub fn make(&mut self, step: &Move) -> Result<Vec<Change>, String> {
        let command = match step {
            Move::Ask(command) => command.clone(),
            Move::Time => {
                self.now = self.run.next_due().unwrap_or(self.now).max(self.now);
                Command::Tick
            }
        };
        let mut folded = self.run.state().clone();
        let mut changes = Vec::new();
        self.ask(command, &mut folded, &mut changes)?;
        while self.run.has_more_to_do() {
            self.ask(Command::Advance, &mut folded, &mut changes)?;
        }
        assert_eq!(&folded, self.run.state(), "the events fold to the state");
        Ok(changes)
    }

    fn ask(
        &mut self,
        command: Command,
        folded: &mut RunState,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        let busy = self.run.outstanding().iter().filter(|it| takes_slot(it)).count() as u32;
        let free = self.slots.saturating_sub(busy);
        let decision = decide(&mut self.run, command, self.now, free)?;
        let Some(record) = decision.record else { return Ok(()) };
        let records = folded.records;
        for event in record.events {
            let before = (folded.status, statuses(folded));
            let single =
                Record { v: record.v, at: record.at, by: record.by.clone(), events: vec![event] };
            folded.apply(&single);
            if before.0 != folded.status {
                changes.push(Change::Run(before.0, folded.status));
            }
            for (number, (before, after)) in before.1.iter().zip(statuses(folded)).enumerate() {
                if *before != after {
                    let path = self.run.path(TaskId(number as u32));
                    changes.push(Change::Task(path, *before, after));
                }
            }
        }
        folded.records = records + 1;
        Ok(())
    }

    /// Returns everything that somebody may try here, sensible or not.
    pub fn moves(&mut self) -> Vec<Move> {
        let mut moves: Vec<Command> = vec![
            Command::Admit,
            Command::Pause,
            Command::Resume,
            Command::Cancel,
            Command::Kill,
            Command::Retry,
            Command::Tick,
            Command::Recover,
        ];
        for name in ["go", "stop", "come", "nobody"] {
            moves.push(Command::Signal { name: name.to_owned(), data: Value::Null });
        }
        for effect in self.run.outstanding() {
            moves.extend(self.work(&effect));
        }
        for task in self.run.open_approvals() {
            moves.extend([true, false].map(|approve| self.vote(task, approve)));
        }
        for number in 0..self.run.state().tasks.len() as u32 {
            let task = TaskId(number);
            let path = self.run.path(task);
            if self.run.find(&path) != Some(task) {
                continue;
            }
            // Late, repeated or invented results.
            let attempt = self.run.state().task(task).attempt;
            moves.push(Command::Complete { task, attempt: attempt + 1, output: Value::Null });
            moves.push(Command::Skip { task: path.clone() });
            moves.push(Command::SetResult { task: path.clone(), output: json!(1) });
            moves.push(Command::Rewind { to: path });
        }
        let time = self.run.next_due().is_some().then_some(Move::Time);
        moves.into_iter().map(Move::Ask).chain(time).collect()
    }

    fn work(&self, effect: &Effect) -> Vec<Command> {
        let lost = |task: TaskId| self.run.state().task(task).lost() < COUNTED_MAX;
        match *effect {
            Effect::Queue { task } if self.free_slots() > 0 => {
                vec![Command::Dispatch { task, worker: None }]
            }
            Effect::Queue { .. } => Vec::new(),
            Effect::Execute { task, attempt } | Effect::Cancel { task, attempt } => {
                let mut ways = vec![
                    Command::Complete { task, attempt, output: json!(1) },
                    Command::Fail { task, attempt, error: TaskError::new("weak", "no") },
                    Command::Fail { task, attempt, error: TaskError::fatal("hard", "no") },
                    Command::Complete { task, attempt: attempt - 1, output: json!("late") },
                ];
                if lost(task) {
                    ways.push(Command::Lost { task, attempt, reason: "gone".to_owned() });
                }
                if self.run.kind(task) == Some("workflow") {
                    let run = RunId::new(1, u128::from(task.0) << 32 | u128::from(attempt));
                    ways.push(Command::ChildStarted { task, attempt, run });
                }
                ways
            }
            Effect::AwaitChild { task, run } | Effect::CancelChild { task, run } => {
                let ends = [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled];
                let end = |status| Command::ChildEnded {
                    task,
                    run,
                    status,
                    output: Value::Null,
                    error: None,
                };
                ends.map(end).into()
            }
        }
    }

    fn vote(&self, task: TaskId, approve: bool) -> Command {
        let task = Some(self.run.path(task));
        Command::Vote { task, approve, comment: None, data: Value::Null, groups: Vec::new() }
    }

    fn free_slots(&self) -> u32 {
        let busy = self.run.outstanding().iter().filter(|it| takes_slot(it)).count() as u32;
        self.slots.saturating_sub(busy)
    }

    /// Whether a task has neither ended nor failed.
    pub fn is_at_its_first_attempt(&self, path: &str) -> bool {
        let task = self.run.find(path).map(|it| self.run.state().task(it));
        task.is_some_and(|it| !it.status.is_ended() && it.failures == 0)
    }

    /// Helps the run along: whatever it waits for comes, and comes well. Says whether it ends.
    pub fn go_on(&mut self) -> bool {
        for _ in 0..STEPS_MAX {
            if self.status().is_terminal() {
                return true;
            }
            let helps = self.helps();
            if !helps.iter().any(|it| self.make(it).is_ok()) {
                return false;
            }
        }
        false
    }

    /// Returns what may help, the best first; what waits in vain refuses it.
    fn helps(&mut self) -> Vec<Move> {
        let status = self.status();
        match status {
            RunStatus::Pending => return vec![Move::Ask(Command::Admit)],
            RunStatus::Paused => return vec![Move::Ask(Command::Resume)],
            _ => {}
        }
        let mut helps: Vec<Command> = Vec::new();
        helps.extend(
            self.run.outstanding().iter().filter_map(|it| self.work(it).into_iter().next()),
        );
        helps.extend(self.run.open_approvals().into_iter().map(|it| self.vote(it, true)));
        let waits = self.run.state().tasks.iter().filter(|it| it.status == TaskStatus::Waiting);
        let names = waits.filter_map(|it| match it.wait() {
            Some(Wait::Signal { name, .. }) => Some(name.clone()),
            Some(Wait::Event) => Some("go".to_owned()),
            _ => None,
        });
        helps.extend(names.map(|name| Command::Signal { name, data: Value::Null }));
        let time = self.run.next_due().is_some().then_some(Move::Time);
        // A state that was decided by hand takes its events all the same.
        let go = Command::Signal { name: "go".to_owned(), data: Value::Null };
        helps.into_iter().map(Move::Ask).chain(time).chain([Move::Ask(go)]).collect()
    }

    /// Names the state by what its future depends on, with times as seen from now.
    pub fn print(&self) -> Print {
        use std::fmt::Write as _;
        let state = self.run.state();
        let left = |due: Option<u64>| due.map(|it| it.saturating_sub(self.now));
        let mut print = format!("{:?} {:?} {:?} ", state.status, state.outcome, left(state.due));
        let undo: Vec<String> = state.undo.iter().map(|it| self.run.path(it.task)).collect();
        let names: Vec<&str> = state.signals.iter().take(1).map(|it| &*it.name).collect();
        let reason = state.error.as_ref().map(|it| &it.error.kind);
        write!(
            print,
            "{undo:?} {:?} {:?} {names:?} {reason:?} {} {} ",
            state.undoing.map(|it| self.run.path(it)),
            state.handled,
            state.expired.is_some(),
            state.started_at.is_some(),
        )
        .unwrap();
        for number in 0..state.scopes.len() as u32 {
            let id = ScopeId(number);
            let scope = state.scope(id);
            let is_live = state.children(id).any(|it| !state.task(it).status.is_ended());
            let is_inner = scope.owner.is_some_and(|it| state.task(it).inner == Some(id));
            let is_part = scope.owner.is_none();
            if !is_live && !is_inner && !is_part {
                continue;
            }
            let place = match &scope.content {
                ScopeContent::Machine { current, after, .. } => {
                    let after: Vec<_> = after.iter().map(|it| left(Some(*it))).collect();
                    format!("{current:?}{after:?}")
                }
                ScopeContent::Graph | ScopeContent::Map { .. } => String::new(),
            };
            let failed = scope.failed.map(|it| it.0 - scope.first);
            write!(print, "| {} {:?} {failed:?} {place} ", scope.composite, scope.stopped).unwrap();
            for task in state.children(id) {
                write!(print, "{} ", self.print_task(state.task(task))).unwrap();
            }
        }
        print
    }

    fn print_task(&self, task: &TaskState) -> String {
        let left = |due: Option<u64>| due.map(|it| it.saturating_sub(self.now));
        let more = task.more.as_deref().map(|it| {
            (
                it.accepted,
                it.cause,
                it.cancelling,
                it.expired.is_some(),
                it.lost.min(COUNTED_MAX),
                it.votes.len(),
            )
        });
        format!(
            "{:?} {} {:?} {:?} {more:?}",
            task.status,
            task.failures,
            left(task.due),
            left(task.total_due())
        )
    }
}

fn decide(run: &mut Run, command: Command, now: u64, mut free: u32) -> Result<Decision, String> {
    let mut grant = |_: &Want<'_>| {
        let granted = free > 0;
        free = free.saturating_sub(1);
        granted
    };
    let mut env = Env { now, draw: 1, grant: &mut grant };
    run.decide(command, By::actor("bob"), &mut env).map_err(|it| it.to_string())
}

fn statuses(state: &RunState) -> Vec<TaskStatus> {
    state.tasks.iter().map(|it| it.status).collect()
}

fn takes_slot(effect: &Effect) -> bool {
    matches!(effect, Effect::Execute { .. } | Effect::Cancel { .. })
}

/// The statuses, for messages.
impl fmt::Display for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.status())?;
        for number in 0..self.run.state().tasks.len() as u32 {
            let task = TaskId(number);
            write!(f, ", {} {}", self.run.path(task), self.run.state().task(task).status)?;
        }
        Ok(())
    }
}
