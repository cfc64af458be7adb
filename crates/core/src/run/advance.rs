//! How tasks start and composites end: the rules of graphs, maps and the scopes around them.

use std::cmp::Reverse;

use serde_json::{Map, Value};

use super::Run;
use super::decide::Decider;
use super::event::*;
use super::index::Step;
use super::payload::Payload;
use super::state::ScopeContent;
use super::status::TaskStatus;
use super::view::Seen;
use crate::definition::{Join, OnFailure, OnItemFailure};
use crate::join::{self, SkipCause, Verdict};
use crate::plan::{CompositeId, CompositeKind, NodeId};
use crate::task_error::TaskError;

/// Items of a `for_each` that are under way at once unless `max_parallel` says otherwise.
pub const MAP_WINDOW: u32 = 100;

/// How long a cancelled attempt may take to end before its result no longer counts.
pub const GRACE_MS: u64 = 10_000;

impl Decider<'_, '_> {
    /// Looks at a task of a graph whose needs may be decided.
    pub fn consider(&mut self, task: TaskId) {
        let state = self.run.state.task(task);
        let scope_id = state.scope;
        if state.status != TaskStatus::Pending
            || self.run.state.scope(scope_id).stopped.is_some()
            || !self.run.is_current(scope_id)
        {
            return;
        }
        let node = self.run.node(task);
        match join::decide(node.join, &self.run.index.tallies[task.0 as usize]) {
            Verdict::Wait => {}
            Verdict::Run => self.admit_task(task),
            Verdict::Skip(cause) => {
                self.emit(Event::Skipped { task, cause });
                if cause == SkipCause::NoSuccess {
                    self.withdraw_acceptance(task);
                }
            }
        }
    }

    /// Starts a task, or holds it back where its graph is full or the run is paused.
    fn admit_task(&mut self, task: TaskId) {
        let scope_id = self.run.state.task(task).scope;
        // A paused run keeps its pending tasks; resuming looks at them again. A failure that this
        // decision has yet to settle stops them.
        if self.is_paused() || self.fails_fast(scope_id) {
            return;
        }
        let composite = CompositeId(self.run.state.scope(scope_id).composite);
        if let CompositeKind::Graph { max_parallel: Some(most), .. } =
            self.run.plan.composite(composite).kind
            && self.run.index.scopes[scope_id.0 as usize].active >= most
        {
            let priority = self.run.node(task).priority;
            self.run.index.scopes[scope_id.0 as usize].held.insert((Reverse(priority), task));
            return;
        }
        self.start(task);
    }

    /// Checks the condition and starts the work.
    pub fn start(&mut self, task: TaskId) {
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        let scope = self.run.state.task(task).scope;
        if let Some(condition) = &node.condition
            && !self.run.is_item(task)
        {
            match self.run.evaluate_bool(condition, &Seen::by(scope, task)) {
                Ok(true) => {}
                Ok(false) => {
                    return self.emit(Event::Skipped { task, cause: SkipCause::Condition });
                }
                Err(error) => return self.fail_for_good(task, error),
            }
        }
        if self.run.is_map(task) { self.open_map(task) } else { self.start_work(task) }
    }

    fn open_map(&mut self, task: TaskId) {
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        let each = node.for_each.as_ref().expect("only maps are opened as maps");
        let seen = Seen::by(self.run.state.task(task).scope, task);
        let items = match self.run.evaluate(&each.items, &seen) {
            Ok(Value::Array(items)) => items,
            Ok(other) => {
                let message = format!("`for_each` needs a list, not {}", kind_of(&other));
                return self.fail_for_good(task, Self::fatal("expression", message));
            }
            Err(error) => return self.fail_for_good(task, error),
        };
        let limit = self.run.limits.fan_out;
        if items.len() > limit {
            let message = format!(
                "`for_each` has {} items and may have at most {limit} (limits.fan_out)",
                items.len()
            );
            return self.fail_for_good(task, Self::fatal("limit_fan_out", message));
        }
        if items.is_empty() {
            return self.complete_task(task, Value::Array(items));
        }
        self.enter_composite(task);
        let scope = ScopeId(self.run.state.scopes.len() as u32);
        let first = self.run.state.tasks.len() as u32;
        let items = Payload::new(Value::Array(items));
        self.emit(Event::Mapped { scope, owner: task, first, items });
    }

    /// Records that a task's work is now other tasks.
    pub fn enter_composite(&mut self, task: TaskId) {
        let attempt = self.run.state.task(task).attempt + 1;
        let (due, total_due) = self.time_limits(task);
        self.emit(Event::Entered { task, attempt, due, total_due });
    }

    /// Opens a composite, as the work of `owner` or as a part of the run.
    pub fn open_composite(
        &mut self,
        composite: CompositeId,
        owner: Option<TaskId>,
    ) -> Result<ScopeId, TaskError> {
        let plan = self.run.plan.clone();
        let content = plan.composite(composite);
        let scope = ScopeId(self.run.state.scopes.len() as u32);
        let first = self.run.state.tasks.len() as u32;
        let outer = owner.map_or(ScopeId(0), |it| self.run.state.task(it).scope);
        let seen = Seen { scope: outer, task: owner, ..Seen::by(outer, TaskId(0)) };
        let mut vars = Map::new();
        for (name, template) in &content.vars {
            let value = self.run.evaluate(template, &seen.with_vars(&vars))?;
            vars.insert(name.clone(), value);
        }
        let kind = match content.kind {
            CompositeKind::Graph { .. } => ScopeKind::Graph,
            CompositeKind::Machine { .. } => ScopeKind::Machine,
        };
        let len = content.len;
        self.emit(Event::Opened { scope, kind, composite: composite.0, owner, first, len, vars });
        if let CompositeKind::Machine { initial } = content.kind {
            self.enter_state(scope, None, initial, None, Map::new());
        }
        Ok(scope)
    }

    /// Starts what was held back while a scope was full, or the next items of a map.
    pub fn fill(&mut self, scope_id: ScopeId) {
        let scope = self.run.state.scope(scope_id);
        if scope.stopped.is_some() || self.is_paused() || !self.run.is_current(scope_id) {
            return;
        }
        match scope.content {
            ScopeContent::Graph => self.fill_graph(scope_id),
            ScopeContent::Map { .. } => self.fill_map(scope_id),
            ScopeContent::Machine { .. } => {}
        }
    }

    fn fill_graph(&mut self, scope_id: ScopeId) {
        let entry = &mut self.run.index.scopes[scope_id.0 as usize];
        let Some((_, task)) = entry.held.pop_first() else { return };
        if self.run.state.task(task).status == TaskStatus::Pending {
            self.admit_task(task);
        }
        let entry = &self.run.index.scopes[scope_id.0 as usize];
        if !entry.held.is_empty() && !entry.held.iter().any(|(_, it)| *it == task) {
            self.step(Step::Fill(scope_id));
        }
    }

    fn fill_map(&mut self, scope_id: ScopeId) {
        let scope = self.run.state.scope(scope_id);
        let (first, len) = (scope.first, scope.len);
        let owner = scope.owner.expect("a map belongs to a task");
        let most = self.run.node(owner).for_each.as_ref().and_then(|it| it.max_parallel);
        let entry = &mut self.run.index.scopes[scope_id.0 as usize];
        if entry.next_item >= len || entry.active >= most.unwrap_or(MAP_WINDOW) {
            return;
        }
        let task = TaskId(first + entry.next_item);
        entry.next_item += 1;
        // One item a step, so that a large map shares its decision's bound.
        self.step(Step::Fill(scope_id));
        if self.run.state.task(task).status == TaskStatus::Pending {
            self.start_work(task);
        }
    }

    /// Draws the conclusions from the end of a task.
    pub fn settle(&mut self, task: TaskId) {
        let state = self.run.state.task(task);
        let scope_id = state.scope;
        if !state.status.is_ended() || !self.run.is_current(scope_id) {
            return;
        }
        let failed = state.status == TaskStatus::Failed
            && !state.more.as_ref().is_some_and(|it| it.accepted);
        match self.run.state.scope(scope_id).content {
            ScopeContent::Machine { .. } => return self.settle_state(scope_id, task),
            ScopeContent::Graph if failed => self.fail_graph(scope_id),
            ScopeContent::Map { .. } if failed => self.fail_map(scope_id),
            ScopeContent::Graph | ScopeContent::Map { .. } => {}
        }
        let entry = &self.run.index.scopes[scope_id.0 as usize];
        if entry.open == 0 {
            self.step(Step::Close(scope_id));
        } else {
            self.step(Step::Fill(scope_id));
        }
    }

    fn fail_graph(&mut self, scope_id: ScopeId) {
        if self.fails_fast(scope_id) {
            self.stop_scope(scope_id, StopCause::Failed);
        }
    }

    /// Whether a task of a graph has failed that stops at the first failure.
    fn fails_fast(&self, scope_id: ScopeId) -> bool {
        let scope = self.run.state.scope(scope_id);
        let kind = &self.run.plan.composite(CompositeId(scope.composite)).kind;
        scope.failed.is_some() && matches!(kind, CompositeKind::Graph { fail_fast: true, .. })
    }

    fn fail_map(&mut self, scope_id: ScopeId) {
        let owner = self.run.state.scope(scope_id).owner.expect("a map belongs to a task");
        let each = self.run.node(owner).for_each.as_ref().expect("it is a map");
        if each.on_item_failure == OnItemFailure::Fail {
            self.stop_scope(scope_id, StopCause::Failed);
        }
    }

    /// Stops a scope and everything inside it. Running attempts get a grace period.
    pub fn stop_scope(&mut self, scope_id: ScopeId, cause: StopCause) {
        if self.run.state.scope(scope_id).stopped.is_some() {
            return;
        }
        self.emit_stopped(scope_id, cause);
        for task in self.run.state.children(scope_id) {
            self.stop_task(task, cause);
        }
    }

    /// Asks what a task has under way to end.
    pub fn stop_task(&mut self, task: TaskId, cause: StopCause) {
        let state = self.run.state.task(task);
        let child_runs = matches!(state.wait(), Some(Wait::Child { .. }));
        match state.status {
            TaskStatus::Running => match state.inner {
                Some(inner) if self.run.is_current(inner) => self.stop_scope(inner, cause),
                _ => self.ask_to_end(task, GRACE_MS),
            },
            TaskStatus::Waiting if child_runs => {
                self.ask_to_end(task, super::operate::CLEAN_UP_MS);
            }
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Retrying
            | TaskStatus::Waiting
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Skipped
            | TaskStatus::Cancelled
            | TaskStatus::Compensated => {}
        }
    }

    fn ask_to_end(&mut self, task: TaskId, grace_ms: u64) {
        if !self.run.state.task(task).is_cancelling() {
            self.emit(Event::Cancelling { task, due: self.now() + grace_ms });
        }
    }

    /// Ends a scope whose tasks have all ended.
    pub fn close(&mut self, scope_id: ScopeId) {
        if !self.run.is_current(scope_id) {
            return;
        }
        let scope = self.run.state.scope(scope_id);
        if matches!(scope.content, ScopeContent::Machine { .. }) {
            return self.close_machine(scope_id);
        }
        if self.run.index.scopes[scope_id.0 as usize].open > 0 {
            return;
        }
        if scope.stopped == Some(StopCause::Cancelled) {
            return self.end_scope(scope_id, Ending::Cancelled);
        }
        if let Some(failed) = scope.failed
            && !self.tolerates_items(scope_id)
        {
            let error = self.run.state.task(failed).error().cloned();
            let error = error.unwrap_or_else(|| Self::fatal("failed", "a task failed"));
            return self.end_scope(scope_id, Ending::Failed(failed, error));
        }
        let output = self.run.composite_output(scope_id);
        self.end_scope(scope_id, Ending::Completed(output));
    }

    fn tolerates_items(&self, scope_id: ScopeId) -> bool {
        let scope = self.run.state.scope(scope_id);
        let ScopeContent::Map { .. } = scope.content else { return false };
        let owner = scope.owner.expect("a map belongs to a task");
        let each = self.run.node(owner).for_each.as_ref().expect("it is a map");
        each.on_item_failure == OnItemFailure::Continue
    }

    /// Hands the end of a scope to whoever it belongs to.
    pub fn end_scope(&mut self, scope_id: ScopeId, ending: Ending) {
        let owner = self.run.state.scope(scope_id).owner;
        match owner {
            None => self.end_part(scope_id, ending),
            Some(owner) if self.run.is_undo(scope_id) => self.end_undo(owner, ending),
            Some(owner) => self.end_owner(owner, ending),
        }
    }

    fn end_owner(&mut self, owner: TaskId, ending: Ending) {
        let expired = self.run.state.task(owner).more.as_ref().and_then(|it| it.expired.clone());
        match (expired, ending) {
            (Some(error), _) => self.attempt_failed(owner, error),
            (None, Ending::Completed(output)) => self.complete_task(owner, output),
            (None, Ending::Failed(_, error)) => self.attempt_failed(owner, error),
            (None, Ending::Cancelled) => self.emit(Event::Cancelled { task: owner }),
        }
    }

    /// Records a task's result, if it is small enough to keep.
    pub fn complete_task(&mut self, task: TaskId, output: Value) {
        let limit = self.run.limits.payload_bytes;
        let bytes = super::payload::size(&output, limit + 1);
        if bytes > limit {
            let message = format!(
                "the output has more than {limit} bytes (limits.payload_bytes); write it to a file or a database and return where it is"
            );
            return self.attempt_failed(task, Self::fatal("payload_too_large", message));
        }
        let (context, limit) = (self.run.index.context_bytes, self.run.limits.context_bytes);
        if context + bytes > limit {
            let message = format!(
                "all outputs of the run would have more than {limit} bytes (limits.context_bytes); write large ones to files or a database"
            );
            return self.attempt_failed(task, Self::fatal("context_too_large", message));
        }
        let undo = self.run.node(task).compensate.is_some() && !self.run.is_map(task);
        self.emit(Event::Completed { task, output: output.into(), undo });
    }

    /// Ends a task in failure, and says whether anything downstream accepts that.
    pub fn fail_for_good(&mut self, task: TaskId, error: TaskError) {
        let accepted = self.run.accepts_failure(task);
        self.emit(Event::Failed { task, error, accepted });
    }

    /// An `any_success` join found no success: the failures that only it had accepted fail the
    /// graph after all.
    fn withdraw_acceptance(&mut self, join: TaskId) {
        let first = self.run.state.scope(self.run.state.task(join).scope).first;
        let needs = self.run.node(join).needs.clone();
        for need in needs {
            let need = TaskId(first + need);
            let state = self.run.state.task(need);
            if state.status != TaskStatus::Failed || self.run.accepts_failure_otherwise(need) {
                continue;
            }
            let Some(error) = state.error().cloned() else { continue };
            self.emit(Event::Failed { task: need, error, accepted: false });
            self.step(Step::Settle(need));
        }
    }
}

/// How a scope ended.
pub(super) enum Ending {
    Completed(Value),
    Failed(TaskId, TaskError),
    Cancelled,
}

impl Run {
    /// Whether the failure of a task leaves its composite alive: it says so itself, or something
    /// behind it runs on failures, or may still succeed without it.
    fn accepts_failure(&self, task: TaskId) -> bool {
        let node = self.node(task);
        if self.is_item(task) {
            return false;
        }
        self.accepts_failure_otherwise(task)
            || self.dependents(task).any(|(id, dependent)| {
                dependent.join == Join::AnySuccess && !self.is_skipped_for_good(id)
            })
            || node.on_failure == OnFailure::Continue
    }

    /// The same without `any_success`, which accepts failures only while a success is possible.
    fn accepts_failure_otherwise(&self, task: TaskId) -> bool {
        self.node(task).on_failure == OnFailure::Continue
            || self
                .dependents(task)
                .any(|(_, dependent)| matches!(dependent.join, Join::AnyFailed | Join::AllDone))
    }

    /// Whether a task was skipped, and not because its condition was false: that is asked only
    /// after its join was satisfied, so the success that it needed is there.
    fn is_skipped_for_good(&self, task: TaskId) -> bool {
        let state = self.state.task(task);
        let cause = state.more.as_ref().and_then(|it| it.cause);
        state.status == TaskStatus::Skipped && cause != Some(SkipCause::Condition)
    }

    fn dependents(&self, task: TaskId) -> impl Iterator<Item = (TaskId, &crate::plan::TaskPlan)> {
        let scope = self.state.scope(self.state.task(task).scope);
        let node = self.node(task);
        node.dependents.iter().map(move |local| {
            let composite = CompositeId(scope.composite);
            let id = self.plan.child(composite, *local);
            (TaskId(scope.first + local), self.plan.node(NodeId(id.0)))
        })
    }

    /// Returns what a composite yields: the items' outputs in order, or the outputs of the tasks
    /// that nothing depends on, by id.
    fn composite_output(&self, scope_id: ScopeId) -> Value {
        let scope = self.state.scope(scope_id);
        let output = |task: TaskId| {
            let state = self.state.task(task);
            match state.status {
                TaskStatus::Completed => state.output.as_deref().cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            }
        };
        if matches!(scope.content, ScopeContent::Map { .. }) {
            return self.state.children(scope_id).map(output).collect();
        }
        // The root has `output` for that, and its leaves may be many.
        if scope.owner.is_none() {
            return Value::Null;
        }
        let children = self.state.children(scope_id);
        let leaves = children.filter(|it| {
            self.node(*it).dependents.is_empty()
                && self.state.task(*it).status == TaskStatus::Completed
        });
        let pairs = leaves.map(|it| (self.node(it).id.to_string(), output(it)));
        Value::Object(pairs.collect())
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
