//! Timers, the inbox's rhythm, and how long the loop may sleep.

use std::time::Duration;

use surefoot_core::ids::RunId;
use surefoot_core::run::{By, Command};
use surefoot_core::time::Millis;

use super::{Message, SHARD, SLEEP_MAX, Shard};
use crate::engine::commit::Reply;
use crate::engine::observe::Observation;
use crate::engine::retention;

/// How often requests of other processes are looked for.
const INBOX_INTERVAL: Duration = Duration::from_millis(100);
/// Requests that are taken in one go.
const INBOX_MAX: u32 = 100;
/// Runs that are loaded in one go because their time has come.
const DUE_MAX: u32 = 1000;

impl Shard {
    /// Notes when a run in memory comes due.
    pub(super) fn set_timer(&mut self, id: RunId) {
        let Some(resident) = self.residents.get_mut(&id) else { return };
        let due = resident.run.next_due();
        if due == resident.due {
            return;
        }
        if let Some(old) = resident.due {
            self.timers.remove(&(old, id));
        }
        if let Some(due) = due {
            self.timers.insert((due, id));
        }
        resident.due = due;
    }

    /// Fires what has come due, in memory and in the store.
    pub(super) fn look_at_timers(&mut self) {
        self.look_at_inbox();
        if !self.shared.dispatches {
            return;
        }
        self.look_at_retention();
        let now = self.now();
        while let Some((due, run)) = self.timers.first().copied().filter(|it| it.0 <= now) {
            self.timers.remove(&(due, run));
            if let Some(resident) = self.residents.get_mut(&run) {
                resident.due = None;
            }
            self.shared.observe(Observation::TimerFired { late_ms: now.saturating_sub(due) });
            self.decide(run, Command::Tick, By::engine(), Reply::Nobody);
        }
        if self.stored_due.is_some_and(|it| it <= now) && !self.is_stopping() {
            self.stored_due = None;
            self.ask_for_due(now);
        }
        for key in self.admission.waiting_for_rate() {
            self.admit_next(&key);
        }
    }

    fn ask_for_due(&mut self, now: Millis) {
        let (shared, messages) = (self.shared.clone(), self.messages.clone());
        self.beside += 1;
        tokio::spawn(async move {
            let due = shared.store.due(SHARD, now, DUE_MAX).await.unwrap_or_default();
            // A full answer means that there is more of it.
            let next = if due.len() == DUE_MAX as usize {
                Some(now)
            } else {
                shared.store.next_wake(SHARD, now).await.unwrap_or_default()
            };
            // What a sub-run woke has no time of its own.
            for (due, _) in due.iter().filter(|it| it.0 > 0) {
                shared.observe(Observation::TimerFired { late_ms: now.saturating_sub(*due) });
            }
            let runs = due.into_iter().map(|it| it.1).collect();
            if let Some(messages) = messages.upgrade() {
                let _ = messages.send(Message::Due { runs, next }).await;
            }
        });
    }

    pub(super) fn due(&mut self, runs: Vec<RunId>, next: Option<Millis>) {
        self.beside = self.beside.saturating_sub(1);
        for run in runs {
            // A run in memory has its own timer.
            if !self.residents.contains_key(&run) {
                self.load_for(run, Command::Tick, By::engine(), Reply::Nobody);
            }
        }
        self.stored_due = match (self.stored_due, next) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn look_at_retention(&mut self) {
        let now = tokio::time::Instant::now();
        if self.retention_at.is_some_and(|it| now < it) || self.is_stopping() {
            return;
        }
        self.retention_at = Some(now + retention::INTERVAL);
        tokio::spawn(retention::remove_old_runs(self.shared.clone()));
    }

    fn look_at_inbox(&mut self) {
        let now = tokio::time::Instant::now();
        if self.inbox_at.is_some_and(|it| now < it) || self.is_stopping() {
            return;
        }
        self.inbox_at = Some(now + INBOX_INTERVAL);
        let (shared, messages, seen) =
            (self.shared.clone(), self.messages.clone(), self.inbox_seen);
        tokio::spawn(async move {
            let rows = shared.store.inbox(seen, INBOX_MAX).await.unwrap_or_default();
            if !rows.is_empty()
                && let Some(messages) = messages.upgrade()
            {
                let _ = messages.send(Message::Inbox(rows)).await;
            }
        });
    }

    /// Returns how long the loop may sleep if no message comes.
    pub(super) fn nap(&mut self) -> Duration {
        let is_waiting = self.batch.is_empty() && self.unfinished.is_empty();
        if !is_waiting && self.committing.is_none() {
            return Duration::ZERO;
        }
        let now = self.now();
        let timer = self.timers.first().map(|it| it.0);
        let rate = self.queue.next_start();
        let next = [timer, self.stored_due, rate].into_iter().flatten().min();
        let due = next.unwrap_or(Millis::MAX);
        if self.only_timers_are_left() && self.shared.clock.skip_to(due) {
            return Duration::ZERO;
        }
        let next = next.map_or(SLEEP_MAX, |it| Duration::from_millis(it.saturating_sub(now)));
        let stop = self.stopping.as_ref().map_or(SLEEP_MAX, |it| {
            it.deadline.saturating_duration_since(tokio::time::Instant::now())
        });
        next.min(SLEEP_MAX).min(INBOX_INTERVAL).min(stop)
    }

    /// Whether nothing but time can make anything happen, as far as the loop knows.
    fn only_timers_are_left(&self) -> bool {
        self.attempts_in_flight == 0
            && self.batch.is_empty()
            && self.committing.is_none()
            && self.loading.is_empty()
            && self.beside == 0
            && self.inbox.is_empty()
            && !self.is_stopping()
    }

    pub(super) fn tell_idlers(&mut self) {
        if self.idlers.is_empty() || !self.is_idle() {
            return;
        }
        for idler in self.idlers.drain(..) {
            let _ = idler.send(());
        }
    }

    /// Whether nothing goes on: what is left waits, and not for the next minute.
    fn is_idle(&self) -> bool {
        let horizon = self.now().saturating_add(self.shared.clock.idle_horizon_ms());
        let soon = |due: Option<u64>| due.is_some_and(|it| it <= horizon);
        self.attempts_in_flight == 0
            && self.queue.waiting() == 0
            && self.batch.is_empty()
            && self.committing.is_none()
            && self.unfinished.is_empty()
            && self.loading.is_empty()
            && self.beside == 0
            && self.inbox.is_empty()
            && !soon(self.timers.first().map(|it| it.0))
            && !soon(self.stored_due)
    }
}
