//! How a machine moves: events, times, the end of a state's work, and the guards on them.

use serde_json::{Map, Value, json};

use super::Run;
use super::advance::Ending;
use super::decide::Decider;
use super::event::*;
use super::index::Step;
use super::state::ScopeContent;
use super::status::TaskStatus;
use super::view::Seen;
use crate::limits::AUTOMATIC_TRANSITIONS_MAX;
use crate::plan::{CompositeId, StatePlan, TransitionPlan};
use crate::task_error::TaskError;

impl Decider<'_, '_> {
    /// Moves a machine into a state. The state's work starts with the next look at the machine.
    pub fn enter_state(
        &mut self,
        scope: ScopeId,
        from: Option<u32>,
        to: u32,
        on: Option<&str>,
        set: Map<String, Value>,
    ) {
        let plan = self.run.plan.clone();
        let entry = self.run.state.scope(scope);
        let target = TaskId(entry.first + to);
        if matches!(entry.content, ScopeContent::Machine { automatic, .. } if automatic >= AUTOMATIC_TRANSITIONS_MAX)
        {
            let message = format!(
                "{AUTOMATIC_TRANSITIONS_MAX} transitions in a row without a task, an event or a time between them"
            );
            return self.fail_machine(scope, from.unwrap_or(to), Self::fatal("hot_loop", message));
        }
        if !matches!(self.run.state.task(target).status, TaskStatus::Pending)
            && !self.run.state.task(target).status.is_ended()
        {
            // Work of an earlier visit that has not ended yet: its result no longer counts.
            self.leave_child(target);
            self.emit(Event::Cancelled { task: target });
        }
        let node = plan.node(plan.child(CompositeId(self.run.state.scope(scope).composite), to));
        let now = self.now();
        let after = node.state.iter().flat_map(|it| &it.after).map(|(it, _)| now + it.0).collect();
        let on = on.map(str::to_owned);
        self.emit(Event::Moved { scope, from, to, on, set, after });
        self.step(Step::Close(scope));
    }

    /// Looks at the current state of a machine.
    pub fn close_machine(&mut self, scope_id: ScopeId) {
        let Some(task) = self.run.current_state(scope_id) else { return };
        match self.run.state.task(task).status {
            // A paused run starts nothing; resuming looks again.
            TaskStatus::Pending if self.is_paused() => {}
            TaskStatus::Pending => self.start(task),
            status if status.is_ended() => self.settle_state(scope_id, task),
            _ => {}
        }
    }

    /// Draws the conclusions from the end of a state's work.
    pub fn settle_state(&mut self, scope_id: ScopeId, task: TaskId) {
        if !self.run.is_current_state(task) || !self.run.is_current(scope_id) {
            return;
        }
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        let Some(state) = node.state.as_deref() else { return };
        let status = self.run.state.task(task).status;
        match (self.run.state.scope(scope_id).stopped, status) {
            (Some(StopCause::Cancelled), _) => self.end_scope(scope_id, Ending::Cancelled),
            (Some(StopCause::Failed), _) => {
                let failed = self.run.state.scope(scope_id).failed.unwrap_or(task);
                let error = self.run.state.task(failed).error().cloned();
                let error = error.unwrap_or_else(|| Self::fatal("stopped", "it was stopped"));
                self.end_scope(scope_id, Ending::Failed(failed, error));
            }
            (None, TaskStatus::Failed | TaskStatus::Cancelled) => {
                self.work_failed(scope_id, task, state);
            }
            (None, _) if state.is_final => self.finish_machine(scope_id, task, state),
            (None, _) => self.work_done(scope_id, task, state),
        }
    }

    fn work_done(&mut self, scope_id: ScopeId, task: TaskId, state: &StatePlan) {
        let output = self.run.state.task(task).output.clone().unwrap_or_default();
        let seen = Seen { output: Some(&output), ..Seen::by(scope_id, task) };
        let on_done = transitions(state, "done");
        match self.choose(state.next.iter().chain(on_done), &seen) {
            Ok(Some(chosen)) => self.take(scope_id, task, chosen, "done", &seen),
            // It stays until an event or a time moves it on.
            Ok(None) if self.has_other_ways(scope_id, state) => {}
            Ok(None) => {
                let message = format!(
                    "no transition of state `{}` has a true guard; add one without `if`",
                    self.run.node(task).id
                );
                self.fail_machine(scope_id, self.run.local(task), Self::fatal("no_match", message));
            }
            Err(error) => self.fail_machine(scope_id, self.run.local(task), error),
        }
    }

    fn has_other_ways(&self, scope_id: ScopeId, state: &StatePlan) -> bool {
        let ScopeContent::Machine { after, .. } = &self.run.state.scope(scope_id).content else {
            return false;
        };
        let events = state.on.iter().any(|(name, _)| &**name != "done" && &**name != "failed");
        events || after.iter().any(|it| *it > 0)
    }

    fn work_failed(&mut self, scope_id: ScopeId, task: TaskId, state: &StatePlan) {
        let failure = self.run.state.task(task).error().cloned();
        let failure = failure.unwrap_or_else(|| TaskError::fatal("cancelled", "it was cancelled"));
        let error = serde_json::to_value(&failure).unwrap_or_default();
        let seen = Seen { error: Some(&error), ..Seen::by(scope_id, task) };
        match self.choose(transitions(state, "failed"), &seen) {
            Ok(Some(chosen)) => self.take(scope_id, task, chosen, "failed", &seen),
            Ok(None) => self.end_scope(scope_id, Ending::Failed(task, failure)),
            Err(error) => self.end_scope(scope_id, Ending::Failed(task, error)),
        }
    }

    fn finish_machine(&mut self, scope_id: ScopeId, task: TaskId, state: &StatePlan) {
        let node = self.run.node(task);
        let own = self.run.state.task(task).output.clone().unwrap_or_default();
        let seen = Seen { output: Some(&own), ..Seen::by(scope_id, task) };
        let output = match &state.output {
            Some(template) => self.run.evaluate(template, &seen),
            None => Ok(json!({"state": &*node.id, "output": *own})),
        };
        match output {
            Ok(output) => self.end_scope(scope_id, Ending::Completed(output)),
            Err(error) => self.end_scope(scope_id, Ending::Failed(task, error)),
        }
    }

    fn fail_machine(&mut self, scope_id: ScopeId, state: u32, error: TaskError) {
        let task = TaskId(self.run.state.scope(scope_id).first + state);
        self.end_scope(scope_id, Ending::Failed(task, error));
    }

    /// Returns the first transition whose guard is true.
    fn choose<'p>(
        &self,
        transitions: impl IntoIterator<Item = &'p TransitionPlan>,
        seen: &Seen<'_>,
    ) -> Result<Option<&'p TransitionPlan>, TaskError> {
        for transition in transitions {
            let open = match &transition.condition {
                Some(condition) => self.run.evaluate_bool(condition, seen)?,
                None => true,
            };
            if open {
                return Ok(Some(transition));
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        scope_id: ScopeId,
        task: TaskId,
        transition: &TransitionPlan,
        on: &str,
        seen: &Seen<'_>,
    ) {
        let mut set = Map::new();
        for (name, template) in &transition.set {
            match self.run.evaluate(template, seen) {
                Ok(value) => set.insert(name.clone(), value),
                Err(error) => {
                    return self.fail_machine(scope_id, self.run.local(task), error);
                }
            };
        }
        let from = self.run.local(task);
        self.leave(task, seen);
        self.enter_state(scope_id, Some(from), transition.to, Some(on), set);
    }

    /// Ends what the state that is being left was doing.
    pub fn leave(&mut self, task: TaskId, seen: &Seen<'_>) {
        let state = self.run.state.task(task);
        match (state.status, state.wait()) {
            (TaskStatus::Waiting, Some(Wait::Event)) => {
                let output = seen.event.cloned().unwrap_or_default();
                self.emit(Event::Completed { task, output: output.into(), undo: false });
            }
            (TaskStatus::Running, _) => self.stop_task(task, StopCause::Cancelled),
            (TaskStatus::Waiting, Some(Wait::Child { .. })) => {
                self.stop_task(task, StopCause::Cancelled);
            }
            (status, _) if !status.is_ended() => self.emit(Event::Cancelled { task }),
            _ => {}
        }
    }

    /// Offers an event to the machines, the innermost first. Says whether one has moved, or why
    /// none that knows the event would.
    pub fn offer_event(&mut self, name: &str, data: &Value) -> Offer {
        let plan = self.run.plan.clone();
        let mut closed = Offer::Unknown;
        for (scope_id, task) in self.run.current_states() {
            let node = plan.node(self.run.node_id(task));
            let Some(state) = node.state.as_deref() else { continue };
            let known: Vec<_> = transitions(state, name).collect();
            if known.is_empty() {
                continue;
            }
            let seen = Seen { event: Some(data), ..Seen::by(scope_id, task) };
            match self.choose(known, &seen) {
                Ok(Some(chosen)) => {
                    self.take(scope_id, task, chosen, name, &seen);
                    return Offer::Taken;
                }
                Ok(None) => {
                    closed =
                        Offer::Closed(format!("no guard of it is true in state `{}`", node.id));
                }
                Err(error) => {
                    closed = Offer::Closed(format!("its guard cannot be evaluated: {error}"));
                }
            }
        }
        closed
    }

    /// Takes a transition whose time has come.
    pub fn after_due(&mut self, scope_id: ScopeId) {
        // A paused machine stays where it is; resuming looks at the timers again. One that is being
        // stopped only waits for its work to end.
        if self.is_paused() || !self.run.is_going_on(scope_id) {
            return;
        }
        let now = self.now();
        let ScopeContent::Machine { after, current: Some(current), .. } =
            &self.run.state.scope(scope_id).content
        else {
            return;
        };
        let place = after.iter().position(|it| *it > 0 && *it <= now);
        let Some((place, at)) = place.map(|it| (it, after[it])) else { return };
        let task = TaskId(self.run.state.scope(scope_id).first + current);
        let plan = self.run.plan.clone();
        let node = plan.node(self.run.node_id(task));
        let Some((delay, ways)) = node.state.as_ref().and_then(|it| it.after.get(place)) else {
            return;
        };
        let seen = Seen::by(scope_id, task);
        match self.choose(ways, &seen) {
            Ok(Some(chosen)) => self.take(scope_id, task, chosen, &format!("after {delay}"), &seen),
            Ok(None) => {
                self.emit(Event::Elapsed { scope: scope_id, at });
                self.step(Step::Close(scope_id));
            }
            Err(error) => self.fail_machine(scope_id, self.run.local(task), error),
        }
    }
}

/// What became of an event.
pub(super) enum Offer {
    Taken,
    /// A current state knows it, but its guards are false.
    Closed(String),
    /// No current state knows it.
    Unknown,
}

impl Run {
    /// Returns the task of a machine's current state.
    pub(super) fn current_state(&self, scope: ScopeId) -> Option<TaskId> {
        let entry = self.state.scope(scope);
        match entry.content {
            ScopeContent::Machine { current, .. } => current.map(|it| TaskId(entry.first + it)),
            ScopeContent::Graph | ScopeContent::Map { .. } => None,
        }
    }

    /// Returns every machine that is going on and its current state, the innermost first.
    pub(crate) fn current_states(&self) -> Vec<(ScopeId, TaskId)> {
        let scopes = (0..self.state.scopes.len() as u32).rev().map(ScopeId);
        scopes
            .filter(|it| self.is_going_on(*it))
            .filter_map(|it| Some((it, self.current_state(it)?)))
            .collect()
    }

    /// Whether a scope and all around it are current and not stopped.
    pub(super) fn is_going_on(&self, id: ScopeId) -> bool {
        let scope = self.state.scope(id);
        self.is_current(id)
            && scope.stopped.is_none()
            && scope.owner.is_none_or(|it| self.is_going_on(self.state.task(it).scope))
    }
}

/// Returns the transitions of a state for an event.
pub(super) fn transitions<'p>(
    state: &'p StatePlan,
    event: &str,
) -> impl Iterator<Item = &'p TransitionPlan> {
    let found = state.on.iter().filter(move |(name, _)| **name == *event);
    found.flat_map(|(_, it)| it).collect::<Vec<_>>().into_iter()
}
