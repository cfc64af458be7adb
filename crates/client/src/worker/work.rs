//! One registration of a worker, from the first poll to the last.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Handler, PAUSE, PAUSE_MAX, TaskContext, Worker};
use crate::client::Client;
use crate::error::Error;
use crate::wire::{LeaseResult, LeasedTask, Poll, Polled, Problem, RegisteredWorker, TaskFailure};

/// Results that are sent in one go.
const RESULTS_MAX: usize = 200;
/// How long nothing may happen to a worker without tasks.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a poll waits for tasks.
const WAIT_SECONDS: u64 = 20;

/// A poll that is under way.
struct Sending {
    answer: Pin<Box<dyn Future<Output = Result<Polled, Error>> + Send>>,
    /// What it carries: sent again if it is not answered, which does no harm.
    results: Vec<LeaseResult>,
}

pub(super) struct Session<'a> {
    worker: &'a Worker,
    client: Client,
    id: String,
    heartbeat: Duration,
    wait_seconds: f64,
    /// Tasks that run, and how to end them.
    running: HashMap<String, CancellationToken>,
    tasks: JoinSet<LeaseResult>,
    /// Results that were not sent yet.
    done: Vec<LeaseResult>,
    /// How many of them are sent together.
    results_max: usize,
    /// The poll that waits for tasks.
    taking: Option<Sending>,
    /// The poll that reports while the other one waits.
    reporting: Option<Sending>,
    heard_at: Instant,
    pause: Duration,
    /// Nothing is sent before this time: the server did not answer.
    quiet_until: Option<Instant>,
    draining: Option<Instant>,
    is_unknown: bool,
}

impl<'a> Session<'a> {
    pub fn new(worker: &'a Worker, client: Client, registered: RegisteredWorker) -> Session<'a> {
        let heartbeat = Duration::try_from_secs_f64(registered.heartbeat_seconds);
        Session {
            worker,
            client,
            id: registered.worker,
            heartbeat: heartbeat.unwrap_or(Duration::from_secs(3)),
            wait_seconds: WAIT_SECONDS.min(registered.poll_seconds_max) as f64,
            running: HashMap::new(),
            tasks: JoinSet::new(),
            done: Vec::new(),
            results_max: RESULTS_MAX,
            taking: None,
            reporting: None,
            heard_at: Instant::now(),
            pause: PAUSE,
            quiet_until: None,
            draining: None,
            is_unknown: false,
        }
    }

    /// Works until it is to end, and says whether it is: otherwise the server has forgotten it.
    pub async fn work(&mut self, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> bool {
        loop {
            self.send();
            let wake = self.wake_at();
            tokio::select! {
                () = &mut shutdown, if self.draining.is_none() => self.drain(),
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                answer = under_way(&mut self.taking) => {
                    let sent = self.taking.take();
                    self.answered(answer, sent);
                }
                answer = under_way(&mut self.reporting) => {
                    let sent = self.reporting.take();
                    self.answered(answer, sent);
                }
                () = tokio::time::sleep_until(wake) => self.quiet_until = None,
            }
            if self.is_unknown {
                // Its leases are lost with it: what still runs runs in vain.
                self.running.values().for_each(CancellationToken::cancel);
                return false;
            }
            if self.is_over() {
                // A server that is gone has nothing to take back.
                let _ = self.client.remove_worker(&self.id).await;
                return true;
            }
        }
    }

    /// Returns when there is something to do if nothing happens before.
    fn wake_at(&self) -> Instant {
        let beat = (!self.running.is_empty() && self.reporting.is_none())
            .then_some(self.heard_at + self.heartbeat);
        let next = self.quiet_until.or(beat).into_iter().chain(self.draining).min();
        next.unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn drain(&mut self) {
        self.draining.get_or_insert(Instant::now() + self.worker.grace);
        // The poll waits for tasks that are not wanted any more. Had it got some, they are given
        // back when the worker leaves.
        if let Some(dropped) = self.taking.take() {
            self.done.splice(0..0, dropped.results);
        }
    }

    fn is_over(&self) -> bool {
        let Some(deadline) = self.draining else { return false };
        let is_done = self.running.is_empty() && self.done.is_empty() && self.reporting.is_none();
        is_done || Instant::now() >= deadline
    }

    /// Begins whatever request is due.
    fn send(&mut self) {
        if self.quiet_until.is_some() {
            return;
        }
        let free = self.worker.slots.saturating_sub(self.running.len() as u32);
        if self.taking.is_none() && self.draining.is_none() && free > 0 {
            self.taking = Some(self.request(free, self.wait_seconds));
            return;
        }
        let is_due = !self.running.is_empty() && self.heard_at.elapsed() >= self.heartbeat;
        if self.reporting.is_none() && (!self.done.is_empty() || is_due) {
            self.reporting = Some(self.request(0, 0.0));
        }
    }

    fn request(&mut self, slots: u32, wait_seconds: f64) -> Sending {
        self.heard_at = Instant::now();
        let count = self.done.len().min(self.results_max);
        let results: Vec<LeaseResult> = self.done.drain(..count).collect();
        let holding = Some(self.running.keys().cloned().collect());
        let poll = Poll { slots, wait_seconds, results: results.clone(), holding };
        let (client, id) = (self.client.clone(), self.id.clone());
        let answer = Box::pin(async move { client.poll(&id, &poll).await });
        Sending { answer, results }
    }

    fn answered(&mut self, answer: Result<Polled, Error>, sent: Option<Sending>) {
        let results = sent.map(|it| it.results).unwrap_or_default();
        match answer {
            Ok(polled) => {
                (self.pause, self.results_max) = (PAUSE, RESULTS_MAX);
                self.take(polled);
            }
            Err(Error::Refused(problem)) if matches!(problem.status, 400 | 413 | 422) => {
                self.single_out(results, &problem);
            }
            Err(Error::Refused(problem)) if problem.code == "SF4063" => self.is_unknown = true,
            Err(error) => {
                tracing::warn!(%error, "the server did not take a poll; trying again");
                self.done.splice(0..0, results);
                self.quiet_until = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// The server cannot read one of these results: they are sent one by one, and the one that it
    /// is becomes a failure.
    fn single_out(&mut self, mut results: Vec<LeaseResult>, problem: &Problem) {
        if let [only] = &mut results[..] {
            let why = problem.detail.as_ref().unwrap_or(&problem.title);
            let text = format!("the server cannot keep its result: {why}");
            only.output = None;
            only.error = Some(TaskFailure::fatal("result_invalid", text));
        }
        if results.is_empty() {
            tracing::error!(%problem.title, "the server cannot read a poll");
            self.quiet_until = Some(Instant::now() + PAUSE_MAX);
        }
        self.results_max = 1;
        self.done.splice(0..0, results);
    }

    fn take(&mut self, polled: Polled) {
        for result in polled.results.iter().filter(|it| it.status != 200) {
            let problem = result.problem.clone().unwrap_or_default();
            tracing::warn!(status = result.status, reason = %problem.title, "a result was refused");
        }
        for lease in &polled.cancelled {
            if let Some(cancel) = self.running.get(lease) {
                cancel.cancel();
            }
        }
        for task in polled.tasks {
            self.begin(task);
        }
        if polled.drain && self.draining.is_none() {
            tracing::info!("draining, as the server asks");
            self.drain();
        }
    }

    fn begin(&mut self, mut task: LeasedTask) {
        let cancel = CancellationToken::new();
        self.running.insert(task.lease.clone(), cancel.clone());
        let handler = self.worker.handlers.get(&task.uses).cloned();
        let client = self.client.clone();
        self.tasks.spawn(async move {
            let context = TaskContext::new(&task, cancel);
            let input = std::mem::take(&mut task.input);
            let result = match handler {
                Some(handler) => execute(&client, &task.lease, context, handler, input).await,
                None => {
                    let text = format!("the worker has no handler `{}`", task.uses);
                    Err(TaskFailure::new("unknown_handler", text))
                }
            };
            match result {
                Ok(output) => LeaseResult { lease: task.lease, output: Some(output), error: None },
                Err(error) => LeaseResult { lease: task.lease, output: None, error: Some(error) },
            }
        });
    }

    fn ended(&mut self, ended: Result<LeaseResult, tokio::task::JoinError>) {
        match ended {
            Ok(result) => {
                self.running.remove(&result.lease);
                self.done.push(result);
            }
            // Handlers are caught when they panic, and nobody aborts them.
            Err(error) => tracing::error!(%error, "a task ended without a result"),
        }
    }
}

async fn under_way(sending: &mut Option<Sending>) -> Result<Polled, Error> {
    match sending {
        Some(sending) => (&mut sending.answer).await,
        None => std::future::pending().await,
    }
}

async fn execute(
    client: &Client,
    lease: &str,
    context: TaskContext,
    handler: Handler,
    input: serde_json::Value,
) -> Result<serde_json::Value, TaskFailure> {
    let done = CancellationToken::new();
    let work = async {
        let work = AssertUnwindSafe(async { handler(context.clone(), input).await });
        let result = work.catch_unwind().await;
        done.cancel();
        result
    };
    let (result, ()) = tokio::join!(work, context.speak(client, lease, &done));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(TaskFailure::new("panic", format!("the handler panicked: {text}")))
    })
}
