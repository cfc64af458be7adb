//! One execution that shows that something is wrong, as a file. A check writes it, a run replays
//! it: a finding that does not replay is not a finding.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::oracle::{Answer, Turn};
use super::script::Scripted;
use super::trace::{End, Trace, What};
use super::{Bounds, Clock, simulate};
use crate::ids::Digest;
use crate::join::SkipCause;
use crate::plan::Plan;
use crate::run::{RunStatus, TaskStatus, bare_path};
use crate::schema::Violation;

/// The format of the files that this version writes and reads.
pub const COUNTEREXAMPLE_FORMAT: u16 = 1;

/// What must come in from outside, and in which order, so that the expected thing happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counterexample {
    /// [`COUNTEREXAMPLE_FORMAT`].
    pub format: u16,
    pub workflow: String,
    /// Hash of the definition that it was found in.
    pub definition: Digest,
    /// The finding, such as `SF2205`.
    pub code: String,
    /// What was to hold, in a sentence.
    pub property: String,
    #[serde(default)]
    pub input: Value,
    /// By path: what the first, second, … ask of this path is answered; the last one repeats. A
    /// path without items and visits (`reserve`) stands for each of them (`reserve[1]`) that has
    /// no answers of its own. Approvals and signals are asked like attempts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<String, Vec<Answer>>,
    /// The answer of whatever has none of its own.
    #[serde(default = "nothing_wrong", skip_serializing_if = "is_nothing_wrong")]
    pub otherwise: Answer,
    /// What must happen in this order. What is not named happens when it can; events come only
    /// if they are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Turn>,
    pub expected: Expected,
}

/// What a replay must come to. Tasks are named by path; without items and visits, any of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    RunCompleted,
    RunFailed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
    },
    RunCancelled,
    /// Nothing can happen any more, and the run has not ended.
    Stuck,
    TaskCompleted {
        task: String,
    },
    /// The task fails for good, or the run fails because of the state.
    TaskFailed {
        task: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_type: Option<String>,
    },
    TaskSkipped {
        task: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<SkipCause>,
    },
    TaskCancelled {
        task: String,
    },
    /// Both are under way at the same time.
    BothRunning {
        first: String,
        second: String,
    },
    /// The task is started more than once without being entered anew.
    TaskTwice {
        task: String,
    },
    /// The task completes, the run does not, and the task is never undone.
    NotUndone {
        task: String,
    },
    /// The state is entered so often.
    StateEntered {
        state: String,
        times: u32,
    },
    /// Each of them is started or entered.
    Reached {
        tasks: Vec<String>,
    },
}

/// A file that is not a counterexample that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCounterexample {
    #[error("it is not a counterexample: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its format is {0}, and this version reads {COUNTEREXAMPLE_FORMAT}")]
    Format(u16),
}

/// Why a counterexample does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    #[error("it is about the workflow `{expected}`, and this is `{actual}`")]
    Workflow { expected: String, actual: String },
    #[error("it was found in another content of the definition: {expected}, and this is {actual}")]
    Definition { expected: Digest, actual: Digest },
    #[error("its input does not fit the definition: {0:?}")]
    Input(Vec<Violation>),
    #[error("its order cannot be followed: it never happens that {turn}")]
    NotFollowed { turn: Box<Turn>, trace: Box<Trace> },
    #[error("{expected} did not happen")]
    NotReproduced { expected: Expected, trace: Box<Trace> },
}

/// Executes a counterexample with the real deciders and confirms that the expected thing happens.
pub fn replay(plan: &Arc<Plan>, counterexample: &Counterexample) -> Result<Trace, Mismatch> {
    counterexample.check_fits(plan)?;
    let mut oracle = Scripted::new(counterexample);
    let bounds = Bounds { clock: Clock::Eager, ..Bounds::default() };
    let trace = simulate(plan, &counterexample.input, &mut oracle, bounds);
    if counterexample.expected.holds(&trace) {
        return Ok(trace);
    }
    let trace = Box::new(trace);
    match oracle.waits_for() {
        Some(turn) => Err(Mismatch::NotFollowed { turn: Box::new(turn.clone()), trace }),
        None => {
            let expected = counterexample.expected.clone();
            Err(Mismatch::NotReproduced { expected, trace })
        }
    }
}

impl Counterexample {
    /// Reads the text of a file.
    pub fn read(text: &[u8]) -> Result<Counterexample, InvalidCounterexample> {
        #[derive(Deserialize)]
        struct Head {
            format: u16,
        }
        let head: Head = serde_json::from_slice(text)?;
        if head.format != COUNTEREXAMPLE_FORMAT {
            return Err(InvalidCounterexample::Format(head.format));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// Returns the text of a file.
    pub fn write(&self) -> String {
        format!("{:#}\n", serde_json::to_value(self).expect("a counterexample has a text"))
    }

    /// Begins one about a plan: no answers but good ones, no order.
    pub fn new(plan: &Plan, code: &str, property: &str, expected: Expected) -> Counterexample {
        Counterexample {
            format: COUNTEREXAMPLE_FORMAT,
            workflow: plan.workflow.clone(),
            definition: plan.hash,
            code: code.to_owned(),
            property: property.to_owned(),
            input: Value::Object(Default::default()),
            answers: BTreeMap::new(),
            otherwise: nothing_wrong(),
            order: Vec::new(),
            expected,
        }
    }

    /// Takes over what a simulation was answered, in its order.
    pub fn follow(mut self, input: &Value, trace: &Trace) -> Counterexample {
        self.input = input.clone();
        for (path, answer) in &trace.answers {
            self.answers.entry(path.clone()).or_default().push(answer.clone());
        }
        self.order = trace.turns.clone();
        self.otherwise = Answer::Never;
        self
    }

    /// Checks that it is about this plan.
    pub fn check_fits(&self, plan: &Plan) -> Result<(), Mismatch> {
        if self.workflow != plan.workflow {
            let (expected, actual) = (self.workflow.clone(), plan.workflow.clone());
            return Err(Mismatch::Workflow { expected, actual });
        }
        if self.definition != plan.hash {
            return Err(Mismatch::Definition { expected: self.definition, actual: plan.hash });
        }
        plan.check_input(&self.input).map_err(Mismatch::Input)
    }
}

impl Expected {
    /// Whether it happened.
    pub fn holds(&self, trace: &Trace) -> bool {
        let any = |task: &str, wanted: &dyn Fn(&What) -> bool| {
            trace.steps.iter().any(|it| is_named(task, &it.path) && wanted(&it.what))
        };
        let ended = |status: RunStatus| trace.end == End::Ended && trace.status == status;
        match self {
            Expected::RunCompleted => ended(RunStatus::Completed),
            Expected::RunCancelled => ended(RunStatus::Cancelled),
            Expected::RunFailed { error_type } => {
                let kind = trace.error.as_ref().map(|it| &it.error.kind);
                ended(RunStatus::Failed) && error_type.as_ref().is_none_or(|it| Some(it) == kind)
            }
            Expected::Stuck => trace.is_stuck(),
            Expected::TaskCompleted { task } => {
                any(task, &|it| matches!(it, What::Completed | What::Given))
            }
            Expected::TaskFailed { task, error_type } => fails(trace, task, error_type.as_deref()),
            Expected::TaskSkipped { task, cause } => any(
                task,
                &|it| matches!(it, What::Skipped(why) if cause.is_none_or(|cause| cause == *why)),
            ),
            Expected::TaskCancelled { task } => any(task, &|it| *it == What::Cancelled),
            Expected::BothRunning { first, second } => both_running(trace, first, second),
            Expected::TaskTwice { task } => is_started_twice(trace, task),
            Expected::NotUndone { task } => {
                let completed = trace
                    .tasks
                    .iter()
                    .any(|(path, status)| is_named(task, path) && *status == TaskStatus::Completed);
                let failed = matches!(trace.status, RunStatus::Failed | RunStatus::Cancelled);
                trace.end == End::Ended && failed && completed
            }
            Expected::StateEntered { state, times } => {
                let entered = trace.steps.iter().filter(|it| {
                    matches!(it.what, What::Entered { .. }) && is_named(state, &it.path)
                });
                entered.count() >= *times as usize
            }
            Expected::Reached { tasks } => tasks.iter().all(|it| any(it, &What::is_reached)),
        }
    }
}

fn is_named(name: &str, path: &str) -> bool {
    !path.is_empty() && (name == path || name == bare_path(path))
}

fn fails(trace: &Trace, task: &str, error_type: Option<&str>) -> bool {
    let is_it = |kind: &str| error_type.is_none_or(|it| it == kind);
    let for_good = trace.steps.iter().any(|step| match &step.what {
        What::Failed { error, .. } => is_named(task, &step.path) && is_it(&error.kind),
        _ => false,
    });
    // A guard that cannot be evaluated fails the machine, not the work of its state.
    let as_cause = trace.error.as_ref().is_some_and(|it| {
        it.task.as_deref().is_some_and(|path| is_named(task, path)) && is_it(&it.error.kind)
    });
    for_good || as_cause
}

/// Whether tasks of both names are under way between two steps.
fn both_running(trace: &Trace, first: &str, second: &str) -> bool {
    let mut running: Vec<&str> = Vec::new();
    for step in &trace.steps {
        match &step.what {
            What::Started | What::Waiting(_) if !running.contains(&&*step.path) => {
                running.push(&step.path);
            }
            What::Completed
            | What::Given
            | What::Failed { .. }
            | What::Retrying { .. }
            | What::Skipped(_)
            | What::Cancelled
            | What::Lost
            | What::Reset => running.retain(|it| **it != *step.path),
            _ => {}
        }
        let ones = running.iter().filter(|it| is_named(first, it));
        for one in ones {
            if running.iter().any(|it| it != one && is_named(second, it)) {
                return true;
            }
        }
    }
    false
}

fn is_started_twice(trace: &Trace, task: &str) -> bool {
    let mut starts: BTreeMap<&str, u32> = BTreeMap::new();
    for step in trace.steps.iter().filter(|it| it.what == What::Started) {
        *starts.entry(&step.path).or_default() += 1;
    }
    starts.iter().any(|(path, count)| is_named(task, path) && *count > 1)
}

fn nothing_wrong() -> Answer {
    Answer::Complete(Value::Object(Default::default()))
}

fn is_nothing_wrong(answer: &Answer) -> bool {
    *answer == nothing_wrong()
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |kind: &Option<String>| match kind {
            Some(kind) => format!(" with `{kind}`"),
            None => String::new(),
        };
        match self {
            Expected::RunCompleted => f.write_str("that the run completes"),
            Expected::RunFailed { error_type } => {
                write!(f, "that the run fails{}", of(error_type))
            }
            Expected::RunCancelled => f.write_str("that the run is cancelled"),
            Expected::Stuck => f.write_str("that the run is stuck"),
            Expected::TaskCompleted { task } => write!(f, "that `{task}` completes"),
            Expected::TaskFailed { task, error_type } => {
                write!(f, "that `{task}` fails{}", of(error_type))
            }
            Expected::TaskSkipped { task, .. } => write!(f, "that `{task}` is skipped"),
            Expected::TaskCancelled { task } => write!(f, "that `{task}` is cancelled"),
            Expected::BothRunning { first, second } => {
                write!(f, "that `{first}` and `{second}` run at the same time")
            }
            Expected::TaskTwice { task } => write!(f, "that `{task}` is started twice"),
            Expected::NotUndone { task } => {
                write!(f, "that `{task}` completes and is not undone, though the run fails")
            }
            Expected::StateEntered { state, times } => {
                write!(f, "that `{state}` is entered {times} times")
            }
            Expected::Reached { tasks } => {
                let named: Vec<String> = tasks.iter().map(|it| format!("`{it}`")).collect();
                write!(f, "that {} can run", named.join(", "))
            }
        }
    }
}
