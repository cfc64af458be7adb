//! A run and its surroundings, moved one act at a time: a virtual clock, slots, and whatever the
//! run has asked of the outside. The rules are those of `Run`; nothing of them is repeated here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::time_limit;
use super::oracle::{Answer, Ask, Asked, Choice, Turn};
use super::steps::Teller;
use super::trace::{End, Step, Trace, What};
use super::{Bounds, Clock};
use crate::ids::{Digest, RunId};
use crate::limits::Limits;
use crate::plan::{Plan, WorkPlan};
use crate::run::{
    By, Command, Created, Decision, Effect, Env, Event, Payload, Record, Refusal, Run, RunState,
    RunStatus, Secrets, TaskId, TaskStatus, Wait, Want,
};
use crate::task_error::TaskError;
use crate::time::Millis;

/// When every simulated run begins: 2027-01-01T00:00:00Z.
pub const BEGIN: Millis = 1_798_761_600_000;

/// Decisions that one act may need before the run is at rest; each looks at many tasks.
const ADVANCES_MAX: usize = 10_000;

/// One run in a simulated world.
pub struct World {
    run: Run,
    limits: Arc<Limits>,
    bounds: Bounds,
    now: Millis,
    teller: Teller,
    turns: Vec<Turn>,
    /// What the outside was asked, in order, and how it answered what was not withdrawn.
    asked: Vec<Question>,
    /// Attempts whose input was evaluated.
    begun: BTreeSet<(TaskId, u32)>,
    /// Approvals and signals whose answer was refused: nothing more comes for them.
    silenced: BTreeSet<(TaskId, u32)>,
    /// Events that no machine takes as long as none moves.
    refused_events: BTreeSet<(String, String)>,
}

impl World {
    /// Creates the run and lets it have its turn. The input is taken as it is.
    pub fn new(plan: &Arc<Plan>, input: &Value, bounds: Bounds) -> World {
        let created = Created {
            workflow: plan.workflow.clone(),
            version: plan.version.clone(),
            definition: plan.hash,
            input: Payload::new(input.clone()),
            actor: "simulation".to_owned(),
            key: None,
            labels: BTreeMap::new(),
            priority: 0,
            parent: None,
            concurrency_key: None,
            fork: None,
            traceparent: None,
            tracestate: None,
        };
        let id = RunId::new(BEGIN, 1);
        let limits = Arc::new(Limits::default());
        let teller = Teller::new(RunState::new(id, created.clone(), BEGIN));
        let (run, decision) = Run::create(id, plan.clone(), created, limits.clone(), BEGIN, None);
        let mut world = World {
            run,
            limits,
            bounds,
            now: BEGIN,
            teller,
            turns: Vec::new(),
            asked: Vec::new(),
            begun: BTreeSet::new(),
            silenced: BTreeSet::new(),
            refused_events: BTreeSet::new(),
        };
        world.take_note(decision);
        world.ask(Command::Admit, By::engine()).expect("a new run can always be admitted");
        world
    }

    /// Returns a copy that goes its own way from here.
    pub fn fork(&self) -> World {
        World {
            run: Run::new(self.run.plan().clone(), self.run.state().clone(), self.limits.clone()),
            limits: self.limits.clone(),
            bounds: self.bounds,
            now: self.now,
            teller: self.teller.clone(),
            turns: self.turns.clone(),
            asked: self.asked.clone(),
            begun: self.begun.clone(),
            silenced: self.silenced.clone(),
            refused_events: self.refused_events.clone(),
        }
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    pub fn has_ended(&self) -> bool {
        self.run.state().status.is_terminal()
    }

    /// What has happened so far.
    pub fn steps(&self) -> &[Step] {
        &self.teller.steps
    }

    /// Returns everything that may happen next. `answers` says how the outside may answer each of
    /// what is asked; each of its answers is a choice of its own.
    pub fn enabled(&mut self, answers: &mut dyn FnMut(&Ask<'_>) -> Vec<Answer>) -> Vec<Choice> {
        let mut enabled = Vec::new();
        if self.has_ended() {
            return enabled;
        }
        let effects = self.run.outstanding();
        self.offer_starts(&effects, &mut enabled);
        for task in self.open_tasks(&effects) {
            self.note_question(task);
            self.offer_answers(task, answers, &mut enabled);
        }
        let owed = !enabled.is_empty();
        self.offer_events(answers, &mut enabled);
        if !owed && self.run.state().status == RunStatus::Paused {
            enabled.push(Choice::Ask(Command::Resume));
        }
        if (!owed || self.bounds.clock == Clock::Eager) && self.run.next_due().is_some() {
            enabled.push(Choice::Timer);
        }
        enabled
    }

    /// Lets a choice happen.
    pub fn act(&mut self, choice: &Choice) {
        self.turns.push(choice.turn());
        match choice {
            Choice::Start { task, .. } => {
                self.must(Command::Dispatch { task: *task, worker: None });
            }
            Choice::Answer { task, answer, .. } => {
                self.note_answer(*task, answer);
                self.answer(*task, answer);
            }
            Choice::GiveUp { task, .. } => self.give_up(*task),
            Choice::Event { name, data } => {
                let command = Command::Signal { name: name.clone(), data: data.clone() };
                if self.ask(command, By::actor("outside")).is_err() {
                    self.refused_events.insert((name.clone(), data.to_string()));
                }
            }
            Choice::Timer => {
                if let Some(due) = self.run.next_due() {
                    self.go_to(due);
                }
            }
            Choice::Ask(command) => self.intervene(command.clone()),
        }
    }

    /// Asks something of the run that nobody has to grant; a refusal is noted.
    pub fn intervene(&mut self, command: Command) {
        if let Err(refusal) = self.ask(command, By::actor("operator")) {
            self.teller.note(What::Refused(refusal.to_string()), self.now);
        }
    }

    /// Names the state of the world by all that its future depends on, which is not how it was
    /// reached.
    pub fn fingerprint(&self) -> Digest {
        let mut state = self.run.state().clone();
        state.records = 0;
        let whole = (state, &self.silenced, &self.refused_events, self.now);
        Digest::of(&serde_json::to_vec(&whole).expect("a state has a text"))
    }

    /// Tells what happened, once it is over.
    pub fn into_trace(self, end: End) -> Trace {
        let answers = self.asked.into_iter().map(|it| (it.path, it.answer)).collect();
        Trace { answers, turns: self.turns, ..Trace::of_run(&self.run, self.teller.steps, end) }
    }

    // What may happen.

    fn offer_starts(&self, effects: &[Effect], enabled: &mut Vec<Choice>) {
        if self.free_slots() == 0 || self.run.state().status == RunStatus::Paused {
            return;
        }
        for effect in effects {
            if let Effect::Queue { task } = effect {
                enabled.push(Choice::Start { task: *task, path: self.run.path(*task) });
            }
        }
    }

    /// Returns the tasks that wait for the outside.
    fn open_tasks(&self, effects: &[Effect]) -> Vec<TaskId> {
        let executed = effects.iter().filter_map(|it| match it {
            Effect::Queue { .. } => None,
            Effect::Execute { task, .. }
            | Effect::AwaitChild { task, .. }
            | Effect::Cancel { task, .. }
            | Effect::CancelChild { task, .. } => Some(*task),
        });
        let takes_signals = self.run.state().status != RunStatus::Cancelling;
        let tasks = (0..self.run.state().tasks.len() as u32).map(TaskId);
        let waiting = tasks.filter(|it| {
            let state = self.run.state().task(*it);
            let is_open = match state.wait() {
                Some(Wait::Approval(_)) => true,
                Some(Wait::Signal { .. }) => takes_signals,
                _ => false,
            };
            is_open
                && state.status == TaskStatus::Waiting
                && !self.silenced.contains(&(*it, state.attempt))
        });
        executed.chain(waiting).collect()
    }

    fn asked_of(&self, task: TaskId) -> Asked<'_> {
        let state = self.run.state().task(task);
        match (state.wait().filter(|_| state.status == TaskStatus::Waiting), self.run.kind(task)) {
            (Some(Wait::Approval(_)), _) => Asked::Approval,
            (Some(Wait::Signal { name, .. }), _) => Asked::Signal(name),
            (_, Some("workflow")) => Asked::SubRun,
            (_, kind) => Asked::Work(kind.unwrap_or_default()),
        }
    }

    /// Offers what the outside may answer about a task. What was asked to end may give up, and may
    /// end well before it hears of it.
    fn offer_answers(
        &self,
        task: TaskId,
        answers: &mut dyn FnMut(&Ask<'_>) -> Vec<Answer>,
        enabled: &mut Vec<Choice>,
    ) {
        let (path, line) = (self.run.path(task), self.run.node(task).line);
        let state = self.run.state().task(task);
        let what = self.asked_of(task);
        if state.is_cancelling() {
            enabled.push(Choice::GiveUp { task, path: path.clone() });
        }
        let is_limited = time_limit(&self.run, task).is_some();
        let attempt = state.attempt;
        for answer in answers(&Ask { task, path: &path, line, attempt, is_limited, what }) {
            let happens = match &answer {
                Answer::Complete(_) => true,
                Answer::Fail(_) => !state.is_cancelling(),
                Answer::TimeOut => !state.is_cancelling() && is_limited,
                Answer::Never => false,
            };
            if happens {
                enabled.push(Choice::Answer { task, path: path.clone(), answer });
            }
        }
    }

    fn note_question(&mut self, task: TaskId) {
        let attempt = self.run.state().task(task).attempt;
        if !self.asked.iter().rev().any(|it| (it.task, it.attempt) == (task, attempt)) {
            let path = self.run.path(task);
            self.asked.push(Question { task, attempt, path, answer: Answer::Never });
        }
    }

    fn note_answer(&mut self, task: TaskId, answer: &Answer) {
        let attempt = self.run.state().task(task).attempt;
        let asked = self.asked.iter_mut().rev();
        if let Some(question) =
            asked.into_iter().find(|it| (it.task, it.attempt) == (task, attempt))
        {
            question.answer = answer.clone();
        }
    }

    /// Events are offered once for each machine that knows them, the innermost first, as they are
    /// taken. One that was refused is offered again when a machine has moved.
    fn offer_events(
        &self,
        answers: &mut dyn FnMut(&Ask<'_>) -> Vec<Answer>,
        enabled: &mut Vec<Choice>,
    ) {
        if self.run.state().status == RunStatus::Cancelling {
            return;
        }
        let mut known = BTreeSet::new();
        for (_, task) in self.run.current_states() {
            let (path, node) = (self.run.path(task), self.run.node(task));
            for (name, _) in node.state.iter().flat_map(|it| &it.on) {
                let is_own = matches!(&**name, "done" | "failed");
                if is_own || !known.insert(name.clone()) {
                    continue;
                }
                let (line, attempt) = (node.line, self.run.state().task(task).attempt);
                let what = Asked::Event(name);
                let ask = Ask { task, path: &path, line, attempt, is_limited: false, what };
                for answer in answers(&ask) {
                    let Answer::Complete(data) = answer else { continue };
                    let place = (name.to_string(), data.to_string());
                    if !self.refused_events.contains(&place) {
                        enabled.push(Choice::Event { name: place.0, data });
                    }
                }
            }
        }
    }

    fn free_slots(&self) -> u32 {
        let busy = self.run.outstanding().iter().filter(|it| takes_slot(it)).count();
        self.bounds.slots.saturating_sub(busy as u32)
    }

    // What happens.

    fn answer(&mut self, task: TaskId, answer: &Answer) {
        if *answer == Answer::TimeOut {
            let due = time_limit(&self.run, task);
            return self.go_to(due.expect("only what has a limit is let to time out"));
        }
        let attempt = self.run.state().task(task).attempt;
        let asked = answer.command(&self.run, task).map(|(command, by)| self.ask(command, by));
        match asked {
            Some(Ok(())) => {}
            Some(Err(refusal)) => {
                self.teller.note(What::Refused(refusal.to_string()), self.now);
                self.silenced.insert((task, attempt));
            }
            None => drop(self.silenced.insert((task, attempt))),
        }
    }

    fn give_up(&mut self, task: TaskId) {
        let state = self.run.state().task(task);
        let command = match state.wait().filter(|_| state.status == TaskStatus::Waiting) {
            Some(Wait::Child { run }) => Command::ChildEnded {
                task,
                run: *run,
                status: RunStatus::Cancelled,
                output: Value::Null,
                error: None,
            },
            _ => {
                let error = TaskError::new("cancelled", "the attempt was cancelled");
                Command::Fail { task, attempt: state.attempt, error }
            }
        };
        self.must(command);
    }

    /// Lets the clock go on to a time, with every timer before it at its own.
    fn go_to(&mut self, time: Millis) {
        loop {
            let due = self.run.next_due().map_or(time, |it| it.min(time));
            self.now = self.now.max(due);
            self.must(Command::Tick);
            if due >= time || self.has_ended() {
                return;
            }
        }
    }

    /// Asks what the run cannot refuse, because it has just offered it.
    fn must(&mut self, command: Command) {
        if let Err(refusal) = self.ask(command, By::engine()) {
            self.teller.note(What::Refused(refusal.to_string()), self.now);
        }
    }

    fn ask(&mut self, command: Command, by: By) -> Result<(), Refusal> {
        let decision = self.decide(command, by)?;
        self.take_note(decision);
        for _ in 0..ADVANCES_MAX {
            if let Some(command) = self.next_chore() {
                let decision = self.decide(command, By::engine())?;
                self.take_note(decision);
            } else {
                break;
            }
        }
        Ok(())
    }

    fn decide(&mut self, command: Command, by: By) -> Result<Decision, Refusal> {
        let mut free = self.free_slots();
        let mut grant = |_: &Want<'_>| {
            let granted = free > 0;
            free = free.saturating_sub(1);
            granted
        };
        let draw = self.run.state().records;
        let mut env = Env { now: self.now, draw, grant: &mut grant };
        self.run.decide(command, by, &mut env)
    }

    /// Returns what an engine does by itself after a decision: goes on with what was left over,
    /// begins attempts, starts sub-runs.
    fn next_chore(&mut self) -> Option<Command> {
        if self.run.has_more_to_do() {
            return Some(Command::Advance);
        }
        // What nobody waits for any more ends as it is asked to.
        if let Some(left) = self.run.state().left.first() {
            return Some(Command::ChildEnded {
                task: left.task,
                run: left.run,
                status: RunStatus::Cancelled,
                output: Value::Null,
                error: None,
            });
        }
        for effect in self.run.outstanding() {
            let Effect::Execute { task, attempt } = effect else { continue };
            if !self.begun.insert((task, attempt)) {
                continue;
            }
            let input = match self.run.attempt_input(task, &AnySecret) {
                Ok(input) => input,
                Err(error) => return Some(Command::Fail { task, attempt, error }),
            };
            let is_child = matches!(&self.run.node(task).work,
                WorkPlan::Uses { kind, .. } if &**kind == "workflow");
            if is_child {
                let run = RunId::child(self.run.id(), &self.run.path(task), attempt);
                let awaited = input.get("wait").and_then(Value::as_bool).unwrap_or(true);
                return Some(match awaited {
                    true => Command::ChildStarted { task, attempt, run },
                    false => Command::Complete { task, attempt, output: json!({"run": run}) },
                });
            }
        }
        None
    }

    fn take_note(&mut self, decision: Decision) {
        let Some(record) = decision.record else { return };
        if moves(&record) {
            self.refused_events.clear();
        }
        self.teller.tell(self.run.plan(), &record);
    }
}

fn takes_slot(effect: &Effect) -> bool {
    matches!(effect, Effect::Execute { .. } | Effect::Cancel { .. })
}

fn moves(record: &Record) -> bool {
    record.events.iter().any(|it| matches!(it, Event::Moved { .. } | Event::Elapsed { .. }))
}

/// Something that the outside was asked.
#[derive(Clone, Debug)]
struct Question {
    task: TaskId,
    attempt: u32,
    path: String,
    answer: Answer,
}

/// A simulation knows no secret, and every name has one.
struct AnySecret;

impl Secrets for AnySecret {
    fn get(&self, name: &str) -> Option<String> {
        Some(format!("secret {name}"))
    }
}
