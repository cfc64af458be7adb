//! What follows from a durable decision: attempts, queueing, sub-runs.

use std::sync::Arc;

use serde_json::{Value, json};
use surefoot_core::ids::{RunId, namespace};
use surefoot_core::limits::SUB_RUN_DEPTH_MAX;
use surefoot_core::queue::{Limit, Request};
use surefoot_core::run::{By, Command, Effect, Parent, Run, TaskId, TaskStatus};
use surefoot_core::trace::TraceParent;
use tokio_util::sync::CancellationToken;

use super::{Message, NewRun, Shard};
use crate::engine::attempt::{Ticket, execute};
use crate::engine::commit::Reply;
use crate::engine::request::StartRequest;
use crate::engine::resident::{InFlight, fairness};
use crate::kinds::TaskError;
use crate::secrets::Lent;

impl Shard {
    pub(super) fn perform(&mut self, run: RunId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Queue { task } => self.enqueue(run, task),
                Effect::Execute { task, attempt } => self.execute(run, task, attempt),
                Effect::Cancel { task, attempt } => self.cancel_attempt(run, task, attempt),
                Effect::CancelChild { task, run: child } => {
                    // One that has ended already is not told to end, so its end is looked up.
                    self.await_child(run, task, child);
                    self.cancel_child(child);
                }
                Effect::AwaitChild { task, run: child } => self.await_child(run, task, child),
            }
        }
    }

    /// Puts a ready task in line for a slot.
    pub(super) fn enqueue(&mut self, run: RunId, task: TaskId) {
        let Some(resident) = self.residents.get_mut(&run) else { return };
        let state = resident.run.state();
        if state.task(task).status != TaskStatus::Ready
            || !self.shared.dispatches
            || resident.queued.contains_key(&task)
        {
            return;
        }
        let node = resident.run.node(task);
        let key = state.task(task).more.as_ref().and_then(|it| it.key.clone());
        let limit = node.concurrency.as_ref();
        let limit =
            Limit { at_once: limit.and_then(|it| it.limit), rate: limit.and_then(|it| it.rate) };
        let kind = resident.run.kind(task).unwrap_or_default();
        let request = Request {
            item: (run, task),
            kind: kind.to_owned(),
            priority: state.created.priority.saturating_add(node.priority),
            fairness: fairness(&resident.run),
            key: key.map(|it| (it, limit)),
            remote: self.shared.is_remote(kind),
            namespace: namespace(&state.created.workflow).to_owned(),
        };
        let place = self.queue.push(request, state.task(task).since);
        resident.queued.insert(task, place);
    }

    /// Makes an attempt, if it still holds its task.
    fn execute(&mut self, id: RunId, task: TaskId, attempt: u32) {
        let Some(resident) = self.residents.get(&id) else { return };
        let run = &resident.run;
        let state = run.state().task(task);
        let is_current = state.status == TaskStatus::Running && state.attempt == attempt;
        let is_under_way = resident.attempts.get(&task).is_some_and(|it| it.attempt == attempt);
        if !is_current || is_under_way {
            return self.give_back(id, task, attempt);
        }
        let kind = run.kind(task).unwrap_or_default();
        if kind == "workflow" {
            return self.start_child(id, task, attempt);
        }
        if self.shared.is_remote(kind) {
            return self.lend(id, task, attempt);
        }
        let lent = self.shared.vault.lend();
        let input = run.attempt_input(task, &lent);
        let handler = self.shared.handlers.get(kind).ok_or_else(|| unknown_handler(kind));
        match input.and_then(|input| Ok((input, handler?))) {
            Ok((input, kind)) => {
                let ticket = self.ticket(id, task, attempt, kind, input, lent);
                if let Some(ticket) = ticket {
                    self.spawn(ticket);
                }
            }
            Err(error) => self.fail_unmade(id, task, attempt, error),
        }
    }

    fn ticket(
        &self,
        id: RunId,
        task: TaskId,
        attempt: u32,
        kind: Arc<dyn crate::kinds::Kind>,
        input: Value,
        lent: Lent<'_>,
    ) -> Option<Ticket> {
        let run = &self.residents.get(&id)?.run;
        Some(Ticket {
            run: id,
            workflow: run.plan().workflow.clone(),
            task,
            path: run.path(task),
            attempt,
            idempotency_key: run.idempotency_key(task),
            actor: run.state().created.actor.clone(),
            traceparent: traceparent(run, task, attempt),
            tracestate: run.state().created.tracestate.clone().unwrap_or_default(),
            deadline: run.state().task(task).due,
            kind,
            input,
            blotter: lent.blotter(),
            cancel: CancellationToken::new(),
        })
    }

    fn spawn(&mut self, ticket: Ticket) {
        let Some(resident) = self.residents.get_mut(&ticket.run) else { return };
        let in_flight = InFlight { attempt: ticket.attempt, cancel: ticket.cancel.clone() };
        resident.attempts.insert(ticket.task, in_flight);
        self.attempt_begun();
        tokio::spawn(execute(self.shared.clone(), ticket, self.messages.clone()));
    }

    pub(super) fn attempt_begun(&mut self) {
        self.shared.count(|it| &it.attempts_started, 1);
        self.attempts_in_flight += 1;
        self.shared.count(|it| &it.attempts_in_flight, 1);
    }

    /// An attempt that cannot even be begun has failed.
    pub(super) fn fail_unmade(&mut self, run: RunId, task: TaskId, attempt: u32, error: TaskError) {
        self.give_back(run, task, attempt);
        self.decide(run, Command::Fail { task, attempt, error }, By::engine(), Reply::Nobody);
    }

    pub(super) fn give_back(&mut self, run: RunId, task: TaskId, attempt: u32) {
        self.hand(run, task, attempt, None);
        let Some(resident) = self.residents.get_mut(&run) else { return };
        if resident.attempts.get(&task).is_some_and(|it| it.attempt == attempt) {
            return;
        }
        if let Some(slot) = resident.slots.remove(&(task, attempt)) {
            self.queue.release(slot);
        }
    }

    fn cancel_attempt(&mut self, run: RunId, task: TaskId, attempt: u32) {
        let Some(resident) = self.residents.get(&run) else { return };
        match resident.attempts.get(&task) {
            Some(in_flight) if in_flight.attempt == attempt => in_flight.cancel.cancel(),
            // It was never begun, so there is nothing to wait for.
            _ => {
                let error =
                    TaskError::new("cancelled", "the attempt was cancelled before it began");
                self.fail_unmade(run, task, attempt, error);
            }
        }
    }

    /// An attempt is alive: its heartbeat time-out starts again.
    pub(super) fn beat(&mut self, run: RunId, task: TaskId, attempt: u32) {
        self.decide(run, Command::Beat { task, attempt }, By::engine(), Reply::Nobody);
    }

    // Sub-runs.

    /// Prepares a sub-run beside the loop: its definition may have to be read.
    fn start_child(&mut self, id: RunId, task: TaskId, attempt: u32) {
        self.give_back(id, task, attempt);
        let Some(resident) = self.residents.get(&id) else { return };
        let run = &resident.run;
        let lent = self.shared.vault.lend();
        let with = match run.attempt_input(task, &lent) {
            Ok(with) => with,
            Err(error) => return self.fail_unmade(id, task, attempt, error),
        };
        let created = &run.state().created;
        let depth = created.parent.as_ref().map_or(0, |it| it.depth) + 1;
        if depth > SUB_RUN_DEPTH_MAX {
            let message = format!("sub-runs may be nested {SUB_RUN_DEPTH_MAX} deep");
            let error = TaskError::fatal("sub_run_depth", message);
            return self.fail_unmade(id, task, attempt, error);
        }
        let awaited = with.get("wait").and_then(Value::as_bool).unwrap_or(true);
        let text = |name: &str| with.get(name).and_then(Value::as_str);
        let request = StartRequest {
            workflow: text("id").unwrap_or_default().to_owned(),
            version: text("version").map(str::to_owned),
            input: with.get("input").cloned().unwrap_or_else(|| json!({})),
            key: None,
            labels: created.labels.clone(),
            priority: Some(created.priority),
            actor: created.actor.clone(),
            traceparent: Some(traceparent(run, task, attempt)),
            tracestate: created.tracestate.clone(),
        };
        // A lost attempt finds the sub-run that it started; one after a failure, a retry or a rewind
        // gets another: what they reset is not counted, attempts are.
        let not_lost = attempt.saturating_sub(1 + run.state().task(task).lost());
        let child = RunId::child(id, &run.path(task), not_lost);
        let parent = Parent { run: id, task, attempt, depth, awaited };
        let (shared, messages) = (self.shared.clone(), self.messages.clone());
        self.beside += 1;
        tokio::spawn(async move {
            let prepared = shared.prepare(child, request, Some(parent)).await;
            let child = prepared
                .map(Box::new)
                .map_err(|error| TaskError::fatal("sub_run", error.to_string()));
            if let Some(messages) = messages.upgrade() {
                let message = Message::Child { parent: id, task, attempt, awaited, child };
                let _ = messages.send(message).await;
            }
        });
    }

    pub(super) fn child_prepared(
        &mut self,
        parent: RunId,
        task: TaskId,
        attempt: u32,
        awaited: bool,
        child: Result<Box<NewRun>, TaskError>,
    ) {
        self.beside = self.beside.saturating_sub(1);
        let new = match child {
            Ok(new) => new,
            Err(error) => return self.fail_unmade(parent, task, attempt, error),
        };
        let holds = self.residents.get(&parent).is_some_and(|it| {
            let state = it.run.state().task(task);
            state.status == TaskStatus::Running && state.attempt == attempt
        });
        if !holds {
            // The task went another way in the meantime, and nobody would wait for it.
            return;
        }
        let child = new.id;
        let is_known = self.residents.contains_key(&child) || self.loading.contains_key(&child);
        if !is_known {
            // Before the parent's own record in the same batch, so it cannot be missing after it.
            self.create(*new, Reply::Nobody);
        }
        let command = if awaited {
            Command::ChildStarted { task, attempt, run: child }
        } else {
            Command::Complete { task, attempt, output: json!({"run": child}) }
        };
        self.decide(parent, command, By::engine(), Reply::Nobody);
    }

    /// The sub-run may have ended before anybody waited for it.
    fn await_child(&mut self, parent: RunId, task: TaskId, child: RunId) {
        if self.residents.contains_key(&child) || self.loading.contains_key(&child) {
            return;
        }
        let (shared, messages) = (self.shared.clone(), self.messages.clone());
        self.beside += 1;
        tokio::spawn(async move {
            let ended = ended_child(&shared, task, child).await;
            if let Some(messages) = messages.upgrade() {
                let _ = messages.send(Message::ChildLooked { parent, ended }).await;
            }
        });
    }

    pub(super) fn child_looked(&mut self, parent: RunId, ended: Option<Command>) {
        self.beside = self.beside.saturating_sub(1);
        if let Some(command) = ended {
            self.command(parent, command, By::engine(), Reply::Nobody);
        }
    }

    fn cancel_child(&mut self, child: RunId) {
        let by = By {
            actor: "surefoot".to_owned(),
            reason: Some("its parent does not wait for it".to_owned()),
        };
        self.command(child, Command::Cancel, by, Reply::Nobody);
    }
}

async fn ended_child(shared: &super::Shared, task: TaskId, child: RunId) -> Option<Command> {
    let row = shared.store.run(child).await.ok()??;
    row.ended_at?;
    let state = crate::inspect::fold(&*shared.store, child).await.ok()?;
    let output = state.output.as_deref().cloned().unwrap_or_default();
    let error = state.error.as_ref().map(|it| it.error.clone());
    Some(Command::ChildEnded { task, run: child, status: state.status, output, error })
}

/// Says where in a trace an attempt stands, for whatever it calls.
pub(super) fn traceparent(run: &Run, task: TaskId, attempt: u32) -> String {
    TraceParent::of_attempt(run.id(), &run.state().created, task, attempt).to_string()
}

fn unknown_handler(kind: &str) -> TaskError {
    let message = format!("no handler named `{kind}` is registered in this process");
    TaskError::fatal("unknown_handler", message)
}
