//! What happened in a simulation, step by step, in words that people read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::oracle::{Answer, Turn};
use super::steps::Teller;
use crate::join::SkipCause;
use crate::run::{Record, Run, RunError, RunState, RunStatus, TaskId, TaskStatus, bare_path};
use crate::task_error::TaskError;
use crate::time::{Duration, Millis};

/// One simulated execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub steps: Vec<Step>,
    pub end: End,
    pub status: RunStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// How each task stands at the end, by path. A state that was visited again has an entry for
    /// its last visit.
    pub tasks: BTreeMap<String, TaskStatus>,
    /// What the outside was asked, in order, and how it answered: `Never` if it did not.
    pub answers: Vec<(String, Answer)>,
    /// The choices that were made, in order.
    pub turns: Vec<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The run has ended.
    Ended,
    /// The run has not ended, and nothing can happen any more.
    Stuck,
    /// The bound on the steps was reached.
    CutOff,
    /// The oracle would not choose.
    Halted,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The path of the task; empty for the run as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Line of the source, from 1; 0 where there is none.
    #[serde(default)]
    pub line: u32,
    /// Virtual time since the start of the run.
    pub at_ms: Millis,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    // Of a task.
    Queued,
    Started,
    /// It waits for what the text says.
    Waiting(String),
    Completed,
    /// The attempt failed and another one follows.
    Retrying {
        error: TaskError,
        tries: Tries,
    },
    Failed {
        error: TaskError,
        tries: Tries,
        /// The failure does not fail the graph around the task.
        accepted: bool,
    },
    Skipped(SkipCause),
    /// It was asked to end.
    Stopping,
    Cancelled,
    /// Whoever had the attempt is gone.
    Lost,
    /// The time of a composite is up.
    TimeUp(TaskError),
    /// The state was entered.
    Entered {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The event, `done`, `failed` or `after 72h`; nothing at the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<String>,
    },
    /// A time of the state came and no guard was true.
    Elapsed,
    TookSignal,
    Voted {
        actor: String,
        approve: bool,
    },
    Escalated {
        to: Vec<String>,
    },
    Undoing,
    Undone,
    NotUndone(TaskError),
    /// Its result was set by hand or taken over.
    Given,
    /// It goes back to the start.
    Reset,
    // Of the run.
    RunStarted,
    SignalKept(String),
    Paused,
    Resumed,
    CancelAsked,
    RunTimeUp,
    /// The main part is over.
    Concluded {
        outcome: RunStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Box<RunError>>,
    },
    RunEnded(RunStatus),
    /// Something was asked of the run and refused.
    Refused(String),
}

/// How many attempts were made, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    pub made: u32,
    pub most: u32,
}

/// An expression that had no value.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionError<'a> {
    /// The task or state that it belongs to; empty for the run's `output`.
    pub path: &'a str,
    pub error: &'a TaskError,
}

impl What {
    /// Whether it was the turn of the task: it is started, waits, or is entered.
    pub(super) fn is_reached(&self) -> bool {
        matches!(self, What::Started | What::Waiting(_) | What::Entered { .. })
    }
}

impl Trace {
    /// The tasks and states whose turn it was, without items and visits.
    pub(crate) fn reached(&self) -> BTreeSet<String> {
        let reached = self.steps.iter().filter(|it| it.what.is_reached());
        reached.map(|it| bare_path(&it.path)).collect()
    }

    /// Tells of a run that somebody else has executed, from its journal.
    pub fn of_journal(run: &Run, records: &[Record]) -> Trace {
        let state = run.state();
        let begin = RunState::new(state.id, state.created.clone(), state.created_at);
        let mut teller = Teller::new(begin);
        records.iter().for_each(|record| teller.tell(run.plan(), record));
        let end = if state.status.is_terminal() { End::Ended } else { End::Stuck };
        Trace::of_run(run, teller.steps, end)
    }

    pub(super) fn of_run(run: &Run, steps: Vec<Step>, end: End) -> Trace {
        let state = run.state();
        let tasks = (0..state.tasks.len() as u32).map(TaskId);
        // A state that was never entered has no status worth telling.
        let known = tasks.filter(|it| run.node(*it).state.is_none() || state.task(*it).visit > 0);
        Trace {
            steps,
            end,
            status: state.status,
            error: state.error.as_deref().cloned(),
            output: state.output.as_deref().cloned().unwrap_or_default(),
            tasks: known.map(|it| (run.path(it), state.task(it).status)).collect(),
            answers: Vec::new(),
            turns: Vec::new(),
        }
    }

    pub fn is_stuck(&self) -> bool {
        self.end == End::Stuck
    }

    /// Returns every expression that had no value, and where.
    pub fn expression_errors(&self) -> Vec<ExpressionError<'_>> {
        let errors = self.errors();
        let errors = errors.filter(|it| it.error.kind.starts_with("expression"));
        let mut errors: Vec<_> = errors.collect();
        errors.dedup();
        errors
    }

    /// Returns every error that a task, a state or the run ended with, and where.
    pub(super) fn errors(&self) -> impl Iterator<Item = ExpressionError<'_>> {
        self.steps.iter().filter_map(|step| match &step.what {
            What::Failed { error, .. } | What::Retrying { error, .. } | What::NotUndone(error) => {
                Some(ExpressionError { path: &step.path, error })
            }
            What::Concluded { error: Some(error), .. } => {
                let path = error.task.as_deref().unwrap_or_default();
                Some(ExpressionError { path, error: &error.error })
            }
            _ => None,
        })
    }
}

/// Every step on a line of its own, numbered from 1.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{} {step}", number + 1)?;
        }
        match self.end {
            End::Ended => Ok(()),
            End::Stuck => writeln!(f, "stuck: nothing can happen, and the run is {}", self.status),
            End::CutOff => writeln!(f, "cut off: too many steps"),
            End::Halted => writeln!(f, "halted: what was to happen next cannot"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "{}", self.what);
        }
        f.write_str(&self.path)?;
        if self.line > 0 {
            write!(f, " L{}", self.line)?;
        }
        write!(f, " {}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Queued => f.write_str("waits for a slot"),
            What::Started => f.write_str("started"),
            What::Waiting(what) => write!(f, "waits for {what}"),
            What::Completed => f.write_str("completed"),
            What::Retrying { error, tries } => {
                write!(f, "failed{tries}, {}; tries again", error.kind)
            }
            What::Failed { error, tries, accepted } => {
                let accepted = if *accepted { "; the failure is accepted" } else { "" };
                write!(f, "failed{tries} ({}: {}){accepted}", error.kind, error.message)
            }
            What::Skipped(cause) => write!(f, "skipped, {}", cause_name(*cause)),
            What::Stopping => f.write_str("is asked to end"),
            What::Cancelled => f.write_str("cancelled"),
            What::Lost => f.write_str("lost its attempt"),
            What::TimeUp(error) => write!(f, "has no time left: {}", error.message),
            What::Entered { from: Some(from), on } => {
                write!(f, "entered from {from} on {}", on.as_deref().unwrap_or("its own"))
            }
            What::Entered { from: None, .. } => f.write_str("entered"),
            What::Elapsed => f.write_str("stays, its time came and no guard was true"),
            What::TookSignal => f.write_str("took the signal"),
            What::Voted { actor, approve: true } => write!(f, "approved by {actor}"),
            What::Voted { actor, approve: false } => write!(f, "rejected by {actor}"),
            What::Escalated { to } => write!(f, "escalated to {}", to.join(", ")),
            What::Undoing => f.write_str("is being undone"),
            What::Undone => f.write_str("compensated"),
            What::NotUndone(error) => write!(f, "was not undone: {}", error.message),
            What::Given => f.write_str("was given a result by hand"),
            What::Reset => f.write_str("goes back to the start"),
            What::RunStarted => f.write_str("the run starts"),
            What::SignalKept(name) => write!(f, "the signal `{name}` comes and is kept"),
            What::Paused => f.write_str("the run is paused"),
            What::Resumed => f.write_str("the run is resumed"),
            What::CancelAsked => f.write_str("somebody cancels the run"),
            What::RunTimeUp => f.write_str("the time of the run is up"),
            What::Concluded { outcome, error: None } => {
                write!(f, "the main part is {outcome}")
            }
            What::Concluded { outcome, error: Some(error) } => {
                let task = error.task.as_deref().map(|it| format!("{it}: ")).unwrap_or_default();
                write!(f, "the main part is {outcome}: {task}{}", error.error)
            }
            What::RunEnded(status) => write!(f, "the run is {status}"),
            What::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// `, 3 of 3 attempts`; nothing where there is one attempt.
impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.most <= 1 {
            return Ok(());
        }
        write!(f, ", {} of {} attempts", self.made, self.most)
    }
}

fn cause_name(cause: SkipCause) -> &'static str {
    match cause {
        SkipCause::UpstreamFailed => "upstream failed",
        SkipCause::UpstreamSkipped => "upstream skipped",
        SkipCause::NoSuccess => "no success",
        SkipCause::NoFailure => "no failure",
        SkipCause::Condition => "condition false",
        SkipCause::Stopped => "stopped",
        SkipCause::ByHand => "by hand",
    }
}

pub(super) fn length(ms: Millis) -> String {
    Duration(ms).to_string()
}
