//! A definition as its author wrote it: every part keeps its place in the source, nothing is
//! resolved, short forms are already long forms. `parse` makes it, `check` turns it into a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::{Expr, Template};
use crate::source::{Node, Span};
use crate::time::{Duration, Millis};

/// A value and the bytes of the source that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }
}

/// What one file (or one document of it) says.
#[derive(Clone, Debug)]
pub struct Definition {
    pub id: Spanned<String>,
    /// Any text; `1.0.0` by custom. Defaults to `1`.
    pub version: Spanned<String>,
    pub description: Option<String>,
    /// JSON Schema (draft 2020-12) of the input.
    pub input: Option<Spanned<Value>>,
    /// Constants, or the initial values of a machine's variables.
    pub vars: Vec<(Spanned<String>, TemplateSource)>,
    pub triggers: Vec<Spanned<Trigger>>,
    pub concurrency: Option<Spanned<Concurrency>>,
    /// Longest time from start to end of the run.
    pub timeout: Option<Spanned<Duration>>,
    pub defaults: Defaults,
    pub body: Composite,
    pub output: Option<TemplateSource>,
    /// Tasks that run when the run has failed, after compensation.
    pub on_failure: Option<Graph>,
    /// Tasks that run at the end, whatever the outcome.
    pub finally: Option<Graph>,
    pub notify: Vec<Spanned<Notify>>,
    pub retention: Option<Spanned<Retention>>,
    pub labels: BTreeMap<String, String>,
    /// Defaults to 0; higher goes first.
    pub priority: Option<Spanned<i32>>,
}

#[derive(Clone, Debug)]
pub enum Composite {
    Graph(Graph),
    Machine(Machine),
}

/// `tasks:`. Acyclic, parallel, each task at most once.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub tasks: Vec<Task>,
    /// 1 runs the graph in sequence.
    pub max_parallel: Option<Spanned<u32>>,
    /// Whether a failure cancels what is running. True unless said otherwise.
    pub fail_fast: Option<Spanned<bool>>,
    pub span: Span,
}

/// `initial:` and `states:`. One current state.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Variables that only this machine's transitions write. The root machine's are the
    /// definition's `vars`.
    pub vars: Vec<(Spanned<String>, TemplateSource)>,
    pub initial: Option<Spanned<String>>,
    pub states: Vec<State>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct State {
    /// The work of the state, run on entry; `task.work` may be [`Work::Nothing`].
    pub task: Task,
    /// Transitions by event name. The events `done` and `failed` are the work's own.
    pub on: Vec<(Spanned<String>, Vec<Transition>)>,
    /// Transitions by time since entry.
    pub after: Vec<(Spanned<Duration>, Vec<Transition>)>,
    /// Transitions taken when the work is done (at once if there is none).
    pub next: Vec<Transition>,
    pub is_final: bool,
    /// Output of the machine when it ends here.
    pub output: Option<TemplateSource>,
}

#[derive(Clone, Debug)]
pub struct Transition {
    pub condition: Option<ExprSource>,
    pub to: Spanned<String>,
    pub set: Vec<(Spanned<String>, TemplateSource)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Task {
    pub id: Spanned<String>,
    pub description: Option<String>,
    pub needs: Vec<Spanned<String>>,
    pub join: Option<Spanned<Join>>,
    pub condition: Option<ExprSource>,
    pub work: Work,
    pub for_each: Option<ForEach>,
    pub retry: Option<Spanned<Retry>>,
    pub timeout: Option<Spanned<Timeouts>>,
    pub priority: Option<Spanned<i32>>,
    pub concurrency: Option<Spanned<Concurrency>>,
    pub on_failure: Option<Spanned<OnFailure>>,
    /// What undoes this task: a task shape of `uses`, `with`, `retry` and `timeout`.
    pub compensate: Option<Box<Task>>,
    pub effect: Option<Spanned<Effect>>,
    pub reads: Vec<Spanned<String>>,
    pub writes: Vec<Spanned<String>>,
    pub allow_race: Vec<Spanned<String>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Work {
    /// A state without work, or a task that only joins.
    Nothing,
    Uses {
        kind: Spanned<String>,
        with: Option<TemplateSource>,
    },
    Composite(Composite),
}

#[derive(Clone, Debug)]
pub struct ForEach {
    pub items: TemplateSource,
    /// The name of the item; `item` unless `as` says otherwise. The index is always `index`.
    pub name: Spanned<String>,
    pub max_parallel: Option<Spanned<u32>>,
    pub on_item_failure: OnItemFailure,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnItemFailure {
    /// No further item starts, running ones are cancelled, the task fails.
    #[default]
    Fail,
    /// All items run; the task fails at the end if one did.
    FailAtEnd,
    /// All items run; failed ones are `null` in the output.
    Continue,
}

/// When a task with needs runs. The truth table stands in `crate::join`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    #[default]
    AllSuccess,
    NoneFailed,
    AnySuccess,
    AnyFailed,
    AllDone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    #[default]
    Fail,
    Continue,
}

/// What happens outside when the task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    None,
    Idempotent,
    Keyed,
    Unsafe,
}

/// How often and when a failed attempt is followed by another. Unset fields come from `defaults`.
#[derive(Clone, Debug, Default)]
pub struct Retry {
    /// Tries in all, the first included.
    pub max_attempts: Option<u32>,
    pub backoff: Option<Backoff>,
    /// Delay before the second attempt. 1 s by default.
    pub delay: Option<Duration>,
    /// Longest delay. 100 × `delay` by default, as Temporal has it.
    pub max_delay: Option<Duration>,
    /// Factor of exponential growth. 2 by default.
    pub multiplier: Option<f64>,
    pub jitter: Option<Jitter>,
    /// No attempt starts later than this after the first one started.
    pub max_elapsed: Option<Duration>,
    /// Only errors for which this is true are retried.
    pub condition: Option<ExprSource>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    Fixed,
    Linear,
    #[default]
    Exponential,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    #[default]
    None,
    /// Uniform between nothing and the delay ("full jitter", AWS Architecture Blog, 2015-03-04).
    Full,
    /// Half of the delay and a uniform part of the other half.
    Equal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From ready to started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Duration>,
    /// Of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Duration>,
    /// From first ready to the end, retries and delays included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
    /// Between two heartbeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Duration>,
}

#[derive(Clone, Debug, Default)]
pub struct Defaults {
    pub retry: Option<Spanned<Retry>>,
    pub timeout: Option<Spanned<Timeouts>>,
    pub priority: Option<Spanned<i32>>,
}

/// At most `limit` at once, at most `rate` starts a period, for each value of `key`.
#[derive(Clone, Debug)]
pub struct Concurrency {
    pub key: Option<TemplateSource>,
    pub limit: Option<Spanned<u32>>,
    pub rate: Option<Spanned<Rate>>,
    pub on_limit: Option<Spanned<OnLimit>>,
}

/// `10/s`, `100/m`, `5/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// Starts of one period that a rate may name.
pub const RATE_COUNT_MAX: u32 = 1_000_000;

impl std::str::FromStr for Rate {
    type Err = ();

    /// Reads `10/s`, `100/m` or `5/10s`.
    fn from_str(text: &str) -> Result<Rate, ()> {
        let (count, period) = text.split_once('/').ok_or(())?;
        let count = count.trim().parse().ok();
        let count = count.filter(|it| (1..=RATE_COUNT_MAX).contains(it)).ok_or(())?;
        let period = period.trim();
        let has_number = period.starts_with(|it: char| it.is_ascii_digit());
        let per: Result<Duration, _> =
            if has_number { period.parse() } else { format!("1{period}").parse() };
        per.ok().filter(|it| it.0 > 0).map(|per| Rate { count, per }).ok_or(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    #[default]
    Queue,
    /// The new run is cancelled at once.
    CancelNew,
    /// The oldest holder is cancelled to make room.
    CancelRunning,
}

#[derive(Clone, Debug)]
pub enum Trigger {
    Cron {
        expression: Spanned<String>,
        timezone: Option<Spanned<String>>,
        policy: TriggerPolicy,
    },
    Every {
        period: Spanned<Duration>,
        policy: TriggerPolicy,
    },
    At {
        instant: Spanned<Millis>,
        policy: TriggerPolicy,
    },
    Webhook {
        path: Spanned<String>,
        /// Any of them signs.
        secrets: Vec<Spanned<String>>,
        input: Option<TemplateSource>,
    },
    Event {
        kind: Spanned<String>,
        source: Option<Spanned<String>>,
        condition: Option<ExprSource>,
        input: Option<TemplateSource>,
    },
}

#[derive(Clone, Debug, Default)]
pub struct TriggerPolicy {
    pub catch_up: CatchUp,
    pub overlap: Overlap,
    /// Missed times older than this are not caught up.
    pub window: Option<Duration>,
    pub jitter: Option<Duration>,
    pub input: Option<TemplateSource>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    None,
    #[default]
    Latest,
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    #[default]
    Skip,
    Queue,
    CancelRunning,
    Allow,
}

/// A task that tells somebody how the run ended.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The outcomes that are told; all if empty.
    pub on: Vec<Spanned<NotifyOn>>,
    pub kind: Spanned<String>,
    pub with: Option<TemplateSource>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    Completed,
    Failed,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub completed: Option<Duration>,
    pub failed: Option<Duration>,
}

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct ExprSource {
    pub expr: Expr,
    /// The scalar that holds it; `text_start` is where the expression's first byte stands in the
    /// source, unless escapes or folding tore it apart.
    pub span: Span,
    pub text_start: Option<u32>,
}

/// A JSON tree with expressions, and the source tree that it was read from (for places).
#[derive(Clone, Debug)]
pub struct TemplateSource {
    pub template: Template,
    pub node: Node,
}
