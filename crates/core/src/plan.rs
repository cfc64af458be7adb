//! A definition that passed the checks, indexed and immutable. Only `check` makes one, so nothing
//! unchecked runs.
//!
//! All tasks and states lie in one list; the children of a composite are neighbours. A [`NodeId`]
//! is a place in that list, a [`CompositeId`] a place in the list of composites.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::definition::{
    Backoff, Effect, Jitter, Join, OnFailure, OnItemFailure, OnLimit, Rate, Retention, Timeouts,
};
use crate::expr::{Expr, Template};
use crate::ids::Digest;
use crate::schema::Schema;
use crate::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompositeId(pub u32);

/// The composite that `tasks` or `states` at the top level make.
pub const ROOT: CompositeId = CompositeId(0);

#[derive(Debug)]
pub struct Plan {
    pub workflow: String,
    pub version: String,
    /// Hash of the canonical JSON of the definition: same content, same hash.
    pub hash: Digest,
    pub description: Option<String>,
    pub input: Option<Schema>,
    pub timeout: Option<Duration>,
    pub concurrency: Option<ConcurrencyPlan>,
    pub priority: i32,
    pub labels: BTreeMap<String, String>,
    pub retention: Option<Retention>,
    pub output: Option<Template>,
    pub nodes: Vec<TaskPlan>,
    pub composites: Vec<CompositePlan>,
    /// Runs when the run has failed, after compensation.
    pub on_failure: Option<CompositeId>,
    /// Runs at the end, whatever the outcome. Notifications are tasks of it.
    pub finally: Option<CompositeId>,
}

#[derive(Debug)]
pub struct CompositePlan {
    pub kind: CompositeKind,
    /// The children are `nodes[first .. first + len]`.
    pub first: u32,
    pub len: u32,
    /// The task whose work this composite is; nothing for the root and the handlers of the run.
    pub owner: Option<NodeId>,
    /// Child index by id.
    pub ids: HashMap<Arc<str>, u32>,
    /// Initial values of the machine's variables, or the constants of the root graph.
    pub vars: Vec<(String, Template)>,
}

#[derive(Debug)]
pub enum CompositeKind {
    Graph {
        max_parallel: Option<u32>,
        fail_fast: bool,
        /// Children without needs.
        roots: Box<[u32]>,
    },
    Machine {
        initial: u32,
    },
}

/// A task or a state.
#[derive(Debug)]
pub struct TaskPlan {
    pub id: Arc<str>,
    pub composite: CompositeId,
    /// Child indices within the composite.
    pub needs: Box<[u32]>,
    pub dependents: Box<[u32]>,
    pub join: Join,
    pub condition: Option<Expr>,
    pub work: WorkPlan,
    pub for_each: Option<ForEachPlan>,
    /// None: one attempt.
    pub retry: Option<Arc<RetryPlan>>,
    pub timeout: Timeouts,
    pub priority: i32,
    pub concurrency: Option<ConcurrencyPlan>,
    pub on_failure: OnFailure,
    /// A graph of one task that undoes this one.
    pub compensate: Option<CompositeId>,
    pub effect: Option<Effect>,
    /// Set for the children of machines.
    pub state: Option<Box<StatePlan>>,
    /// Line of the source, from 1; 0 where there is none.
    pub line: u32,
}

#[derive(Debug)]
pub enum WorkPlan {
    Nothing,
    /// A built-in kind or a handler's name, and what it is given.
    Uses {
        kind: Arc<str>,
        with: Template,
    },
    Composite(CompositeId),
}

#[derive(Debug)]
pub struct ForEachPlan {
    pub items: Template,
    pub name: Arc<str>,
    pub max_parallel: Option<u32>,
    pub on_item_failure: OnItemFailure,
}

/// A retry policy with every default filled in. `crate::retry` computes with it.
#[derive(Clone, Debug)]
pub struct RetryPlan {
    pub max_attempts: u32,
    pub backoff: Backoff,
    pub delay: Duration,
    pub max_delay: Duration,
    pub multiplier: f64,
    pub jitter: Jitter,
    pub max_elapsed: Option<Duration>,
    pub condition: Option<Expr>,
}

#[derive(Debug)]
pub struct StatePlan {
    pub on: Vec<(Arc<str>, Vec<TransitionPlan>)>,
    pub after: Vec<(Duration, Vec<TransitionPlan>)>,
    pub next: Vec<TransitionPlan>,
    pub is_final: bool,
    pub output: Option<Template>,
}

#[derive(Debug)]
pub struct TransitionPlan {
    pub condition: Option<Expr>,
    /// Child index of the target within the machine.
    pub to: u32,
    pub set: Vec<(String, Template)>,
}

#[derive(Debug)]
pub struct ConcurrencyPlan {
    pub key: Option<Template>,
    pub limit: Option<u32>,
    pub rate: Option<Rate>,
    pub on_limit: OnLimit,
}

impl Plan {
    pub fn node(&self, id: NodeId) -> &TaskPlan {
        &self.nodes[id.0 as usize]
    }

    pub fn composite(&self, id: CompositeId) -> &CompositePlan {
        &self.composites[id.0 as usize]
    }

    /// Returns the child of `composite` at `index`.
    pub fn child(&self, composite: CompositeId, index: u32) -> NodeId {
        let composite = self.composite(composite);
        debug_assert!(index < composite.len);
        NodeId(composite.first + index)
    }

    /// Checks an input against the schema. Every violation is listed with its JSON pointer.
    pub fn check_input(&self, input: &Value) -> Result<(), Vec<crate::schema::Violation>> {
        self.input.as_ref().map_or(Ok(()), |schema| schema.check(input))
    }

    /// Returns the names of all handlers (kinds that are not built in) that the plan uses.
    pub fn handlers(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .nodes
            .iter()
            .filter_map(|node| match &node.work {
                WorkPlan::Uses { kind, .. } if !is_built_in(kind) => Some(&**kind),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Kinds that need no handler.
pub const BUILT_IN: [&str; 12] = [
    "http",
    "sql",
    "file",
    "shell",
    "transform",
    "wait",
    "signal",
    "approval",
    "workflow",
    "emit",
    "log",
    "fail",
];

pub fn is_built_in(kind: &str) -> bool {
    BUILT_IN.contains(&kind)
}
