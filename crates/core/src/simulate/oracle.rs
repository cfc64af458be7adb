//! The outside of a simulated run, as data: what it is asked, how it answers, and what may happen
//! next. Nothing here draws anything; whoever simulates hands the oracle in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::{Command, TaskId};
use crate::task_error::TaskError;

/// How the outside answers what a run asks of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The attempt or sub-run gives this; the signal or event comes with this data; the approval
    /// is given, with this as the data of the vote.
    Complete(Value),
    /// The attempt or sub-run fails; the approval is refused.
    Fail(TaskError),
    /// Nothing comes until the time that the task has is up.
    TimeOut,
    /// Nothing comes.
    Never,
}

/// Something that only the outside can answer.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub task: TaskId,
    /// The path of the task, with items and visits: `group[3].review#2`.
    pub path: &'a str,
    /// Line of the source, from 1; 0 where there is none.
    pub line: u32,
    /// The number of the attempt. It goes on over the visits of a state.
    pub attempt: u32,
    /// Whether its time can be up: without a limit, `Answer::TimeOut` is `Answer::Never`.
    pub is_limited: bool,
    pub what: Asked<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// An attempt of this kind, or of the handler of this name.
    Work(&'a str),
    SubRun,
    Approval,
    Signal(&'a str),
    /// An event that the current state of a machine knows. Asked anew at every step, because
    /// nobody owes a machine its events; of the answers only `Answer::Complete` counts.
    Event(&'a str),
}

/// Something that may happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// A ready task gets a slot. Only where there are fewer slots than tasks.
    Start { task: TaskId, path: String },
    /// The outside answers. Of an approval with a quorum: one vote.
    Answer { task: TaskId, path: String, answer: Answer },
    /// What was asked to end gives up.
    GiveUp { task: TaskId, path: String },
    /// A machine gets an event.
    Event { name: String, data: Value },
    /// The clock goes on to the next timer.
    Timer,
    /// Somebody asks something of the run.
    Ask(Command),
}

/// A [`Choice`] without what the answers say: one place in an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The task with this path gets a slot.
    Start(String),
    /// The task with this path is answered.
    Answer(String),
    GiveUp(String),
    Event {
        name: String,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        data: Value,
    },
    Timer,
    Ask(Command),
}

/// Says how the outside behaves. Given the same answers and choices, a simulation is the same.
pub trait Oracle {
    /// Answers an ask that is not of an event. Asked once for each attempt and each wait.
    fn answer(&mut self, ask: &Ask<'_>) -> Answer;

    /// Returns the data with which an event may come now; each is a choice of its own. No event
    /// comes unless this says so.
    fn events(&mut self, _ask: &Ask<'_>) -> Vec<Value> {
        Vec::new()
    }

    /// Picks what happens next, by its place; nothing ends the simulation. There is always at
    /// least one choice.
    fn choose(&mut self, enabled: &[Choice]) -> Option<usize>;

    /// Lets somebody ask something of the run before the next choice, such as to cancel it.
    fn intervene(&mut self, _step: usize) -> Option<Command> {
        None
    }
}

impl Choice {
    /// Returns the place of the choice in an order.
    pub fn turn(&self) -> Turn {
        match self {
            Choice::Start { path, .. } => Turn::Start(path.clone()),
            Choice::Answer { path, .. } => Turn::Answer(path.clone()),
            Choice::GiveUp { path, .. } => Turn::GiveUp(path.clone()),
            Choice::Event { name, data } => Turn::Event { name: name.clone(), data: data.clone() },
            Choice::Timer => Turn::Timer,
            Choice::Ask(command) => Turn::Ask(command.clone()),
        }
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Turn::Start(path) => write!(f, "`{path}` gets a slot"),
            Turn::Answer(path) => write!(f, "`{path}` is answered"),
            Turn::GiveUp(path) => write!(f, "`{path}` gives up"),
            Turn::Event { name, .. } => write!(f, "the event `{name}` comes"),
            Turn::Timer => f.write_str("the next timer fires"),
            Turn::Ask(command) => write!(f, "somebody asks to {}", command.verb()),
        }
    }
}
