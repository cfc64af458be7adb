//! One run, decided purely: a command, the state and the time go in, events come out.
//!
//! [`Run::decide`] is the only way to change a run. It applies the events that it returns, so the
//! caller either makes them durable or drops the run and loads it again. After a crash the same
//! state is folded from the journal, and [`Run::outstanding`] says what is still to be done: there
//! is no recovery code.
//!
//! | file | answers |
//! |---|---|
//! | `status` | which status follows which |
//! | `event`, `command` | what happened; what may be asked |
//! | `state`, `evolve` | what the events add up to |
//! | `path` | what a task of a run is called |
//! | `index` | what is derived from state and plan, for speed |
//! | `decide` | which rule a command meets |
//! | `advance`, `work`, `machine`, `finish` | how tasks start, work, move on and end |
//! | `operate` | what people do to a run |
//! | `view` | what an expression sees |
//! | `effect`, `explain` | what is to be done; why something is not |
//! | `spans` | the run as the spans of a trace |

mod advance;
mod command;
mod decide;
mod effect;
mod event;
mod evolve;
mod explain;
mod finish;
mod going_back;
mod index;
mod machine;
mod operate;
mod path;
mod payload;
mod spans;
mod state;
mod status;
mod view;
mod waits;
mod work;

use std::sync::Arc;

pub(crate) use advance::MAP_WINDOW;
pub use command::{Command, Refusal};
pub use decide::{Decision, Env, InlineLog, Want};
pub use effect::{Activity, Effect};
pub use event::*;
pub use explain::{OpenTransition, Why};
pub use path::bare_path;
pub use payload::{KEPT_APART_BYTES_MIN, Payload, size};
pub use spans::{Ending, Span, Spans, Subject};
pub use state::*;
pub use status::{RUN_TRANSITIONS, RunStatus, TASK_TRANSITIONS, TaskStatus};
pub use view::Secrets;

pub(crate) use path::{node_id, path};

use crate::ids::RunId;
use crate::limits::Limits;
use crate::plan::{NodeId, Plan, TaskPlan, WorkPlan};
use crate::time::Millis;
use index::Index;

/// A run in memory: its plan, the folded journal, and what is derived from both.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    state: RunState,
    index: Index,
    limits: Arc<Limits>,
}

impl Run {
    /// Makes a new run. With `env`, it has its turn at once and starts within the same record;
    /// without, it waits for `Admit`.
    pub fn create(
        id: RunId,
        plan: Arc<Plan>,
        created: Created,
        limits: Arc<Limits>,
        now: Millis,
        env: Option<&mut Env<'_>>,
    ) -> (Run, Decision) {
        let by = By::actor(&created.actor);
        let state = RunState::new(id, created.clone(), now);
        let mut run = Run::new(plan, state, limits);
        let mut events = vec![Event::Created(Box::new(created))];
        let mut decision = Decision::default();
        if let Some(env) = env {
            decision = run
                .decide(Command::Admit, By::engine(), env)
                .expect("a new run can always be admitted");
            events.extend(decision.record.take().into_iter().flat_map(|it| it.events));
        }
        run.state.records = 1;
        decision.record = Some(Record { v: RECORD_FORMAT, at: now, by, events });
        (run, decision)
    }

    /// Takes up a run whose state was folded from its journal.
    pub fn new(plan: Arc<Plan>, state: RunState, limits: Arc<Limits>) -> Run {
        let mut run = Run { plan, state, index: Index::default(), limits };
        run.rebuild_index();
        run
    }

    /// Folds records of a run that somebody else decides. It may be read, but not decided, from
    /// then on.
    pub fn follow(&mut self, records: &[Record]) {
        records.iter().for_each(|record| self.state.apply(record));
        self.rebuild_index();
    }

    pub fn id(&self) -> RunId {
        self.state.id
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Returns the part of the plan that a task is made from.
    pub fn node(&self, task: TaskId) -> &TaskPlan {
        self.plan.node(self.node_id(task))
    }

    pub fn node_id(&self, task: TaskId) -> NodeId {
        path::node_id(&self.plan, &self.state, task)
    }

    /// Returns the place of a task among its siblings; for an item, its index.
    pub fn local(&self, task: TaskId) -> u32 {
        task.0 - self.state.scope(self.state.task(task).scope).first
    }

    /// Whether the task is one item of a `for_each`.
    pub fn is_item(&self, task: TaskId) -> bool {
        let scope = self.state.scope(self.state.task(task).scope);
        matches!(scope.content, ScopeContent::Map { .. })
    }

    /// Whether the task's `for_each` makes it a container of items.
    fn is_map(&self, task: TaskId) -> bool {
        self.node(task).for_each.is_some() && !self.is_item(task)
    }

    /// Whether an attempt of the task is work for an executor, not a container of other tasks.
    fn is_leaf(&self, task: TaskId) -> bool {
        matches!(self.node(task).work, WorkPlan::Uses { .. }) && !self.is_map(task)
    }

    /// Returns the text that names the task for people and in idempotency keys, such as `pay`,
    /// `group.check`, `reserve[3]`, `review#2`, `pay:compensate`.
    pub fn path(&self, task: TaskId) -> String {
        path::path(&self.plan, &self.state, task)
    }

    /// Finds a task by its path. States may be named without their visits, which means the last.
    pub fn find(&self, path: &str) -> Option<TaskId> {
        let tasks = (0..self.state.tasks.len() as u32).rev().map(TaskId);
        let name = path.rsplit(['.', ':']).next().unwrap_or(path);
        let name = name.split(['[', '#']).next().unwrap_or(name);
        tasks.filter(|task| &*self.node(*task).id == name).find(|task| {
            let full = self.path(*task);
            full == path || path::without_visits(&full) == path
        })
    }

    /// Returns the key that every attempt of this task carries: derived from the run, the task
    /// and its iteration, not from the attempt. It changes when the effect is wanted again: after a
    /// rewind of the task or of one around it, and after the task was undone.
    pub fn idempotency_key(&self, task: TaskId) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.state.id.to_bytes());
        hasher.update(self.path(task).as_bytes());
        let mut around = Some(task);
        while let Some(task) = around {
            let state = self.state.task(task);
            if state.redo() > 0 {
                hasher.update(&task.0.to_le_bytes());
                hasher.update(&state.redo().to_le_bytes());
            }
            around = self.state.scope(state.scope).owner;
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}
