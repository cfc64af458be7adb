//! Executes a counterexample in the engine itself, held to its order.
//!
//! An engine starts whatever it can at once and takes results as they come. To hold it to one
//! order, every attempt waits for its turn inside its handler, the clock stands still until the
//! turn of a timer, and signals, votes and commands are sent when it is theirs. Sub-runs are real
//! runs of a stand-in definition whose only task waits for its turn, too.
//!
//! Delays with `jitter` are drawn by the engine: two that run at the same time may end in another
//! order than in the simulation, and the replay then says which turn never came.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::expr::Budget;
use surefoot_core::ids::RunId;
use surefoot_core::plan::{Plan, WorkPlan};
use surefoot_core::run::{By, Command, Run, TaskId, TaskStatus, Wait};
use surefoot_core::simulate::{
    Answer, BEGIN, Counterexample, Mismatch, Trace, Turn, replay as simulate, time_limit,
};
use surefoot_core::time::Millis;
use surefoot_store::MemoryStore;
use tokio::sync::oneshot;

use super::TestError;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{CommandError, Engine, StartRequest};
use crate::kinds::{Context, Kind, TaskError};

/// The handler that a stand-in for a sub-run waits in.
const SUB_RUN: &str = "replayed_sub_run";
/// Real time after which a turn that has not come never will: nothing here waits for anything.
const TURN_MAX: Duration = Duration::from_secs(10);
/// How often the run is looked at while a turn is awaited.
const LOOK: Duration = Duration::from_millis(1);
/// More than any definition has tasks.
const SLOTS: usize = 1_000_000;

/// What the engine did.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub trace: Trace,
    /// Whether the expected thing happened.
    pub is_reproduced: bool,
}

/// Why a counterexample could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is about something else, or does not hold in the simulation.
    #[error(transparent)]
    Mismatch(#[from] Box<Mismatch>),
    #[error("the definition has no workflow `{0}` that passes the checks")]
    NoPlan(String),
    #[error(transparent)]
    Engine(#[from] TestError),
    #[error("the engine does not follow: it never happens that {turn}")]
    NotFollowed { turn: Turn },
}

/// Executes a counterexample about a workflow of the given definitions, in an engine of its own
/// with a store in memory. Nothing outside is touched and nothing sleeps.
pub async fn replay(
    sources: &[String],
    counterexample: &Counterexample,
) -> Result<Replayed, ReplayError> {
    let (source, plan) = find(sources, &counterexample.workflow)
        .ok_or_else(|| ReplayError::NoPlan(counterexample.workflow.clone()))?;
    let simulated = simulate(&plan, counterexample).map_err(Box::new)?;
    let stage = Stage::open(source, &plan, &counterexample.input).await?;
    let followed = stage.follow(&simulated).await;
    let run = stage.run().await?;
    let history = crate::inspect::history(&*stage.store, stage.id).await;
    let history = history.map_err(|it| TestError::from(CommandError::from(it)))?;
    // Attempts that nobody answered are left alone.
    let _ = stage.engine.stop(Duration::ZERO).await;
    followed?;
    let trace = Trace {
        answers: simulated.answers,
        turns: simulated.turns,
        ..Trace::of_journal(&run, &history)
    };
    Ok(Replayed { is_reproduced: counterexample.expected.holds(&trace), trace })
}

fn find<'a>(sources: &'a [String], workflow: &str) -> Option<(&'a str, Arc<Plan>)> {
    let context = CheckContext { large: true, ..CheckContext::default() };
    sources.iter().find_map(|source| {
        let documents = check_source(source.as_bytes(), &context);
        let mut plans = documents.into_iter().filter_map(|it| it.plan);
        Some((source.as_str(), plans.find(|it| it.workflow == workflow)?))
    })
}

/// An engine in which nothing happens before its turn.
struct Stage {
    engine: Engine,
    store: Arc<MemoryStore>,
    clock: Arc<HeldClock>,
    actors: Actors,
    id: RunId,
}

impl Stage {
    async fn open(source: &str, plan: &Plan, input: &Value) -> Result<Stage, TestError> {
        let (store, actors) = (Arc::new(MemoryStore::new()), Actors::default());
        let clock = Arc::new(HeldClock(Mutex::new(BEGIN)));
        let mut config =
            Config { allow_unknown_handlers: true, allow_large: true, ..Config::default() };
        config.limits.slots = SLOTS;
        let mut builder =
            Engine::builder().store_with(store.clone()).clock(clock.clone()).config(config);
        for name in ["http", "sql", "file", "shell", "emit"].into_iter().chain(plan.handlers()) {
            builder = builder.kind(name, Arc::new(actors.clone()));
        }
        builder = builder.kind(SUB_RUN, Arc::new(StandIn(actors.clone())));
        let engine = builder.open().await?;
        for stand_in in stand_ins(plan) {
            engine.deploy(&stand_in).await?;
        }
        let deployed = engine.deploy(source).await?;
        let request = StartRequest::new(&deployed.workflow)
            .version(&deployed.version)
            .input(input.clone())
            .actor("simulation");
        let id = engine.start(request).await?.id();
        Ok(Stage { engine, store, clock, actors, id })
    }

    /// Lets every turn happen, one after the other.
    async fn follow(&self, simulated: &Trace) -> Result<(), ReplayError> {
        let mut answers = Answers::new(simulated);
        for turn in &simulated.turns {
            let done = match turn {
                Turn::Answer(path) => self.answer(path, &mut answers).await?,
                Turn::GiveUp(path) => self.give_up(path).await?,
                Turn::Event { name, data } => {
                    let (name, data) = (name.clone(), data.clone());
                    self.ask(Command::Signal { name, data }, By::actor("outside")).await?
                }
                Turn::Ask(command) => self.ask(command.clone(), By::actor("operator")).await?,
                Turn::Timer => match self.run().await?.next_due() {
                    Some(due) => self.go_to(due).await?,
                    None => false,
                },
                // There is a slot for everything.
                Turn::Start(_) => false,
            };
            if !done {
                return Err(ReplayError::NotFollowed { turn: turn.clone() });
            }
        }
        // The last decision may still be on its way.
        self.until(async |run| run.state().status == simulated.status).await?;
        Ok(())
    }

    async fn run(&self) -> Result<Run, TestError> {
        let run = crate::inspect::load(&*self.store, self.id).await;
        run.map_err(|it| CommandError::from(it).into())
    }

    /// Waits for something to hold of the run; false if it never does.
    async fn until(&self, condition: impl AsyncFn(&Run) -> bool) -> Result<bool, TestError> {
        let begin = Instant::now();
        while begin.elapsed() < TURN_MAX {
            if condition(&self.run().await?).await {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }

    async fn answer(&self, path: &str, answers: &mut Answers) -> Result<bool, ReplayError> {
        let is_asked = async |run: &Run| run.find(path).is_some_and(|it| self.is_asked(run, it));
        if !self.until(is_asked).await? {
            return Ok(false);
        }
        let run = self.run().await?;
        let Some(task) = run.find(path) else { return Ok(false) };
        let state = run.state().task(task);
        let Some(answer) = answers.next(path, state.attempt) else { return Ok(false) };
        if answer == Answer::TimeOut {
            let Some(due) = time_limit(&run, task) else { return Ok(false) };
            return self.go_to(due).await;
        }
        match place(&run, task) {
            Some(place) => {
                let result = match answer {
                    Answer::Complete(output) => Ok(output),
                    Answer::Fail(error) => Err(error),
                    Answer::TimeOut | Answer::Never => return Ok(false),
                };
                self.actors.release(&place, result);
                self.until_past(task, state.attempt).await
            }
            None => match answer.command(&run, task) {
                Some((command, by)) => self.ask(command, by).await,
                None => Ok(false),
            },
        }
    }

    /// Whether the task waits for the outside, and its attempt for its turn.
    fn is_asked(&self, run: &Run, task: TaskId) -> bool {
        let state = run.state().task(task);
        match place(run, task) {
            Some(place) => self.actors.holds(&place),
            None => {
                state.status == TaskStatus::Waiting
                    && matches!(state.wait(), Some(Wait::Approval(_) | Wait::Signal { .. }))
            }
        }
    }

    async fn give_up(&self, path: &str) -> Result<bool, ReplayError> {
        let is_stopping =
            async |run: &Run| run.find(path).is_some_and(|it| run.state().task(it).is_cancelling());
        if !self.until(is_stopping).await? {
            return Ok(false);
        }
        let run = self.run().await?;
        let Some(task) = run.find(path) else { return Ok(false) };
        if let Some(place) = place(&run, task) {
            let error = TaskError::new("cancelled", "the attempt was cancelled");
            self.actors.release(&place, Err(error));
        }
        self.until_past(task, run.state().task(task).attempt).await
    }

    /// Waits until an attempt no longer holds its task.
    async fn until_past(&self, task: TaskId, attempt: u32) -> Result<bool, ReplayError> {
        let is_past = async |run: &Run| {
            let state = run.state().task(task);
            let is_held = matches!(state.status, TaskStatus::Running | TaskStatus::Waiting);
            state.attempt != attempt || !is_held || run.state().status.is_terminal()
        };
        Ok(self.until(is_past).await?)
    }

    /// Asks something of the run. A refusal is an answer, too.
    async fn ask(&self, command: Command, by: By) -> Result<bool, ReplayError> {
        match self.engine.command(self.id, command, by).await {
            Ok(()) | Err(CommandError::Refused(_)) => Ok(true),
            Err(error) => Err(TestError::from(error).into()),
        }
    }

    /// Lets the clock go on, with every timer before it at its own time.
    async fn go_to(&self, time: Millis) -> Result<bool, ReplayError> {
        loop {
            let mut run = self.run().await?;
            let due = run.next_due().map_or(time, |it| it.min(time));
            self.clock.set(due);
            self.ask(Command::Tick, By::engine()).await?;
            if due >= time || run.state().status.is_terminal() {
                return Ok(true);
            }
        }
    }
}

/// Returns where the attempt of a task waits for its turn; nothing if it is no attempt.
fn place(run: &Run, task: TaskId) -> Option<Place> {
    let state = run.state().task(task);
    match (state.status, state.wait()) {
        (TaskStatus::Running, _) => Some(Place::Attempt(run.path(task), state.attempt)),
        (TaskStatus::Waiting, Some(Wait::Child { run })) => Some(Place::SubRun(*run)),
        _ => None,
    }
}

/// Writes a definition in place of each workflow that the plan starts.
fn stand_ins(plan: &Plan) -> Vec<String> {
    let mut written = BTreeMap::new();
    for node in &plan.nodes {
        let WorkPlan::Uses { kind, with } = &node.work else { continue };
        let whole = with.eval(&Map::new(), &Budget::default());
        // What only the input says has no stand-in, and fails to start.
        let Some(with) = whole.ok().filter(|_| &**kind == "workflow") else { continue };
        let Some(id) = with.get("id").and_then(Value::as_str) else { continue };
        if id == plan.workflow {
            continue;
        }
        let version = with.get("version").and_then(Value::as_str).unwrap_or("1");
        let stand_in = json!({
            "id": id,
            "version": version,
            "tasks": {"sub_run": {"uses": SUB_RUN}},
            "output": "${{ tasks.sub_run.output }}",
        });
        written.insert((id.to_owned(), version.to_owned()), stand_in.to_string());
    }
    written.into_values().collect()
}

/// The answers of a simulation, by path, in the order in which they were asked for.
struct Answers {
    left: BTreeMap<String, VecDeque<Answer>>,
    /// The attempt that was answered last: the votes of an approval are one answer.
    last: BTreeMap<String, (u32, Answer)>,
}

impl Answers {
    fn new(simulated: &Trace) -> Answers {
        let mut left: BTreeMap<String, VecDeque<Answer>> = BTreeMap::new();
        for (path, answer) in simulated.answers.iter().filter(|it| it.1 != Answer::Never) {
            left.entry(path.clone()).or_default().push_back(answer.clone());
        }
        Answers { left, last: BTreeMap::new() }
    }

    fn next(&mut self, path: &str, attempt: u32) -> Option<Answer> {
        if let Some((_, answer)) = self.last.get(path).filter(|it| it.0 == attempt) {
            return Some(answer.clone());
        }
        let answer = self.left.get_mut(path)?.pop_front()?;
        self.last.insert(path.to_owned(), (attempt, answer.clone()));
        Some(answer)
    }
}

/// Where an attempt waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Attempt(String, u32),
    SubRun(RunId),
}

type Answered = Result<Value, TaskError>;

/// All attempts that wait for their turn.
#[derive(Clone, Default)]
struct Actors(Arc<Mutex<BTreeMap<Place, oneshot::Sender<Answered>>>>);

impl Actors {
    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<Place, oneshot::Sender<Answered>>> {
        self.0.lock().expect("nobody panics while holding the lock")
    }

    async fn wait_at(&self, place: Place) -> Answered {
        let (turn, wait) = oneshot::channel();
        self.waiting().insert(place, turn);
        wait.await.unwrap_or_else(|_| Err(TaskError::new("cancelled", "the replay is over")))
    }

    fn holds(&self, place: &Place) -> bool {
        self.waiting().contains_key(place)
    }

    fn release(&self, place: &Place, result: Answered) {
        if let Some(turn) = self.waiting().remove(place) {
            // An attempt that was dropped meanwhile wants no answer.
            let _ = turn.send(result);
        }
    }
}

#[async_trait]
impl Kind for Actors {
    async fn run(&self, context: &Context, _with: Value) -> Answered {
        self.wait_at(Place::Attempt(context.task.clone(), context.attempt)).await
    }
}

/// What a sub-run does instead of its work.
struct StandIn(Actors);

#[async_trait]
impl Kind for StandIn {
    async fn run(&self, context: &Context, _with: Value) -> Answered {
        self.0.wait_at(Place::SubRun(context.run)).await
    }
}

/// A clock that stands still until it is set.
struct HeldClock(Mutex<Millis>);

impl HeldClock {
    fn set(&self, time: Millis) {
        let mut now = self.0.lock().expect("nobody panics while holding the lock");
        *now = (*now).max(time);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Millis {
        *self.0.lock().expect("nobody panics while holding the lock")
    }

    fn idle_horizon_ms(&self) -> u64 {
        0
    }
}
