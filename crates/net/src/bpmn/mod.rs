//! BPMN 2.0: what a file says, as far as it decides in which order things happen.
//!
//! | file | holds |
//! |---|---|
//! | `read` | the file |
//! | `wire` | who follows whom, and what is wrong with it |
//! | `to_net` | a net for each process and sub-process |
//! | `inclusive` | which split an inclusive join belongs to |

mod inclusive;
mod read;
mod to_net;
mod wire;

pub use inclusive::Joins;
pub use read::{is_bpmn, read};
pub use to_net::parts;

use crate::problem::Problem;

/// A file.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub processes: Vec<Scope>,
    /// What was passed over, and matters.
    pub warnings: Vec<Problem>,
}

/// A process or a sub-process: nodes, and flows between them.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub id: String,
    pub name: String,
    pub line: u32,
    pub nodes: Vec<Node>,
    pub flows: Vec<Flow>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub id: String,
    /// The id if it has no name.
    pub name: String,
    pub line: u32,
    pub kind: Kind,
    /// Flows by number, in the order of the file.
    pub incoming: Vec<usize>,
    pub outgoing: Vec<usize>,
    /// The flow that is taken if no condition holds.
    pub default: Option<usize>,
    /// Boundary events by number.
    pub boundaries: Vec<usize>,
    /// Is repeated, one by one or all at once.
    pub repeats: Option<Repeats>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// A standard loop.
    While,
    /// For each of a collection.
    Sequential,
    Parallel,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Start(Trigger),
    End(Ending),
    /// The name of its element: `task`, `userTask`, `callActivity`, …
    Task(String),
    SubProcess(Box<Scope>),
    /// Starts by an event, whenever its process is active.
    EventSubProcess(Box<Scope>),
    Catch(Trigger),
    Throw(Trigger),
    Boundary {
        interrupts: bool,
        trigger: Trigger,
    },
    Gateway(Gateway),
    /// Comes into play by compensation alone, to which no flow leads.
    Compensation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    Exclusive,
    Parallel,
    Inclusive,
    EventBased,
    Complex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This token ends here.
    Plain,
    /// All others of the process end with it.
    Terminate,
    /// As before, and whoever called learns of it.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    None,
    /// What is written in `timeDuration`, `timeDate` or `timeCycle`, and which of them.
    Timer {
        kind: String,
        text: String,
    },
    /// The name of the message.
    Message(String),
    Signal(String),
    Error,
    Link(String),
    Compensation,
    /// Escalation, condition, cancel, several.
    Other(String),
}

#[derive(Clone, Debug)]
pub struct Flow {
    pub id: String,
    pub name: String,
    pub line: u32,
    /// Nodes by number.
    pub from: usize,
    pub to: usize,
    pub condition: Option<String>,
}

impl Flow {
    /// What a person calls it: its name, or where it leads.
    pub fn shown<'s>(&'s self, scope: &'s Scope) -> &'s str {
        if self.name.is_empty() { &scope.nodes[self.to].name } else { &self.name }
    }
}

impl Node {
    pub fn gateway(&self) -> Option<Gateway> {
        match self.kind {
            Kind::Gateway(gateway) => Some(gateway),
            _ => None,
        }
    }

    /// Whether flows may lead to and from it at all.
    pub fn is_in_flow(&self) -> bool {
        !matches!(self.kind, Kind::EventSubProcess(_) | Kind::Compensation)
            && !matches!(self.kind, Kind::Boundary { trigger: Trigger::Compensation, .. })
    }

    /// Whether it sends tokens along some of its flows: along one if it is a choice, along any
    /// number if its flows have conditions or it is inclusive.
    pub fn splits_inclusively(&self, scope: &Scope) -> bool {
        let has_conditions = self.outgoing.iter().any(|it| scope.flows[*it].condition.is_some());
        match self.gateway() {
            Some(gateway) => gateway == Gateway::Inclusive && self.outgoing.len() > 1,
            None => has_conditions && self.outgoing.len() > 1,
        }
    }
}
