//! The loop of a worker: takes tasks, executes them, reports what became of them.
//!
//! There is one long poll for tasks, and while it waits another one, without slots, for results
//! and signs of life.

mod calls;
mod context;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use context::TaskContext;

use crate::client::Client;
use crate::error::Error;
use crate::wire::{PROTOCOL, Problem, RegisterWorker, TaskFailure};
use work::Session;

/// How long tasks may go on once the worker is to end, unless it says otherwise.
const GRACE: Duration = Duration::from_secs(20);
/// Pause before a server that does not answer is asked again; doubles up to the maximum.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Executes tasks of one kind.
pub type Handler = Arc<
    dyn Fn(TaskContext, Value) -> Pin<Box<dyn Future<Output = Result<Value, TaskFailure>> + Send>>
        + Send
        + Sync,
>;

/// A process that executes tasks of a server.
pub struct Worker {
    url: String,
    token: Option<String>,
    name: String,
    slots: u32,
    labels: BTreeMap<String, String>,
    handlers: HashMap<String, Handler>,
    grace: Duration,
}

/// Why a worker ended early.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the server does not take this worker: {}", .0.title)]
    Refused(Box<Problem>),
    #[error(transparent)]
    Client(Error),
}

impl Worker {
    pub fn new(url: &str) -> Worker {
        Worker {
            url: url.to_owned(),
            token: None,
            name: format!("worker-{}", std::process::id()),
            slots: 8,
            labels: BTreeMap::new(),
            handlers: HashMap::new(),
            grace: GRACE,
        }
    }

    pub fn token(self, token: &str) -> Worker {
        Worker { token: Some(token.to_owned()), ..self }
    }

    /// How people see it.
    pub fn name(self, name: &str) -> Worker {
        Worker { name: name.to_owned(), ..self }
    }

    /// Tasks that are executed at once.
    pub fn slots(self, slots: u32) -> Worker {
        Worker { slots, ..self }
    }

    pub fn label(mut self, name: &str, value: &str) -> Worker {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// How long tasks may go on once the worker is to end.
    pub fn grace(self, grace: Duration) -> Worker {
        Worker { grace, ..self }
    }

    /// Adds a function that executes the tasks that `use` this name.
    pub fn handler<F, Fut, I, O>(self, name: &str, function: F) -> Worker
    where
        F: Fn(TaskContext, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, TaskFailure>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        let handler: Handler = Arc::new(move |context, input| {
            let input: I = match serde_json::from_value(input) {
                Ok(input) => input,
                Err(error) => {
                    let text = format!("the input does not fit the handler: {error}");
                    return Box::pin(async { Err(TaskFailure::fatal("bad_input", text)) });
                }
            };
            let work = function(context, input);
            Box::pin(async move {
                serde_json::to_value(work.await?).map_err(|error| {
                    TaskFailure::fatal("bad_output", format!("the output has no JSON: {error}"))
                })
            })
        });
        self.raw_handler(name, handler)
    }

    /// Adds a handler that takes and gives plain JSON.
    pub fn raw_handler(mut self, name: &str, handler: Handler) -> Worker {
        self.handlers.insert(name.to_owned(), handler);
        self
    }

    /// Returns the handlers by name, to add them to another worker.
    pub fn into_handlers(self) -> HashMap<String, Handler> {
        self.handlers
    }

    /// Works until the future resolves or somebody drains the worker: then nothing new is taken,
    /// what runs may end, and the worker leaves. A server that does not answer is waited for.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let client = Client::new(&self.url, self.token.clone()).map_err(WorkerError::Client)?;
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let registered = tokio::select! {
                registered = self.register(&client) => registered?,
                () = &mut shutdown => return Ok(()),
            };
            let mut session = Session::new(&self, client.clone(), registered);
            if session.work(shutdown.as_mut()).await {
                return Ok(());
            }
            tracing::info!("the server no longer knows this worker; registering again");
        }
    }

    async fn register(
        &self,
        client: &Client,
    ) -> Result<crate::wire::RegisteredWorker, WorkerError> {
        let mut capabilities: Vec<String> = self.handlers.keys().cloned().collect();
        capabilities.sort_unstable();
        let said = RegisterWorker {
            name: self.name.clone(),
            capabilities,
            labels: self.labels.clone(),
            slots: self.slots,
            protocol: PROTOCOL,
            sdk: concat!("rust/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let mut pause = PAUSE;
        loop {
            match client.register(&said).await {
                Ok(registered) => {
                    tracing::info!(worker = %registered.worker, "registered");
                    return Ok(registered);
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the server does not answer; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(Error::Refused(problem)) => return Err(WorkerError::Refused(problem)),
                Err(error) => return Err(WorkerError::Client(error)),
            }
        }
    }
}
