//! Plays a test: an engine on a virtual clock, a script of what people do, a store that may break.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use surefoot_core::check::check_source;
use surefoot_core::ids::RunId;
use surefoot_core::run::{Run, TaskId};
use surefoot_core::time::Millis;
use surefoot_store::fault::FaultStore;
use surefoot_store::{MemoryStore, Store};
use tokio::sync::mpsc;

use super::mock::Mocks;
use super::{Step, TaskOutcome, TestError, TestKit, TestOutcome};
use crate::clock::{Clock, VirtualClock};
use crate::engine::{CommandError, Engine, RunHandle, StartError, StartRequest};

/// When every test begins.
const BEGIN: &str = "2027-01-01T00:00:00Z";
/// Starts that are answered by a broken store are asked again so often.
const STARTS_MAX: u32 = 20;

/// What one play needs.
pub(super) struct Play<'a> {
    pub store: Arc<MemoryStore>,
    pub mocks: &'a Mocks,
    /// The stores of one process after the other; the last one breaks nothing.
    pub faults: VecDeque<Arc<FaultStore<MemoryStore>>>,
    /// Called with the run as the store has it each time a process starts anew.
    pub between: Option<&'a mut dyn FnMut(&Run)>,
}

impl<'a> Play<'a> {
    pub fn new(store: Arc<MemoryStore>, mocks: &'a Mocks) -> Play<'a> {
        Play { store, mocks, faults: VecDeque::new(), between: None }
    }
}

/// Plays the whole test, process after process.
pub(super) async fn play(kit: &TestKit, mut play: Play<'_>) -> Result<TestOutcome, TestError> {
    let clock = Arc::new(ScriptClock::new(kit));
    let mut refused = Vec::new();
    let mut id = None;
    loop {
        let fault = play.faults.pop_front();
        let store: Arc<dyn Store> = match &fault {
            Some(fault) => fault.clone(),
            None => play.store.clone(),
        };
        let is_last = fault.is_none();
        let ended = process(kit, play.mocks, &clock, store, fault, &mut id, &mut refused).await;
        match ended {
            Ok(run) => return outcome(&play.store, run, play.mocks, refused).await,
            Err(Cut::Error(error)) => return Err(error),
            Err(Cut::Crash) if is_last => unreachable!("the last store breaks nothing"),
            Err(Cut::Crash) => {}
        }
        clock.holding.store(false, Ordering::SeqCst);
        if let (Some(between), Some(id)) = (&mut play.between, id)
            && let Ok(run) = crate::inspect::load(&*play.store, id).await
        {
            between(&run);
        }
    }
}

enum Cut {
    /// The process is gone.
    Crash,
    Error(TestError),
}

impl<E: Into<TestError>> From<E> for Cut {
    fn from(error: E) -> Cut {
        Cut::Error(error.into())
    }
}

/// One life of the engine: until the run has ended, cannot go on, or the process is cut off.
async fn process(
    kit: &TestKit,
    mocks: &Mocks,
    clock: &Arc<ScriptClock>,
    store: Arc<dyn Store>,
    fault: Option<Arc<FaultStore<MemoryStore>>>,
    id: &mut Option<RunId>,
    refused: &mut Vec<String>,
) -> Result<RunId, Cut> {
    let crashed = || fault.as_ref().is_some_and(|it| it.is_crashed());
    let crash_or = |error: TestError| if crashed() { Cut::Crash } else { Cut::Error(error) };
    let mut builder =
        Engine::builder().store_with(store).clock(clock.clone()).config(kit.config.clone());
    for name in kinds(kit) {
        builder = builder.kind(&name, mocks.kind(&name));
    }
    let engine = builder.open().await.map_err(|error| crash_or(error.into()))?;
    for other in &kit.others {
        engine.deploy(other).await.map_err(|error| crash_or(error.into()))?;
    }
    let deployed = engine.deploy(&kit.source).await.map_err(|error| crash_or(error.into()))?;
    let request = StartRequest::new(&deployed.workflow)
        .version(&deployed.version)
        .input(kit.input.clone())
        .key("test")
        .actor(&kit.actor);
    let run = start(&engine, request, &crashed).await?;
    *id = Some(run.id());
    let wait = run.wait();
    tokio::pin!(wait);
    loop {
        tokio::select! {
            biased;
            ended = &mut wait => {
                if crashed() {
                    return Err(Cut::Crash);
                }
                ended.map_err(|error| crash_or(error.into()))?;
                break;
            }
            step = clock.next_step() => {
                deliver(&run, clock, step, refused, &crashed).await?;
            }
            () = until(&crashed) => return Err(Cut::Crash),
            () = engine.idle(), if clock.is_exhausted() => break,
        }
    }
    // Whatever was left of the script was for a run that has ended.
    let stopped = engine.stop(Duration::ZERO).await;
    if stopped.is_err() && crashed() {
        return Err(Cut::Crash);
    }
    Ok(run.id())
}

/// Every name that needs an executor. Replacing all of them keeps a test from touching the world.
fn kinds(kit: &TestKit) -> Vec<String> {
    let mut names: Vec<String> =
        ["http", "sql", "file", "shell", "emit"].map(str::to_owned).to_vec();
    let context = surefoot_core::check::CheckContext { large: true, ..Default::default() };
    for source in kit.others.iter().chain([&kit.source]) {
        let documents = check_source(source.as_bytes(), &context);
        let plans = documents.iter().filter_map(|it| it.plan.as_ref());
        names.extend(plans.flat_map(|it| it.handlers()).map(str::to_owned));
    }
    names
}

async fn start(
    engine: &Engine,
    request: StartRequest,
    crashed: &impl Fn() -> bool,
) -> Result<RunHandle, Cut> {
    for _ in 0..STARTS_MAX {
        let started = tokio::select! {
            started = engine.start(request.clone()) => started,
            () = until(crashed) => return Err(Cut::Crash),
        };
        match started {
            Ok(run) => return Ok(run),
            Err(_) if crashed() => return Err(Cut::Crash),
            // Nobody knows whether it was started: asking again with the same key tells.
            Err(StartError::Store(_) | StartError::Stopping) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Cut::Error(StartError::Stopping.into()))
}

async fn deliver(
    run: &RunHandle,
    clock: &ScriptClock,
    (at, step): (Millis, Step),
    refused: &mut Vec<String>,
    crashed: &impl Fn() -> bool,
) -> Result<(), Cut> {
    let answer = tokio::select! {
        answer = run.command(step.command.clone(), step.by.clone()) => answer,
        () = until(crashed) => Err(CommandError::Stopping),
    };
    match answer {
        Ok(()) => {}
        Err(CommandError::Refused(refusal)) => refused.push(refusal.to_string()),
        // A person whose request was not confirmed asks again.
        Err(_) => clock.put_back(at, step),
    }
    clock.holding.store(false, Ordering::SeqCst);
    if crashed() { Err(Cut::Crash) } else { Ok(()) }
}

async fn until(condition: &impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn outcome(
    store: &MemoryStore,
    id: RunId,
    mocks: &Mocks,
    refused: Vec<String>,
) -> Result<TestOutcome, TestError> {
    let run = crate::inspect::load(store, id).await.map_err(CommandError::from)?;
    let history = crate::inspect::history(store, id).await.map_err(CommandError::from)?;
    let state = run.state();
    let tasks = (0..state.tasks.len() as u32).map(TaskId);
    let tasks = tasks.map(|task| {
        let it = state.task(task);
        let output = it.output.as_deref().cloned().unwrap_or_default();
        let outcome = TaskOutcome { status: it.status, attempts: it.attempt, output };
        (run.path(task), outcome)
    });
    Ok(TestOutcome {
        status: state.status,
        output: state.output.as_deref().cloned().unwrap_or_default(),
        error: state.error.as_deref().cloned(),
        tasks: tasks.collect::<BTreeMap<_, _>>(),
        calls: mocks.taken(),
        refused,
        took_ms: state.ended_at.unwrap_or(state.last_at) - state.created_at,
        history,
    })
}

/// A virtual clock that stops where the script has something to do.
struct ScriptClock {
    clock: VirtualClock,
    script: Mutex<VecDeque<(Millis, Step)>>,
    /// A step was handed out and not answered yet: time stands still.
    holding: AtomicBool,
    steps: mpsc::UnboundedSender<(Millis, Step)>,
    taken: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Millis, Step)>>,
}

impl ScriptClock {
    fn new(kit: &TestKit) -> ScriptClock {
        let clock = VirtualClock::at(BEGIN);
        let begin = clock.now();
        let at = |it: &Duration| begin + it.as_millis() as u64;
        let script = kit.script.iter().map(|(after, step)| (at(after), step.clone())).collect();
        let (steps, taken) = mpsc::unbounded_channel();
        let taken = tokio::sync::Mutex::new(taken);
        ScriptClock {
            clock,
            script: Mutex::new(script),
            holding: AtomicBool::new(false),
            steps,
            taken,
        }
    }

    fn script(&self) -> std::sync::MutexGuard<'_, VecDeque<(Millis, Step)>> {
        self.script.lock().expect("nobody panics while holding the lock")
    }

    async fn next_step(&self) -> (Millis, Step) {
        match self.taken.lock().await.recv().await {
            Some(step) => step,
            None => std::future::pending().await,
        }
    }

    fn put_back(&self, at: Millis, step: Step) {
        self.script().push_front((at, step));
    }

    fn is_exhausted(&self) -> bool {
        self.script().is_empty() && !self.holding.load(Ordering::SeqCst)
    }
}

impl Clock for ScriptClock {
    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn skip_to(&self, due: Millis) -> bool {
        if self.holding.load(Ordering::SeqCst) {
            return false;
        }
        let mut script = self.script();
        match script.front() {
            Some((at, _)) if *at <= due => {
                let (at, step) = script.pop_front().expect("there is one");
                self.clock.skip_to(at);
                self.holding.store(true, Ordering::SeqCst);
                // Without a receiver the test is over.
                let _ = self.steps.send((at, step));
                true
            }
            _ => self.clock.skip_to(due),
        }
    }

    fn idle_horizon_ms(&self) -> u64 {
        self.clock.idle_horizon_ms()
    }
}
