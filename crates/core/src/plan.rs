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
use crate::expr::{Budget, EvalError, Expr, Template};
use crate::ids::Digest;
use crate::schedule::{Policy, When};
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
    pub triggers: Vec<TriggerPlan>,
    pub output: Option<Template>,
    pub nodes: Vec<TaskPlan>,
    pub composites: Vec<CompositePlan>,
    /// Runs when the run has failed, after compensation.
    pub on_failure: Option<CompositeId>,
    /// Runs at the end, whatever the outcome. Notifications are tasks of it.
    pub finally: Option<CompositeId>,
}

/// What starts a run by itself.
#[derive(Clone, Debug)]
pub enum TriggerPlan {
    /// The clock.
    Schedule { when: When, policy: Policy, input: Option<Template> },
    /// A request to `/hooks/PATH`, signed with one of the secrets.
    Webhook { path: String, secrets: Vec<String>, input: Option<Template> },
    /// A CloudEvent.
    Event { kind: String, source: Option<String>, condition: Option<Expr>, input: Option<Template> },
}

#[derive(Debug)]
pub struct CompositePlan {
    pub kind: CompositeKind,
    /// The children are `nodes[first .. first + len]`.
    pub first: u32,
    pub len: u32,
    /// The task whose work this composite is, or that it undoes; nothing for the root and the
    /// handlers of the run.
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

    /// Returns the name of a node within its plan: `group.child` for a nested task,
    /// `pay:compensate` for what undoes `pay`, `finally:tell` for a task of a handler of the run.
    pub fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node(id);
            names.push(&*node.id);
            names.push(self.separator(node.composite));
            at = self.composite(node.composite).owner;
        }
        names.reverse();
        names.concat()
    }

    /// Returns the node that [`Plan::path`] names so.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        let (mut composite, mut rest) = match path.split_once(':') {
            Some(("on_failure", rest)) if self.on_failure.is_some() => (self.on_failure?, rest),
            Some(("finally", rest)) if self.finally.is_some() => (self.finally?, rest),
            _ => (ROOT, path),
        };
        loop {
            let end = rest.find(['.', ':']).unwrap_or(rest.len());
            let index = *self.composite(composite).ids.get(&rest[..end])?;
            let id = self.child(composite, index);
            if end == rest.len() {
                return Some(id);
            }
            composite = match (rest.as_bytes()[end], &self.node(id).work) {
                (b':', _) => self.node(id).compensate?,
                (_, WorkPlan::Composite(inner)) => *inner,
                (_, WorkPlan::Nothing | WorkPlan::Uses { .. }) => return None,
            };
            rest = &rest[end + 1..];
        }
    }

    /// Returns the paths of all nodes, in the order of the nodes.
    pub fn paths(&self) -> Vec<String> {
        (0..self.nodes.len() as u32).map(|it| self.path(NodeId(it))).collect()
    }

    /// What stands before the ids of a composite's children in their paths.
    fn separator(&self, composite: CompositeId) -> &'static str {
        if Some(composite) == self.on_failure {
            return "on_failure:";
        }
        if Some(composite) == self.finally {
            return "finally:";
        }
        match self.composite(composite).owner {
            None => "",
            Some(owner) if self.node(owner).compensate == Some(composite) => ":",
            Some(_) => ".",
        }
    }

    /// Checks an input against the schema. Every violation is listed with its JSON pointer.
    pub fn check_input(&self, input: &Value) -> Result<(), Vec<crate::schema::Violation>> {
        self.input.as_ref().map_or(Ok(()), |schema| schema.check(input))
    }

    /// Evaluates the concurrency key for an input. Without a key, all runs of the workflow count
    /// together. None if the definition sets no limit.
    pub fn concurrency_key(&self, input: &Value) -> Result<Option<String>, EvalError> {
        let Some(concurrency) = &self.concurrency else { return Ok(None) };
        let Some(key) = &concurrency.key else { return Ok(Some(self.workflow.clone())) };
        let scope = BTreeMap::from([("input".to_owned(), input.clone())]);
        let value = key.eval(&scope, &Budget::default()).map_err(|it| it.error)?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(Some(format!("{}/{value}", self.workflow)))
    }

    /// Returns what the expressions of `triggers` see: `event`, and the variables that can be told
    /// before there is a run.
    pub fn trigger_scope(&self, event: Value) -> BTreeMap<String, Value> {
        let vars = self.composites.first().map_or(&[][..], |root| &root.vars);
        let nothing = BTreeMap::new();
        let known = vars.iter().filter_map(|(name, template)| {
            Some((name.clone(), template.eval(&nothing, &Budget::default()).ok()?))
        });
        let vars = Value::Object(known.collect());
        BTreeMap::from([("event".to_owned(), event), ("vars".to_owned(), vars)])
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

pub use crate::kind_schema::BUILT_IN;

/// Whether a kind needs no handler.
pub fn is_built_in(kind: &str) -> bool {
    BUILT_IN.contains(&kind)
}

/// Says whether a task with this work takes `retry` and `timeout` from the definition's defaults:
/// it does if it acts on the outside. Waiting, deciding and computing need neither, and a sub-run
/// has its own.
pub fn takes_defaults(kind: Option<&str>) -> bool {
    match kind {
        Some("http" | "sql" | "file" | "shell" | "emit") => true,
        Some(kind) => !is_built_in(kind),
        None => false,
    }
}
