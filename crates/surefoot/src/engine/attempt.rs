//! How one attempt is executed: beside the loop, reporting to it when it has ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::plan::Plan;
use surefoot_core::run::TaskId;
use surefoot_store::LogLine;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::request::{StartError, Update};
use super::shard::Message;
use crate::config::Config;
use crate::kinds::{Context, Kind, LogSink, TaskError};
use crate::secrets::Blotter;

/// How long an attempt may go on after it was asked to end, before it is dropped.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Everything that can execute an attempt, by name.
#[derive(Default)]
pub(crate) struct Handlers(HashMap<String, Arc<dyn Kind>>);

impl Handlers {
    pub fn add(&mut self, name: &str, kind: Arc<dyn Kind>) {
        self.0.insert(name.to_owned(), kind);
    }

    /// Adds the built-in kinds, but for those that were replaced.
    pub fn add_built_in(&mut self, config: &Config) {
        for (name, kind) in crate::kinds::built_in(config) {
            self.0.entry(name.to_owned()).or_insert(kind);
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Kind>> {
        self.0.get(name).cloned()
    }

    /// Refuses a plan that names a handler that nobody here has.
    pub fn check(&self, plan: &Plan, config: &Config) -> Result<(), StartError> {
        if config.allow_unknown_handlers {
            return Ok(());
        }
        let missing = plan.handlers().into_iter().filter(|it| !self.0.contains_key(*it));
        let names: Vec<String> = missing.map(str::to_owned).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut known: Vec<String> = self.0.keys().cloned().collect();
        known.sort_unstable();
        Err(StartError::MissingHandlers { names, known })
    }
}

/// One attempt that is about to be made.
pub(super) struct Ticket {
    pub run: RunId,
    pub workflow: String,
    pub task: TaskId,
    pub path: String,
    pub attempt: u32,
    pub idempotency_key: String,
    pub actor: String,
    pub traceparent: String,
    pub tracestate: String,
    pub deadline: Option<u64>,
    pub kind: Arc<dyn Kind>,
    pub input: Value,
    pub blotter: Blotter,
    pub cancel: CancellationToken,
}

/// Executes an attempt and reports how it ended.
pub(super) async fn execute(
    shared: Arc<Shared>,
    ticket: Ticket,
    messages: mpsc::WeakSender<Message>,
) {
    let (run, task, attempt) = (ticket.run, ticket.task, ticket.attempt);
    let context = context(&shared, &ticket, &messages);
    let work = AssertUnwindSafe(ticket.kind.run(&context, ticket.input)).catch_unwind();
    let result = tokio::select! {
        result = work => result.unwrap_or_else(|panic| Err(panicked(&*panic))),
        () = too_late(&ticket.cancel) => {
            Err(TaskError::new("cancelled", "the attempt did not end when it was asked to"))
        }
    };
    let result = match result {
        Ok(output) => Ok(ticket.blotter.value(output)),
        Err(error) => Err(ticket.blotter.error(error)),
    };
    // Without a loop there is nobody to tell: the process is ending.
    if let Some(messages) = messages.upgrade() {
        let _ = messages.send(Message::Attempted { run, task, attempt, result }).await;
    }
}

async fn too_late(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> TaskError {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    TaskError::new("panic", format!("the handler panicked: {}", text.unwrap_or_default()))
}

fn context(shared: &Arc<Shared>, ticket: &Ticket, messages: &mpsc::WeakSender<Message>) -> Context {
    let beat = {
        let (messages, run, task, attempt) =
            (messages.clone(), ticket.run, ticket.task, ticket.attempt);
        move || {
            if let Some(messages) = messages.upgrade() {
                // A full queue means that the loop is busy; the next beat will do.
                let _ = messages.try_send(Message::Beat { run, task, attempt });
            }
        }
    };
    Context {
        run: ticket.run,
        workflow: ticket.workflow.clone(),
        task: ticket.path.clone(),
        attempt: ticket.attempt,
        idempotency_key: ticket.idempotency_key.clone(),
        actor: ticket.actor.clone(),
        traceparent: ticket.traceparent.clone(),
        tracestate: ticket.tracestate.clone(),
        deadline: ticket.deadline,
        cancel: ticket.cancel.clone(),
        log: log_sink(shared, ticket, messages),
        beat: Arc::new(beat),
    }
}

/// Makes the function that an attempt logs through: bounded, blotted, and never blocking.
fn log_sink(
    shared: &Arc<Shared>,
    ticket: &Ticket,
    messages: &mpsc::WeakSender<Message>,
) -> LogSink {
    let left = AtomicUsize::new(shared.config.limits.log_bytes);
    let (shared, messages, blotter) = (shared.clone(), messages.clone(), ticket.blotter.clone());
    let (run, task, attempt) = (ticket.run, ticket.path.clone(), ticket.attempt);
    Arc::new(move |stream, text| {
        let fits = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(text.len())
        });
        if fits.is_err() {
            return shared.count(|it| &it.log_lines_dropped, 1);
        }
        let line = LogLine {
            run,
            task: task.clone(),
            attempt,
            at: shared.clock.now(),
            stream: stream.to_owned(),
            // The journal's rule for text: no NUL, whatever a program prints.
            text: blotter.text(text).replace('\0', "\u{FFFD}"),
        };
        // Nobody listening is no error.
        let _ = shared.updates.send(Update::Log(line.clone()));
        let sent = messages.upgrade().is_some_and(|it| it.try_send(Message::Log(line)).is_ok());
        if !sent {
            shared.count(|it| &it.log_lines_dropped, 1);
        }
    })
}
