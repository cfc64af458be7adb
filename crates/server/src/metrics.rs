//! What is measured, as Prometheus reads it. Labels are few and bounded: the workflow, the kind of
//! task, the outcome; never a run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use surefoot::{Observation, Observer, RunId, RunStatus};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::problem::Problem;
use crate::service::Service;

/// Tasks whose queueing is remembered until they start; beyond that their delay is not measured.
const QUEUED_MAX: usize = 100_000;
/// Workflows and kinds that have series of their own; what comes later is counted as `other`.
const NAMES_MAX: usize = 1000;

/// The queue of tasks that wait for a slot of this process.
const SLOTS: &str = "slots";

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(metrics))
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByWorkflow {
    workflow: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    workflow: String,
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    workflow: String,
    task_type: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKindAndOutcome {
    workflow: String,
    task_type: String,
    outcome: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByState {
    state: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByQueue {
    queue: String,
}

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

/// Counts what an engine does. Given to the engine as its observer, and to the service to show.
pub struct Metrics {
    registry: Registry,
    runs_started: Family<ByWorkflow, Counter>,
    runs_finished: Family<ByOutcome, Counter>,
    run_duration: Seconds<ByWorkflow>,
    tasks_finished: Family<ByKindAndOutcome, Counter>,
    task_duration: Seconds<ByKind>,
    task_start_delay: Seconds<ByKind>,
    task_retries: Family<ByKind, Counter>,
    attempts_lost: Family<ByKind, Counter>,
    runs_active: Family<ByState, Gauge>,
    runs_resident: Gauge,
    attempts_in_flight: Gauge,
    queue_depth: Family<ByQueue, Gauge>,
    timers_late: Histogram,
    journal_append: Histogram,
    store_bytes: Gauge,
    sse_clients: Gauge,
    workers: Family<ByState, Gauge>,
    lease_expired: Counter,
    schedule_missed: Counter,
    trace_spans_exported: Counter,
    trace_spans_dropped: Counter,
    results_refused: Gauge<u64, AtomicU64>,
    queued: Mutex<HashMap<(RunId, u32), u64>>,
    names: Mutex<std::collections::HashSet<String>>,
}

/// From a millisecond to nearly two hours.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 3.0, 15))
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("surefoot");
        let seconds = || Family::new_with_constructor(buckets as fn() -> Histogram);
        let metrics = Metrics {
            runs_started: Family::default(),
            runs_finished: Family::default(),
            run_duration: seconds(),
            tasks_finished: Family::default(),
            task_duration: Family::new_with_constructor(buckets as fn() -> Histogram),
            task_start_delay: Family::new_with_constructor(buckets as fn() -> Histogram),
            task_retries: Family::default(),
            attempts_lost: Family::default(),
            runs_active: Family::default(),
            runs_resident: Gauge::default(),
            attempts_in_flight: Gauge::default(),
            queue_depth: Family::default(),
            timers_late: buckets(),
            journal_append: Histogram::new(exponential_buckets(0.0001, 3.0, 12)),
            store_bytes: Gauge::default(),
            sse_clients: Gauge::default(),
            workers: Family::default(),
            lease_expired: Counter::default(),
            schedule_missed: Counter::default(),
            trace_spans_exported: Counter::default(),
            trace_spans_dropped: Counter::default(),
            results_refused: Gauge::default(),
            queued: Mutex::default(),
            names: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("runs_started", "Runs that were created", metrics.runs_started.clone());
        registry.register("runs_finished", "Runs that ended", metrics.runs_finished.clone());
        registry.register_with_unit(
            "run_duration",
            "From creation to end",
            Unit::Seconds,
            metrics.run_duration.clone(),
        );
        registry.register("tasks_finished", "Tasks that ended", metrics.tasks_finished.clone());
        registry.register_with_unit(
            "task_duration",
            "From the start of the last attempt to the end",
            Unit::Seconds,
            metrics.task_duration.clone(),
        );
        registry.register_with_unit(
            "task_start_delay",
            "From ready to started",
            Unit::Seconds,
            metrics.task_start_delay.clone(),
        );
        registry.register("task_retries", "Attempts after the first", metrics.task_retries.clone());
        registry.register(
            "attempts_lost",
            "Attempts whose process or lease was lost",
            metrics.attempts_lost.clone(),
        );
        registry.register("runs_resident", "Runs in memory", metrics.runs_resident.clone());
        registry.register(
            "attempts_in_flight",
            "Attempts under way",
            metrics.attempts_in_flight.clone(),
        );
        registry.register(
            "queue_depth",
            "Tasks that wait for a slot or a worker",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "runs_active",
            "Runs that have not ended; waiting ones included",
            metrics.runs_active.clone(),
        );
        registry.register_with_unit(
            "timers_late",
            "From when something was due to when it was done",
            Unit::Seconds,
            metrics.timers_late.clone(),
        );
        registry.register_with_unit(
            "journal_append",
            "How long the store took to make a batch of records durable",
            Unit::Seconds,
            metrics.journal_append.clone(),
        );
        registry.register_with_unit(
            "store",
            "The store's size, its log included",
            Unit::Bytes,
            metrics.store_bytes.clone(),
        );
        registry.register(
            "lease_expired",
            "Leases whose workers were not heard of in time",
            metrics.lease_expired.clone(),
        );
        registry.register(
            "trace_spans_exported",
            "Spans that a collector took",
            metrics.trace_spans_exported.clone(),
        );
        registry.register(
            "trace_spans_dropped",
            "Spans that a collector refused, or that waited for it too long",
            metrics.trace_spans_dropped.clone(),
        );
        registry.register("sse_clients", "Open event streams", metrics.sse_clients.clone());
        registry.register("workers", "Workers that are known", metrics.workers.clone());
        registry.register(
            "schedule_missed",
            "Slots of schedules that were missed and not caught up",
            metrics.schedule_missed.clone(),
        );
        registry.register(
            "results_refused",
            "Late results that changed nothing",
            metrics.results_refused.clone(),
        );
        Metrics { registry, ..metrics }
    }
}

impl Metrics {
    /// A name that has a series, or may have one.
    fn name(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(|it| it.into_inner());
        if names.contains(name) {
            return name.to_owned();
        }
        if names.len() >= NAMES_MAX {
            return "other".to_owned();
        }
        names.insert(name.to_owned());
        name.to_owned()
    }

    fn kind(&self, workflow: &str, kind: &str) -> ByKind {
        ByKind { workflow: self.name(workflow), task_type: self.name(kind) }
    }

    /// Writes everything, with what the service knows at this moment.
    async fn text(&self, service: &Service) -> Result<String, std::fmt::Error> {
        let statistics = service.engine().statistics();
        self.runs_resident.set(signed(statistics.runs_resident));
        self.attempts_in_flight.set(signed(statistics.attempts_in_flight));
        self.results_refused.set(statistics.results_refused);
        self.sse_clients.set(service.event_clients() as i64);
        self.look_at_queues(service, statistics.attempts_queued).await;
        self.look_at_workers(service);
        self.look_at_store(service).await;
        catch_up(&self.lease_expired, statistics.leases_expired);
        catch_up(&self.schedule_missed, service.schedules().missed());
        catch_up(&self.trace_spans_exported, service.traces().exported());
        catch_up(&self.trace_spans_dropped, service.traces().dropped());
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        let version = env!("CARGO_PKG_VERSION");
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.truncate(end);
        write!(
            text,
            "# HELP surefoot_build_info The version that runs.\n# TYPE surefoot_build_info gauge\nsurefoot_build_info{{version=\"{version}\"}} 1\n# EOF\n"
        )?;
        Ok(text)
    }
}

impl Metrics {
    /// One queue waits for the slots of this process, and one for workers of each capability.
    async fn look_at_queues(&self, service: &Service, queued: u64) {
        self.queue_depth.clear();
        let set = |queue: &str, depth: u64| {
            let by = ByQueue { queue: self.name(queue) };
            self.queue_depth.get_or_create(&by).inc_by(signed(depth));
        };
        let mut elsewhere = 0;
        for it in service.engine().capabilities().await {
            elsewhere += it.waiting as u64;
            set(&it.name, it.waiting as u64);
        }
        set(SLOTS, queued.saturating_sub(elsewhere));
    }

    fn look_at_workers(&self, service: &Service) {
        for (state, count) in service.census().states {
            let by = ByState { state: state.to_owned() };
            self.workers.get_or_create(&by).set(signed(count));
        }
    }

    /// What a store that cannot be read has is left as it was.
    async fn look_at_store(&self, service: &Service) {
        let tally = match service.store().tally(service.now()).await {
            Ok(tally) => tally,
            Err(error) => return tracing::warn!(%error, "the store's metrics are old"),
        };
        self.store_bytes.set(signed(tally.bytes));
        for status in RunStatus::ALL.into_iter().filter(|it| !it.is_terminal()) {
            let by = ByState { state: status.name().to_owned() };
            let count = tally.unended.get(status.name()).copied().unwrap_or_default();
            self.runs_active.get_or_create(&by).set(signed(count));
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Brings a counter up to what somebody else has counted.
fn catch_up(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl Observer for Metrics {
    fn observe(&self, observation: Observation<'_>) {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        match observation {
            Observation::RunStarted { workflow } => {
                let workflow = self.name(workflow);
                self.runs_started.get_or_create(&ByWorkflow { workflow }).inc();
            }
            Observation::RunEnded { workflow, status, took_ms } => {
                let workflow = self.name(workflow);
                let outcome = status.name().to_owned();
                let by = ByWorkflow { workflow: workflow.clone() };
                self.run_duration.get_or_create(&by).observe(seconds(took_ms));
                self.runs_finished.get_or_create(&ByOutcome { workflow, outcome }).inc();
            }
            Observation::TaskQueued { run, task, at } => {
                let mut queued = self.queued.lock().unwrap_or_else(|it| it.into_inner());
                if queued.len() < QUEUED_MAX {
                    queued.insert((run, task.0), at);
                }
            }
            Observation::TaskStarted { run, task, workflow, kind, at } => {
                let mut queued = self.queued.lock().unwrap_or_else(|it| it.into_inner());
                // What was given a slot at once never waited.
                let since = queued.remove(&(run, task.0)).unwrap_or(at);
                drop(queued);
                let by = self.kind(workflow, kind);
                let delay = seconds(at.saturating_sub(since));
                self.task_start_delay.get_or_create(&by).observe(delay);
            }
            Observation::TaskRetried { workflow, kind } => {
                self.task_retries.get_or_create(&self.kind(workflow, kind)).inc();
            }
            Observation::AttemptLost { workflow, kind } => {
                self.attempts_lost.get_or_create(&self.kind(workflow, kind)).inc();
            }
            Observation::TimerFired { late_ms } => self.timers_late.observe(seconds(late_ms)),
            Observation::Appended { took, .. } => self.journal_append.observe(took.as_secs_f64()),
            Observation::TaskEnded { workflow, kind, outcome, took_ms } => {
                let by = self.kind(workflow, kind);
                if let Some(took_ms) = took_ms {
                    self.task_duration.get_or_create(&by).observe(seconds(took_ms));
                }
                let ByKind { workflow, task_type } = by;
                let outcome = outcome.to_owned();
                let by = ByKindAndOutcome { workflow, task_type, outcome };
                self.tasks_finished.get_or_create(&by).inc();
            }
        }
    }
}

/// Counts and times, in the text format of OpenMetrics that Prometheus reads.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(service): State<Service>) -> Result<Response, Problem> {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = service.metrics().text(&service).await.map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, KIND)], text).into_response())
}
