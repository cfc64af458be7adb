//! How an engine is set up.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use surefoot_core::check::CheckContext;
use surefoot_store::{MemoryStore, Mode, SqliteStore, Store};
use tokio::sync::{broadcast, mpsc};

use super::attempt::Handlers;
use super::definitions::Definitions;
use super::remote::{Leases, RemoteConfig};
use super::shard::{MESSAGES_MAX, Shard};
use super::{Counters, Engine, Observer, Shared};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::handler::{AsyncHandler, BlockingHandler};
use crate::kinds::{Context, Kind, TaskError};
use crate::secrets::{Vault, VaultError};

/// Updates that a slow subscriber may be behind before it misses some.
const UPDATES_MAX: usize = 4096;

/// Collects what an engine needs. See [`Engine::builder`].
#[derive(Default)]
pub struct EngineBuilder {
    store: Option<StoreChoice>,
    program: Option<String>,
    handlers: Handlers,
    config: Config,
    clock: Option<Arc<dyn Clock>>,
    records_only: bool,
    remote: Option<RemoteConfig>,
    observer: Option<Arc<dyn Observer>>,
}

enum StoreChoice {
    Url(String),
    Store(Arc<dyn Store>),
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{0}` is not a store: write sqlite:PATH or memory:")]
    Url(String),
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
    #[error(transparent)]
    Secrets(#[from] VaultError),
    #[error("kinds.{kind}.rate: `{rate}` is not a rate: write it like 10/s or 100/m")]
    Rate { kind: String, rate: String },
    #[error("{0} is 0; it must be at least 1")]
    Zero(&'static str),
}

impl EngineBuilder {
    /// Where runs are kept: `sqlite:PATH` (one file, owned by one process) or `memory:`.
    pub fn store(self, url: &str) -> EngineBuilder {
        EngineBuilder { store: Some(StoreChoice::Url(url.to_owned())), ..self }
    }

    pub fn store_with(self, store: Arc<dyn Store>) -> EngineBuilder {
        EngineBuilder { store: Some(StoreChoice::Store(store)), ..self }
    }

    /// The name that others see while this process holds the store.
    pub fn program(self, name: &str) -> EngineBuilder {
        EngineBuilder { program: Some(name.to_owned()), ..self }
    }

    /// Adds an async function that tasks call by name (`uses: name`).
    pub fn handler<F, Fut, I, O>(mut self, name: &str, function: F) -> EngineBuilder
    where
        F: Fn(Context, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, TaskError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        self.handlers.add(name, Arc::new(AsyncHandler::new(function)));
        self
    }

    /// Adds a blocking function; each call has a thread while it runs. A call that never returns
    /// keeps its thread even after its time-out.
    pub fn blocking_handler<F, I, O>(mut self, name: &str, function: F) -> EngineBuilder
    where
        F: Fn(Context, I) -> Result<O, TaskError> + Send + Sync + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        self.handlers.add(name, Arc::new(BlockingHandler::new(function)));
        self
    }

    /// Adds a kind of task, or replaces a built-in one.
    pub fn kind(mut self, name: &str, kind: Arc<dyn Kind>) -> EngineBuilder {
        self.handlers.add(name, kind);
        self
    }

    pub fn config(self, config: Config) -> EngineBuilder {
        EngineBuilder { config, ..self }
    }

    pub fn clock(self, clock: Arc<dyn Clock>) -> EngineBuilder {
        EngineBuilder { clock: Some(clock), ..self }
    }

    /// Without dispatch, commands are decided and kept but no attempt is made: tasks queue until
    /// an engine with dispatch opens the store.
    pub fn dispatch(self, on: bool) -> EngineBuilder {
        EngineBuilder { records_only: !on, ..self }
    }

    /// Lets workers in other processes execute what this one has no handler for. Without, a run
    /// that needs such a handler is not started.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use surefoot::{Engine, RemoteConfig, StartRequest, TakeRequest};
    /// let engine = Engine::builder().remote_workers(RemoteConfig::default()).open().await.unwrap();
    /// engine.deploy("{id: shop, tasks: {pay: {uses: pay, with: {amount: 7}}}}").await.unwrap();
    /// let run = engine.start(StartRequest::new("shop")).await.unwrap();
    /// let ask = TakeRequest {
    ///     worker: "till-1".to_owned(),
    ///     capabilities: vec!["pay".to_owned()],
    ///     slots: 1,
    ///     wait: std::time::Duration::from_secs(5),
    ///     holding: None,
    ///     namespaces: None,
    /// };
    /// let taken = engine.take(ask).await.unwrap();
    /// assert_eq!(taken.tasks[0].input["amount"], 7);
    /// engine.settle(&taken.tasks[0].token, None, Ok("paid".into())).await.unwrap();
    /// assert_eq!(run.wait().await.unwrap().status, surefoot::RunStatus::Completed);
    /// # });
    /// ```
    pub fn remote_workers(self, config: RemoteConfig) -> EngineBuilder {
        EngineBuilder { remote: Some(config), ..self }
    }

    /// Tells somebody of everything that is worth counting.
    pub fn observer(self, observer: Arc<dyn Observer>) -> EngineBuilder {
        EngineBuilder { observer: Some(observer), ..self }
    }

    /// Opens the store, takes its runs over and goes on with them.
    pub async fn open(self) -> Result<Engine, OpenError> {
        if let Some(limit) = self.config.limits.impossible() {
            return Err(OpenError::Zero(limit));
        }
        let program = self.program.unwrap_or_else(program_name);
        let store = match self.store {
            Some(StoreChoice::Store(store)) => store,
            Some(StoreChoice::Url(url)) => open_store(&url, &program)?,
            None => open_store("memory:", &program)?,
        };
        let context = CheckContext { large: self.config.allow_large, ..CheckContext::default() };
        let mut handlers = self.handlers;
        handlers.add_built_in(&self.config);
        for kind in self.remote.iter().flat_map(|it| &it.kinds) {
            handlers.remove(kind);
        }
        let vault = Vault::read(&self.config.secrets)?;
        if !self.records_only {
            vault.open_kept(&*store).await?;
        }
        let lease = self.remote.clone().unwrap_or_default().lease;
        let shared = Arc::new(Shared {
            definitions: Definitions::new(store.clone(), context),
            handlers,
            vault,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            updates: broadcast::channel(UPDATES_MAX).0,
            counters: Counters::default(),
            observer: self.observer,
            dispatches: !self.records_only,
            remote: self.remote,
            leases: Mutex::new(Leases::new(lease)),
            store,
            config: self.config,
        });
        let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
        let engine = Engine { shared: shared.clone(), messages: messages.clone() };
        let shard = Shard::open(shared, messages.downgrade(), inbox).await?;
        tokio::spawn(shard.run());
        Ok(engine)
    }
}

fn open_store(url: &str, program: &str) -> Result<Arc<dyn Store>, OpenError> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryStore::new()));
    }
    let path = url.strip_prefix("sqlite:").filter(|it| !it.is_empty());
    // A URL of another kind may hold a password.
    let kind = || url.split_once("://").map_or(url, |it| it.0).to_owned();
    let path = PathBuf::from(path.ok_or_else(|| OpenError::Url(kind()))?);
    Ok(Arc::new(SqliteStore::open(&path, Mode::Owner { program: program.to_owned() })?))
}

fn program_name() -> String {
    let path = std::env::current_exe().ok();
    let name =
        path.as_deref().and_then(|it| it.file_name()).map(|it| it.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "surefoot".to_owned())
}
