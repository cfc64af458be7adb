//! The loop's side of workers in other processes: who gets which task, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::run::{By, Command, TaskId, TaskStatus};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Shard;
use super::effects::traceparent;
use crate::engine::attempt::GRACE;
use crate::engine::commit::Reply;
use crate::engine::remote::{
    Capability, Claim, Held, Lease, LeaseError, Settled, TakeRequest, Taken, Taker, Takers,
};
use crate::engine::resident::InFlight;
use crate::kinds::TaskError;

/// Leases are looked at this often, to see which were cancelled.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A wait that is longer than anybody's patience.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// What the loop knows about workers, beside their leases.
#[derive(Default)]
pub(super) struct Remote {
    takers: Takers,
    /// Answers that wait for their records to be durable.
    handings: BTreeMap<u64, Handing>,
    /// Decided attempts, and the answer that each belongs to.
    granted: BTreeMap<(RunId, TaskId, u32), u64>,
    next_handing: u64,
    look_at: Option<Instant>,
}

struct Handing {
    worker: Arc<str>,
    reply: oneshot::Sender<Taken>,
    open: usize,
    tasks: Vec<Lease>,
}

impl Shard {
    pub(super) fn take(&mut self, request: TakeRequest, reply: oneshot::Sender<Taken>) {
        let Some(config) = &self.shared.remote else { return };
        let now = Instant::now();
        let worker: Arc<str> = request.worker.into();
        let capabilities: Arc<[String]> = request.capabilities.into();
        self.remote.takers.see(&worker, &capabilities, request.namespaces.as_ref(), now);
        let holds = {
            let mut leases = self.shared.leases();
            leases.renew(&worker, request.holding.as_deref(), now);
            !leases.of(&worker).is_empty()
        };
        let longest = if holds { config.heartbeat() } else { WAIT_MAX };
        let until = now + request.wait.min(longest);
        let taker = Taker {
            worker,
            capabilities,
            namespaces: request.namespaces,
            slots: request.slots,
            until,
            reply,
            given: Vec::new(),
        };
        if request.slots == 0 || !self.dispatches() {
            self.answer_taker(taker);
        } else {
            self.remote.takers.push(taker);
        }
    }

    /// Answers an ask that got nothing.
    fn answer_taker(&mut self, taker: Taker) {
        let cancelled = self.shared.leases().cancelled(&taker.worker);
        // Who asked may have gone.
        let _ = taker.reply.send(Taken { tasks: Vec::new(), cancelled });
    }

    pub(super) fn dismiss(&mut self, worker: &str, leaves: bool) {
        for taker in self.remote.takers.pop_all(Some(worker)) {
            self.answer_taker(taker);
        }
        if leaves {
            self.remote.takers.forget(worker);
            let held = self.shared.leases().of(worker);
            for number in held {
                self.lose_lease(number, "its worker left");
            }
        }
    }

    /// Gives tasks to workers that ask for them.
    pub(super) fn serve_takers(&mut self) {
        let now = Instant::now();
        if self.dispatches() {
            self.give_out();
        } else {
            for taker in self.remote.takers.pop_all(None) {
                self.answer_taker(taker);
            }
        }
        for taker in self.remote.takers.pop_over(now) {
            self.answer_taker(taker);
        }
        self.look_at_leases(now);
        let queued = self.queue.waiting() + self.queue.waiting_elsewhere();
        self.shared.counters.attempts_queued.store(queued as u64, Ordering::Relaxed);
    }

    fn give_out(&mut self) {
        if !self.queue.has_backlog() {
            return;
        }
        while self.give_one() {}
        for taker in self.remote.takers.pop_given() {
            let number = self.remote.next_handing;
            self.remote.next_handing += 1;
            let open = taker.given.len();
            self.remote.granted.extend(taker.given.into_iter().map(|it| (it, number)));
            let (worker, reply) = (taker.worker, taker.reply);
            let handing = Handing { worker, reply, open, tasks: Vec::with_capacity(open) };
            self.remote.handings.insert(number, handing);
        }
    }

    /// Gives the first task in line that somebody asks for to the one whose turn it is.
    fn give_one(&mut self) -> bool {
        let now = self.now();
        let takers = &self.remote.takers;
        let Some((request, slot)) =
            self.queue.pop_remote(now, |kind, from| takers.serves(kind, from))
        else {
            return false;
        };
        let (run, task) = request.item;
        let Some(resident) = self.residents.get_mut(&run) else {
            self.queue.release(slot);
            return true;
        };
        resident.queued.remove(&task);
        let Some(mut taker) = self.remote.takers.pop(&request.kind, &request.namespace) else {
            // The only one who asked has gone this very moment.
            self.queue.release(slot);
            self.enqueue(run, task);
            return true;
        };
        let attempt = resident.run.state().task(task).attempt + 1;
        resident.slots.insert((task, attempt), slot);
        let worker = Some(taker.worker.to_string());
        if self.decide(run, Command::Dispatch { task, worker }, By::engine(), Reply::Nobody) {
            taker.given.push((run, task, attempt));
        } else {
            self.give_back(run, task, attempt);
        }
        self.remote.takers.push(taker);
        true
    }

    /// The record of an attempt is durable: it is lent to the worker that it was decided for.
    pub(super) fn lend(&mut self, run: RunId, task: TaskId, attempt: u32) {
        let number = self.remote.granted.get(&(run, task, attempt)).copied();
        let Some(worker) =
            number.and_then(|it| Some(self.remote.handings.get(&it)?.worker.clone()))
        else {
            return self.fail_unmade(run, task, attempt, no_worker());
        };
        match self.lease(worker, run, task, attempt) {
            Ok(lease) => self.hand(run, task, attempt, Some(lease)),
            Err(error) => self.fail_unmade(run, task, attempt, error),
        }
    }

    fn lease(
        &mut self,
        worker: Arc<str>,
        id: RunId,
        task: TaskId,
        attempt: u32,
    ) -> Result<Lease, TaskError> {
        let now = self.now();
        let resident = self.residents.get_mut(&id).ok_or_else(no_worker)?;
        let run = &resident.run;
        let lent = self.shared.vault.lend();
        let input = run.attempt_input(task, &lent)?;
        let mut held = Held::new(worker, id, task, attempt);
        held.workflow.clone_from(&run.plan().workflow);
        held.path = run.path(task);
        held.kind = run.kind(task).unwrap_or_default().to_owned();
        held.since = now;
        held.blotter = lent.blotter();
        held.log_left = self.shared.config.limits.log_bytes;
        let mut lease = Lease {
            token: String::new(),
            run: id,
            workflow: held.workflow.clone(),
            version: run.state().created.version.clone(),
            task: held.path.clone(),
            kind: held.kind.clone(),
            attempt,
            input,
            idempotency_key: run.idempotency_key(task),
            actor: run.state().created.actor.clone(),
            traceparent: traceparent(run, task, attempt),
            tracestate: run.state().created.tracestate.clone(),
            deadline: run.state().task(task).due,
            expires_in: Duration::ZERO,
        };
        resident.attempts.insert(task, InFlight { attempt, cancel: held.cancel.clone() });
        let now = Instant::now();
        let mut leases = self.shared.leases();
        (lease.token, lease.expires_in) = leases.issue(held, now);
        drop(leases);
        self.remote.look_at.get_or_insert(now + LOOK_INTERVAL);
        self.attempt_begun();
        Ok(lease)
    }

    /// One attempt of an answer is there, or will not be. With the last one the answer goes out.
    pub(super) fn hand(&mut self, run: RunId, task: TaskId, attempt: u32, lease: Option<Lease>) {
        let Some(number) = self.remote.granted.remove(&(run, task, attempt)) else { return };
        let Some(handing) = self.remote.handings.get_mut(&number) else { return };
        handing.tasks.extend(lease);
        handing.open -= 1;
        if handing.open > 0 {
            return;
        }
        let Some(Handing { worker, reply, tasks, .. }) = self.remote.handings.remove(&number)
        else {
            return;
        };
        let cancelled = self.shared.leases().cancelled(&worker);
        let Err(undelivered) = reply.send(Taken { tasks, cancelled }) else { return };
        for lease in undelivered.tasks {
            let number = self.shared.leases().number(&lease.token);
            if let Some(number) = number {
                self.lose_lease(number, "its worker went before it was told");
            }
        }
    }

    /// A run is dropped from memory: what was decided for it will not be handed out.
    pub(super) fn hand_nothing(&mut self, run: RunId) {
        let first = (run, TaskId(0), 0);
        let last = (run, TaskId(u32::MAX), u32::MAX);
        let mine: Vec<_> = self.remote.granted.range(first..=last).map(|(it, _)| *it).collect();
        for (run, task, attempt) in mine {
            self.hand(run, task, attempt, None);
        }
    }

    /// A worker says how an attempt ended.
    pub(super) fn settle(
        &mut self,
        token: &str,
        worker: Option<&str>,
        digest: Digest,
        result: Result<Value, TaskError>,
        reply: oneshot::Sender<Result<Settled, LeaseError>>,
    ) {
        let claim = self.shared.leases().claim(token, worker, digest);
        match claim {
            Ok(Claim::First(number, held)) => {
                let result = match result {
                    Ok(output) => Ok(held.blotter.value(output)),
                    Err(error) => Err(held.blotter.error(error)),
                };
                let settled = held.settled();
                let reply = Reply::Settled { reply, settled };
                if !self.attempted(held.run, held.task, held.attempt, result, reply) {
                    self.shared.leases().revoke(number, WENT_ON);
                }
            }
            Ok(Claim::Again(settled)) => {
                self.batch.confirmations.push(Reply::Settled { reply, settled });
            }
            Err(error) => {
                if matches!(error, LeaseError::Lost { .. } | LeaseError::Done(_)) {
                    self.shared.count(|it| &it.results_refused, 1);
                }
                // Who asked may have gone.
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Ends leases whose workers were not heard of, and those of attempts that did not end when
    /// they were asked to.
    fn look_at_leases(&mut self, now: Instant) {
        if self.remote.look_at.is_none_or(|it| now < it) {
            return;
        }
        let (lease, overdue) = {
            let mut leases = self.shared.leases();
            (leases.length(), leases.overdue(now, GRACE))
        };
        for over in overdue {
            if over.was_cancelled {
                self.lose_lease(over.number, "the attempt did not end when it was asked to");
            } else {
                self.shared.count(|it| &it.leases_expired, 1);
                self.lose_lease(over.number, "its worker was not heard of in time");
            }
        }
        self.remote.takers.look(now, lease);
        let next = self.shared.leases().next_expiry();
        self.remote.look_at = next.map(|it| it.min(now + LOOK_INTERVAL));
    }

    /// Takes an attempt back from its worker. Another one follows, unless it was to end anyway.
    fn lose_lease(&mut self, number: u64, reason: &str) {
        let Some(held) = self.shared.leases().lose(number, reason) else { return };
        held.cancel.cancel();
        let (run, task, attempt) = (held.run, held.task, held.attempt);
        self.attempt_over(run, task, attempt);
        let holds = self.residents.get(&run).is_some_and(|it| {
            let state = it.run.state().task(task);
            state.status == TaskStatus::Running && state.attempt == attempt
        });
        if holds {
            let command = Command::Lost { task, attempt, reason: reason.to_owned() };
            self.decide(run, command, By::engine(), Reply::Nobody);
        } else {
            self.drop_if_waiting(run);
        }
    }

    /// Nobody knows what the store has of a run: its workers are told that they lost it.
    pub(super) fn disown(&mut self, run: RunId) {
        let held = self.shared.leases().disown(run);
        held.iter().for_each(|it| self.attempt_over(it.run, it.task, it.attempt));
    }

    /// Returns how it stands with each kind, with the workers of all namespaces or of one.
    pub(super) fn capabilities(&self, namespace: Option<&str>) -> Vec<Capability> {
        let now = self.now();
        let mut all: BTreeMap<String, Capability> = BTreeMap::new();
        let mut entry = |name: &str, change: &dyn Fn(&mut Capability)| {
            let known = all.entry(name.to_owned()).or_insert_with(|| Capability::named(name));
            change(known);
        };
        for it in self.queue.backlog() {
            entry(it.kind, &|known| {
                known.waiting = it.waiting;
                known.oldest_ms = now.saturating_sub(it.since);
            });
        }
        let leases = self.shared.leases();
        for it in leases.list(None) {
            entry(&it.kind, &|known| known.running += 1);
        }
        let present = self.remote.takers.presence(Instant::now(), leases.length(), namespace);
        for (name, presence) in present {
            entry(&name, &|known| {
                known.workers = presence.workers;
                known.asked = presence.asked;
            });
        }
        all.into_values().collect()
    }
}

const WENT_ON: &str = "the task went on without it: it timed out, was cancelled or was reassigned";

fn no_worker() -> TaskError {
    TaskError::new("lost", "the worker that it was meant for is gone")
}
