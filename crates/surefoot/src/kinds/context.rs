//! What an attempt is given and what it gives back.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Millis;
use tokio_util::sync::CancellationToken;

/// Executes attempts of one kind of task.
#[async_trait]
pub trait Kind: Send + Sync {
    /// Runs one attempt with the evaluated `with`. Must end soon after `context.cancelled()`;
    /// dropping the future must not leave anything running. The engine enforces the time-outs.
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError>;
}

/// One attempt, seen from inside.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    pub workflow: String,
    /// The task's path, such as `reserve[3]`.
    pub task: String,
    /// Counts from 1.
    pub attempt: u32,
    /// The same for every attempt of this task (and item, and visit): hand it to the outside, so
    /// that a repeated attempt has one effect.
    pub idempotency_key: String,
    /// Who started the run.
    pub actor: String,
    /// Where in a trace the attempt stands, as W3C Trace Context writes it: hand it to the outside,
    /// so that what happens there is seen under this attempt. Empty where there is no trace.
    pub traceparent: String,
    /// What tracing systems want handed on with `traceparent`; often empty.
    pub tracestate: String,
    /// When the engine will give up on this attempt.
    pub deadline: Option<Millis>,
    pub(crate) cancel: CancellationToken,
    pub(crate) log: LogSink,
    pub(crate) beat: Arc<dyn Fn() + Send + Sync>,
}

/// Takes the level and the text of a line.
pub(crate) type LogSink = Arc<dyn Fn(&str, &str) + Send + Sync>;

impl Context {
    /// Makes the context of an attempt that another process decided: a worker's. Its lines go to
    /// `log`; [`Context::cancel`] ends it.
    pub fn of_worker(
        run: RunId,
        workflow: &str,
        task: &str,
        attempt: u32,
        idempotency_key: &str,
        actor: &str,
        log: impl Fn(&str, &str) + Send + Sync + 'static,
    ) -> Context {
        Context {
            run,
            workflow: workflow.to_owned(),
            task: task.to_owned(),
            attempt,
            idempotency_key: idempotency_key.to_owned(),
            actor: actor.to_owned(),
            traceparent: String::new(),
            tracestate: String::new(),
            deadline: None,
            cancel: CancellationToken::new(),
            log: Arc::new(log),
            beat: Arc::new(|| ()),
        }
    }

    /// Says where in a trace the attempt stands.
    pub fn with_traceparent(self, traceparent: &str) -> Context {
        Context { traceparent: traceparent.to_owned(), ..self }
    }

    /// Says what goes with `traceparent`.
    pub fn with_tracestate(self, tracestate: &str) -> Context {
        Context { tracestate: tracestate.to_owned(), ..self }
    }

    /// Asks the attempt to end.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Makes a context for a test of a kind: nothing cancels it but [`Context::cancel_for_test`],
    /// and `log` receives its lines.
    #[doc(hidden)]
    pub fn for_test(task: &str, log: impl Fn(&str, &str) + Send + Sync + 'static) -> Context {
        Context {
            run: RunId::new(1_700_000_000_000, 42),
            workflow: "test".to_owned(),
            task: task.to_owned(),
            attempt: 1,
            idempotency_key: format!("key-of-{task}"),
            actor: "tester".to_owned(),
            traceparent: String::new(),
            tracestate: String::new(),
            deadline: None,
            cancel: CancellationToken::new(),
            log: Arc::new(log),
            beat: Arc::new(|| ()),
        }
    }

    #[doc(hidden)]
    pub fn cancel_for_test(&self) {
        self.cancel.cancel();
    }

    /// Keeps a line with this attempt. `level` is `debug`, `info`, `warn`, `error`, `stdout` or
    /// `stderr`. Text beyond the limit is dropped and counted.
    pub fn log(&self, level: &str, text: &str) {
        (self.log)(level, text);
    }

    /// Says that the attempt is alive; needed where the task has a heartbeat time-out.
    pub fn heartbeat(&self) {
        (self.beat)();
    }

    /// Returns once the engine wants the attempt to end (cancel, time-out, stop).
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
