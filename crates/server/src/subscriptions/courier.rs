//! One receiver: takes what concerns it from the journal into its outbox, sends what is due, and
//! tries again what was not taken.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use surefoot::RunId;
use surefoot::core::time::Millis;
use surefoot::store::{Error, RunFilter, Store};
use tokio::sync::Notify;

use super::lifecycle;
use super::outbox::{Delivery, MADE_MAX, Outbox, Status};
use super::{Office, PAGE, Receiver};
use crate::events::fold::Folding;

/// Times that one event is sent before it is given up.
const ATTEMPTS_MAX: u32 = 12;
/// Pause after the first failed attempt; doubles up to the maximum.
const PAUSE_MS: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 60 * 60 * 1_000;
/// Events on their way at once.
const AT_ONCE: usize = 8;
/// Events that may wait in the outbox. With more, the journal itself is the queue.
const PENDING_MAX: usize = 2_000;
/// Events that one write takes from the journal.
const TAKEN_MAX: usize = 500;
/// How often lateness is looked for, and how many open runs are looked at.
const LATE_INTERVAL: Duration = Duration::from_secs(5);
const LATE_RUNS_MAX: u32 = 10_000;
/// Pause after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Courier {
    office: Arc<Office>,
    receiver: Receiver,
    outbox: Outbox,
    /// Deliveries were changed by somebody else.
    changed: Arc<Notify>,
    cursor: i64,
    /// When each pending delivery is due.
    pending: BTreeMap<String, Millis>,
    /// Delivered ones that are still visible, oldest first.
    made: VecDeque<String>,
    folding: Folding,
    told_late: HashSet<RunId>,
}

impl Courier {
    pub fn new(office: Arc<Office>, receiver: Receiver, changed: Arc<Notify>) -> Courier {
        let outbox = Outbox::of(&receiver.id);
        Courier {
            office,
            receiver,
            outbox,
            changed,
            cursor: 0,
            pending: BTreeMap::new(),
            made: VecDeque::new(),
            folding: Folding::default(),
            told_late: HashSet::new(),
        }
    }

    /// Works until it is dropped. Whatever the store does not answer is asked again.
    pub async fn run(mut self) {
        while let Err(error) = self.work().await {
            tracing::warn!(receiver = self.receiver.id, %error, "the outbox stands still");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    async fn work(&mut self) -> Result<(), Error> {
        let engine = self.office.engine.clone();
        let store = &**engine.store();
        let mut updates = engine.subscribe();
        self.read(store).await?;
        loop {
            while updates.try_recv().is_ok() {}
            let has_more = self.take(store).await?;
            self.tell_late(store).await?;
            let has_sent = self.send_due(store).await?;
            if has_more || has_sent {
                continue;
            }
            let now = engine.now();
            let soonest = self.pending.values().min().map(|it| it.saturating_sub(now));
            let look = self.receiver.late_after.map(|_| LATE_INTERVAL.as_millis() as Millis);
            let pause = soonest.into_iter().chain(look).min();
            tokio::select! {
                update = updates.recv() => match update {
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
                    Ok(_) | Err(_) => {}
                },
                () = self.changed.notified() => self.read(store).await?,
                () = tokio::time::sleep(Duration::from_millis(pause.unwrap_or(0))), if pause.is_some() => {}
            }
        }
    }

    /// Reads what an earlier courier of this receiver, or a caller, has left.
    async fn read(&mut self, store: &dyn Store) -> Result<(), Error> {
        self.cursor = self.outbox.cursor(store).await?;
        self.pending.clear();
        self.made.clear();
        let mut after: Option<String> = None;
        loop {
            let page = self.outbox.page(store, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (id, delivery) in page {
                match delivery.status {
                    Status::Pending => drop(self.pending.insert(id, delivery.due)),
                    Status::Delivered | Status::Failed => self.made.push_back(id),
                }
            }
        }
    }

    /// Takes a part of the journal into the outbox. Returns whether there may be more.
    async fn take(&mut self, store: &dyn Store) -> Result<bool, Error> {
        if self.pending.len() >= PENDING_MAX {
            return Ok(false);
        }
        let entries = store.journal(self.cursor, PAGE).await?;
        let Some(last) = entries.last().map(|it| it.position) else { return Ok(false) };
        let (mut new, mut cursor) = (Vec::new(), last);
        let now = self.office.engine.now();
        for entry in &entries {
            if new.len() >= TAKEN_MAX {
                cursor = entry.position - 1;
                break;
            }
            let workflow = self.folding.workflow(store, entry).await?;
            if !workflow.is_some_and(|it| self.receiver.takes_workflow(&it)) {
                continue;
            }
            let Some((record, run)) = self.folding.after(store, entry).await? else { continue };
            let told = lifecycle::of_record(entry, &record, run);
            let told = told.into_iter().filter(|it| self.receiver.takes_type(it.kind));
            new.extend(told.map(|it| {
                let id = format!("{:020}.{:04}", entry.position, it.index);
                (id, Delivery::new(it.event, now))
            }));
            self.folding.forget_ended(entry.run, &record);
        }
        // Until the last part, the cursor stays where it is: after a crash between parts, the same
        // deliveries are written under the same ids again.
        let parts: Vec<_> = new.chunks(TAKEN_MAX).collect();
        let (last, before) = parts.split_last().map_or((&[][..], &[][..]), |it| (*it.0, it.1));
        for part in before {
            self.outbox.add(store, part, self.cursor).await?;
        }
        self.outbox.add(store, last, cursor).await?;
        self.cursor = cursor;
        self.pending.extend(new.into_iter().map(|(id, it)| (id, it.due)));
        Ok(true)
    }

    /// Puts runs that have not ended in time into the outbox, each once.
    async fn tell_late(&mut self, store: &dyn Store) -> Result<(), Error> {
        let Some(late_after) = self.receiver.late_after else { return Ok(()) };
        let now = self.office.engine.now();
        let statuses = ["pending", "running", "paused", "cancelling"].map(str::to_owned).to_vec();
        let filter = RunFilter { statuses, limit: LATE_RUNS_MAX, ..RunFilter::default() };
        let rows = store.runs(&filter).await?;
        self.told_late.retain(|run| rows.iter().any(|it| it.id == *run));
        for row in rows {
            let is_late = row.created_at.saturating_add(late_after) <= now;
            if !is_late
                || !self.receiver.takes_workflow(&row.workflow)
                || !self.told_late.insert(row.id)
            {
                continue;
            }
            let (id, delivery) =
                (format!("late.{}", row.id), Delivery::new(lifecycle::late(&row, now), now));
            if self.outbox.add_once(store, &id, &delivery).await? {
                self.pending.insert(id, delivery.due);
            }
        }
        Ok(())
    }

    /// Sends what is due, some at once. Returns whether anything was.
    async fn send_due(&mut self, store: &dyn Store) -> Result<bool, Error> {
        let now = self.office.engine.now();
        let due = self.pending.iter().filter(|(_, due)| **due <= now);
        let due: Vec<String> = due.map(|(id, _)| id.clone()).take(AT_ONCE).collect();
        if due.is_empty() {
            return Ok(false);
        }
        let mut found = Vec::new();
        for id in due {
            match self.outbox.get(store, &id).await? {
                Some(delivery) if delivery.status == Status::Pending => found.push((id, delivery)),
                _ => drop(self.pending.remove(&id)),
            }
        }
        let sent = join_all(found.into_iter().map(|(id, delivery)| self.send(id, delivery))).await;
        let mut dropped = Vec::new();
        for (id, delivery) in &sent {
            if delivery.status == Status::Pending {
                self.pending.insert(id.clone(), delivery.due);
                continue;
            }
            self.pending.remove(id);
            self.made.push_back(id.clone());
            if self.made.len() > MADE_MAX {
                dropped.extend(self.made.pop_front());
            }
        }
        self.outbox.update(store, &sent, dropped).await?;
        Ok(true)
    }

    /// Makes one attempt.
    async fn send(&self, id: String, mut delivery: Delivery) -> (String, Delivery) {
        let now = self.office.engine.now();
        let result = self.receiver.target.send(&self.office.http, &delivery.event, now).await;
        delivery.attempts += 1;
        match result {
            Ok(answer) => {
                delivery.status = Status::Delivered;
                delivery.delivered_at = Some(self.office.engine.now());
                delivery.last_answer = Some(answer);
            }
            Err(reason) => {
                tracing::info!(receiver = self.receiver.id, id, reason, "an event was not taken");
                delivery.last_answer = Some(reason);
                if delivery.attempts >= ATTEMPTS_MAX {
                    delivery.status = Status::Failed;
                } else {
                    delivery.due = self.office.engine.now() + pause(delivery.attempts);
                }
            }
        }
        (id, delivery)
    }
}

/// Half of the pause is drawn, so that what failed together does not come back together.
fn pause(attempts: u32) -> u64 {
    let full = PAUSE_MS.saturating_mul(1 << (attempts - 1).min(20)).min(PAUSE_MS_MAX);
    full / 2 + rand::rng().random_range(0..=full / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        for (attempts, full) in
            [(1, 1_000), (2, 2_000), (5, 16_000), (12, 2_048_000), (99, PAUSE_MS_MAX)]
        {
            let pause = pause(attempts);
            assert!((full / 2..=full).contains(&pause), "{attempts}: {pause}");
        }
    }
}
