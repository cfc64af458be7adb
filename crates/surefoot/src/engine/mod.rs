//! The engine: drives the rules of `surefoot-core` against a store.
//!
//! One loop ([`shard`]) owns all runs in memory. A message comes in, the core decides, the record
//! goes to the store with whatever else was decided meanwhile, and when it is durable its effects
//! begin. Attempts run beside the loop and come back as messages. Nothing else changes a run.
//!
//! | file | holds |
//! |---|---|
//! | `shard` | the loop, its turns, timers and the end |
//! | `resident` | a run in memory |
//! | `commit` | what is on its way to the store |
//! | `attempt` | how an attempt is executed |
//! | `admission` | concurrency limits over runs |
//! | `observe` | what is told to who counts |
//! | `definitions` | deployed definitions and their plans |
//! | `remote` | tasks that workers in other processes execute |
//! | `retention` | ended runs that may go |
//! | `request` | what is asked and answered |

mod admission;
mod attempt;
mod builder;
mod commit;
mod definitions;
mod observe;
mod remote;
mod request;
mod resident;
mod retention;
mod shard;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use surefoot_core::ids::RunId;
use surefoot_core::run::{By, Command, Parent, Run};
use surefoot_store::{RunRow, Store};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use builder::{EngineBuilder, OpenError};
pub(crate) use definitions::plan_of;
pub use definitions::{DeployError, Deployed, versions};
pub use observe::{Observation, Observer};
pub use remote::{
    Alive, Beat, Capability, Lease, LeaseError, LeaseInfo, RemoteConfig, Settled, TakeError,
    TakeRequest, Taken,
};
pub use request::{
    CommandError, ForkRequest, Inbox, RunOutcome, RunView, StartError, StartRequest, Statistics,
    Update,
};
pub(crate) use shard::SHARD;

use crate::clock::Clock;
use crate::config::Config;
use crate::inspect::InspectError;
use crate::secrets::Vault;
use attempt::Handlers;
use commit::Begun;
use definitions::Definitions;
use remote::Leases;
use request::Counters;
use shard::{Message, NewRun};

/// A running engine. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Message>,
}

/// What the loop, the attempts and the callers have in common.
pub(crate) struct Shared {
    pub store: Arc<dyn Store>,
    pub definitions: Definitions,
    pub handlers: Handlers,
    pub config: Config,
    pub vault: Vault,
    pub clock: Arc<dyn Clock>,
    pub updates: broadcast::Sender<Update>,
    pub counters: Counters,
    pub observer: Option<Arc<dyn Observer>>,
    /// Whether attempts are made here; without, decisions are only recorded.
    pub dispatches: bool,
    /// How workers in other processes are served, if they are.
    pub remote: Option<RemoteConfig>,
    pub leases: Mutex<Leases>,
}

impl Engine {
    /// Begins to set up an engine.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let engine = surefoot::Engine::builder().store("memory:").open().await.unwrap();
    /// assert_eq!(engine.statistics().runs_resident, 0);
    /// # });
    /// ```
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Checks a definition and keeps it, so that runs of it can be started. The same content again
    /// is the same version; other content under a version that exists is refused.
    pub async fn deploy(&self, source: &str) -> Result<Deployed, DeployError> {
        self.shared.definitions.deploy(source, self.now(), false).await
    }

    /// As [`Engine::deploy`], for a definition that is being worked on: where the version exists
    /// with other content, a part of the content's hash is added to it (`1.0.0+3fa2c1d0`).
    pub async fn deploy_draft(&self, source: &str) -> Result<Deployed, DeployError> {
        self.shared.definitions.deploy(source, self.now(), true).await
    }

    /// Makes a version that was deployed the one that new runs take. A deployment does so too.
    pub async fn activate(&self, workflow: &str, version: &str) -> Result<(), StartError> {
        self.shared.definitions.activate(workflow, version).await.map(drop)
    }

    /// Starts a run and returns once its start is durable. With a key that was used before for
    /// the same workflow and the same request, returns the run that was started then.
    pub async fn start(&self, request: StartRequest) -> Result<RunHandle, StartError> {
        Ok(self.begin(request, false).await?.handle)
    }

    /// As [`Engine::start`], and says what was started. `awaited` says whether its end will be
    /// waited for: a run whose end nobody waits for costs no memory while it waits.
    pub async fn begin(&self, request: StartRequest, awaited: bool) -> Result<Started, StartError> {
        let new = self.prepare(self.new_id(), request).await?;
        self.create(new, awaited).await
    }

    /// Starts a run and waits for its end.
    pub async fn execute(&self, request: StartRequest) -> Result<RunOutcome, StartError> {
        let started = self.begin(request, true).await?;
        let ended = started.end().await.map_err(|_| StartError::Stopping)?;
        Ok((*ended).into())
    }

    async fn create(&self, new: NewRun, awaited: bool) -> Result<Started, StartError> {
        let id = new.id;
        let (waiter, end) = awaited.then(oneshot::channel).unzip();
        let (reply, answer) = oneshot::channel();
        self.send(Message::Start { new: Box::new(new), reply, waiter }).await?;
        let begun = answer.await.map_err(|_| StartError::Stopping)??;
        Ok(match begun {
            Begun::New(view) => Started { handle: self.run(id), view: Some(view), end },
            Begun::Before(run) => Started { handle: self.run(run), view: None, end },
        })
    }

    /// Returns a handle on a run, whether it exists or not.
    pub fn run(&self, id: RunId) -> RunHandle {
        RunHandle { engine: self.clone(), id }
    }

    /// Asks something of a run, and returns once the answer is durable.
    pub async fn command(&self, run: RunId, command: Command, by: By) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Command { run, command, by, reply: Some(reply) };
        self.send(message).await.map_err(|_| CommandError::Stopping)?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Starts a new run with the results of an old one, up to (and without) a task: another input
    /// or version may be given. Only results of tasks at the top level are taken over.
    pub async fn fork(&self, run: RunId, request: ForkRequest) -> Result<RunHandle, StartError> {
        let old = crate::inspect::load(&*self.shared.store, run)
            .await
            .map_err(|error| StartError::Fork { reason: error.to_string() })?;
        let (start, fork) = request.apply(&old)?;
        let mut new = self.prepare(self.new_id(), start).await?;
        new.created.fork = Some(fork);
        Ok(self.create(new, false).await?.handle)
    }

    /// Removes a run that has ended, and its sub-runs, with inputs, outputs, journals and logs.
    /// Nothing of them can be read from the store afterwards.
    pub async fn erase(&self, run: RunId) -> Result<(), CommandError> {
        retention::erase(&self.shared, run).await
    }

    /// Returns everything that becomes durable from now on, and log lines as they come. A
    /// receiver that is slow misses some (`RecvError::Lagged`) and reads the store instead.
    pub fn subscribe(&self) -> broadcast::Receiver<Update> {
        self.shared.updates.subscribe()
    }

    /// Returns the settings that it was opened with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Returns the workflows that are deployed from now on. A receiver that is slow misses some
    /// (`RecvError::Lagged`) and reads the store instead.
    pub fn deployments(&self) -> broadcast::Receiver<String> {
        self.shared.definitions.deployments()
    }

    /// Returns a secret, for what comes in and must prove that its sender knows it. The value must
    /// not be kept, logged or answered.
    pub fn secret(&self, name: &str) -> Option<String> {
        use surefoot_core::run::Secrets as _;
        self.shared.vault.lend().get(name)
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Returns the plan that a new run of a workflow would follow: of the named version, or the
    /// newest.
    pub async fn plan(
        &self,
        workflow: &str,
        version: Option<&str>,
    ) -> Result<Arc<surefoot_core::plan::Plan>, StartError> {
        self.shared.definitions.find(workflow, version).await
    }

    /// Reads a run as the store has it. The plans of the engine serve, so this is cheaper than
    /// [`crate::inspect::load`].
    pub async fn load(&self, run: RunId) -> Result<Run, InspectError> {
        Ok(self.shared.load(run).await?.0)
    }

    /// Resolves once nothing is going on: what is left waits for people, signals, or times more
    /// than a minute away.
    pub async fn idle(&self) {
        let (reply, answer) = oneshot::channel();
        if self.messages.send(Message::Idle { reply }).await.is_ok() {
            // An engine that has stopped is idle too.
            let _ = answer.await;
        }
    }

    /// Stops taking tasks, gives the attempts in flight until `grace` to end, makes everything
    /// durable and gives the store back. What was cut off runs again when the store is opened next.
    pub async fn stop(&self, grace: Duration) -> Result<(), surefoot_store::Error> {
        let (reply, answer) = oneshot::channel();
        if self.messages.send(Message::Stop { grace, reply }).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }

    /// Returns the limits that it was opened with.
    pub fn limits(&self) -> &surefoot_core::limits::Limits {
        &self.shared.config.limits
    }

    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// Creates a run under an id that was chosen elsewhere, for an inbox.
    pub(crate) async fn prepare(
        &self,
        id: RunId,
        request: StartRequest,
    ) -> Result<NewRun, StartError> {
        self.shared.prepare(id, request, None).await
    }

    /// Returns the time that the engine goes by, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        self.shared.clock.now()
    }

    fn new_id(&self) -> RunId {
        RunId::new(self.now(), rand::random())
    }

    async fn send(&self, message: Message) -> Result<(), StartError> {
        self.messages.send(message).await.map_err(|_| StartError::Stopping)
    }
}

impl Shared {
    /// Checks a request against its definition.
    pub async fn prepare(
        &self,
        id: RunId,
        request: StartRequest,
        parent: Option<Parent>,
    ) -> Result<NewRun, StartError> {
        let plan = self.definitions.find(&request.workflow, request.version.as_deref()).await?;
        request.check(&plan, &self.config.limits)?;
        if self.remote.is_none() {
            self.handlers.check(&plan, &self.config)?;
        }
        request.into_new_run(id, plan, parent)
    }

    /// Reads a run and its row.
    pub async fn load(&self, id: RunId) -> Result<(Run, RunRow), InspectError> {
        let row = self.store.run(id).await?.ok_or(InspectError::NotFound(id))?;
        let plan = self.definitions.plan(row.definition, &row.workflow).await;
        let plan =
            plan.map_err(|error| InspectError::Unreadable { run: id, reason: error.to_string() })?;
        let state = crate::inspect::fold(&*self.store, id).await?;
        Ok((Run::new(plan, state, Arc::new(self.config.limits.clone())), row))
    }

    /// Whether workers in other processes execute this kind.
    pub fn is_remote(&self, kind: &str) -> bool {
        self.remote.is_some() && kind != "workflow" && self.handlers.get(kind).is_none()
    }

    pub fn observe(&self, observation: Observation<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(observation);
        }
    }

    pub fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().expect("nobody panics while holding the lock")
    }

    pub fn count(&self, counter: impl Fn(&Counters) -> &std::sync::atomic::AtomicU64, by: u64) {
        counter(&self.counters).fetch_add(by, Ordering::Relaxed);
    }
}

/// A run whose start is durable.
pub struct Started {
    pub handle: RunHandle,
    /// As it began; nothing if it was started before with the same key.
    pub view: Option<Box<RunView>>,
    end: Option<oneshot::Receiver<Box<RunView>>>,
}

impl Started {
    /// Returns once the run has ended, however long that takes.
    pub async fn end(self) -> Result<Box<RunView>, CommandError> {
        if let Some(end) = self.end
            && let Ok(view) = end.await
        {
            return Ok(view);
        }
        // Another run was there, or the loop has let go of this one.
        self.handle.end().await
    }
}

/// One run of an engine.
#[derive(Clone)]
pub struct RunHandle {
    engine: Engine,
    id: RunId,
}

impl RunHandle {
    pub fn id(&self) -> RunId {
        self.id
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns once the run has ended, however long that takes.
    pub async fn wait(&self) -> Result<RunOutcome, CommandError> {
        Ok((*self.end().await?).into())
    }

    /// As [`RunHandle::wait`], and says everything about the run.
    pub async fn end(&self) -> Result<Box<RunView>, CommandError> {
        let (waiter, end) = oneshot::channel();
        let message = Message::Wait { run: self.id, waiter };
        self.engine.messages.send(message).await.map_err(|_| CommandError::Stopping)?;
        // The loop drops the waiter of a run that has ended already, or does not exist.
        if let Ok(view) = end.await {
            return Ok(view);
        }
        let (run, row) = self.engine.shared.load(self.id).await?;
        match run.state().status.is_terminal() {
            true => Ok(Box::new(RunView::of(run.state(), row))),
            false => Err(CommandError::Stopping),
        }
    }

    /// Sends a signal, or the event of a machine.
    pub async fn signal(&self, name: &str, data: serde_json::Value) -> Result<(), CommandError> {
        let command = Command::Signal { name: name.to_owned(), data };
        self.command(command, By::actor("program")).await
    }

    pub async fn command(&self, command: Command, by: By) -> Result<(), CommandError> {
        self.engine.command(self.id, command, by).await
    }
}
