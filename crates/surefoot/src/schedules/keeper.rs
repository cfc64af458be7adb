//! Looks at the schedules whose time has come, in batches: however many come due in one second,
//! memory holds a few batches of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use surefoot_core::schedule::{When, zones_version};
use surefoot_core::time::Millis;
use surefoot_store::{Item, ItemWrite};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::firing::Fired;
use super::record::{POSITIONS, Position, SPECS, Schedule, ScheduleSpec, decode};
use super::{Result, ScheduleError, Schedules};
use crate::engine::Update;

/// Schedules that are looked at together, and written together.
const BATCH_MAX: usize = 256;
/// Batches under way at once: while one is read, another's starts and positions are written.
const BATCHES_MAX: usize = 4;
/// Items that are read together when the schedules are loaded.
const PAGE_MAX: u32 = 1_000;
/// Pause before a schedule is looked at again whose look failed for a reason that may go away.
const RETRY_PAUSE_MS: u64 = 1_000;
/// The keeper looks around at least this often, so that a clock that was moved is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

impl Schedules {
    /// Starts what comes due, until it is told to stop. What it was doing then is done again by
    /// whoever opens the store next, and finds the runs that were started.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut updates = self.engine().subscribe();
        let mut deployments = self.engine().deployments();
        // Ends and deployments from before the subscription.
        self.timers().may_have_ended();
        self.after_deployment(Err(RecvError::Lagged(0))).await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = self.look() => {
                    let nap = self.nap(next);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.0.changed.notified() => {}
                        () = self.an_end(&mut updates) => {}
                        deployed = deployments.recv() => self.after_deployment(deployed).await,
                        () = tokio::time::sleep(nap) => {}
                    }
                }
            }
        }
    }

    /// Looks at every schedule whose time has come. Returns when the next one's comes.
    pub async fn look(&self) -> Option<Millis> {
        // However long the batches take, what is on time now is on time.
        let now = self.now();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < BATCHES_MAX {
                let due = self.timers().take_due(now, BATCH_MAX);
                if due.is_empty() {
                    break;
                }
                under_way.push(self.look_at(due, now));
            }
            if under_way.next().await.is_none() {
                return self.timers().first();
            }
        }
    }

    fn nap(&self, next: Option<Millis>) -> Duration {
        let until = next.map(|it| it.saturating_sub(self.now()));
        until.map_or(SLEEP_MAX, |it| Duration::from_millis(it).min(SLEEP_MAX))
    }

    /// Takes over what a deployment changed; what all definitions ask for, if some were missed.
    async fn after_deployment(&self, workflow: std::result::Result<String, RecvError>) {
        let taken = match workflow {
            Ok(workflow) => self.deployed(&workflow).await,
            Err(RecvError::Lagged(_)) => self.take_over_definitions().await,
            // The engine has gone; the keeper is about to be told.
            Err(RecvError::Closed) => return std::future::pending().await,
        };
        if let Err(error) = taken {
            tracing::error!(%error, "the schedules of a deployment were not taken over");
        }
    }

    /// Resolves when a run has ended that a slot waits for.
    async fn an_end(&self, updates: &mut tokio::sync::broadcast::Receiver<Update>) {
        loop {
            match updates.recv().await {
                Ok(Update::Record { run, status, .. }) if status.is_terminal() => {
                    if self.timers().ended(run) {
                        return;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.timers().may_have_ended();
                    return;
                }
                // The engine has gone; the keeper is about to be told.
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    /// Looks at some schedules at once. What fails for now is looked at again a little later.
    pub(super) async fn look_at(&self, ids: Vec<Arc<str>>, now: Millis) {
        let looks = join_all(ids.iter().map(|id| self.look_at_one(id, now))).await;
        let mut fired = Vec::new();
        for (id, look) in ids.into_iter().zip(looks) {
            match look {
                Ok(Some(look)) => fired.push((id, look)),
                Ok(None) => {}
                Err(error) => self.again_later(&id, now, &error),
            }
        }
        self.keep_positions(fired, now).await;
    }

    /// Nothing for a schedule that is gone or paused.
    async fn look_at_one(&self, id: &str, now: Millis) -> Result<Option<Fired>> {
        match self.find(id).await? {
            Some(mut schedule) if !schedule.spec.is_paused => {
                self.fire(&mut schedule, now).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Writes all positions at once; those that somebody else has changed are looked at again.
    async fn keep_positions(&self, mut fired: Vec<(Arc<str>, Fired)>, now: Millis) {
        while !fired.is_empty() {
            let writes: Vec<ItemWrite> =
                fired.iter().flat_map(|(_, it)| it.writes.iter().cloned()).collect();
            match self.store().write_items(writes).await {
                Ok(Ok(_)) => {
                    let mut timers = self.timers();
                    for (id, look) in &fired {
                        timers.set(id, look.next);
                        self.0.missed.fetch_add(look.missed, Ordering::Relaxed);
                    }
                    return;
                }
                Ok(Err(conflict)) => {
                    fired.retain(|it| *it.0 != *conflict.key);
                    self.timers().set(&conflict.key, Some(now));
                }
                Err(error) => {
                    for (id, _) in &fired {
                        self.again_later(id, now, &error.clone().into());
                    }
                    return;
                }
            }
        }
    }

    fn again_later(&self, id: &str, now: Millis, error: &ScheduleError) {
        match error {
            // Neither goes away by itself.
            ScheduleError::Unreadable { .. } | ScheduleError::Calendar(_) => {
                tracing::error!(schedule = id, %error, "a schedule stands still");
            }
            _ => {
                tracing::warn!(schedule = id, %error, "a schedule is looked at again");
                self.timers().set(id, Some(now + RETRY_PAUSE_MS));
            }
        }
    }

    /// Sets the timers of all schedules that are kept.
    pub(super) async fn load(&self) -> Result<()> {
        let mut active = HashMap::new();
        self.each(SPECS, |item| match decode::<ScheduleSpec>(&item) {
            Ok(spec) if spec.is_paused => {}
            Ok(spec) => {
                active.insert(item.key, matches!(spec.when, When::Cron { .. }));
            }
            Err(error) => tracing::error!(%error, "a schedule stands still"),
        })
        .await?;
        let mut moved = Vec::new();
        self.each(POSITIONS, |item| match decode::<Position>(&item) {
            Ok(position) if active.contains_key(&item.key) => {
                let waits_for_its_slot = position.queued.is_empty() && position.next.is_some();
                let knows_zones = !position.zones.is_empty();
                if active[&item.key]
                    && waits_for_its_slot
                    && knows_zones
                    && position.zones != zones_version()
                {
                    moved.push(item.key.clone());
                }
                // A slot that waits for a run finds out whether that has ended.
                let next = if position.queued.is_empty() { position.next } else { Some(0) };
                self.timers().set(&item.key, next);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a schedule stands still"),
        })
        .await?;
        for some in moved.chunks(BATCH_MAX) {
            let changes = some.iter().map(|id| self.change(id, Schedule::follow_zones));
            for changed in join_all(changes).await {
                changed?;
            }
        }
        Ok(())
    }

    /// Walks over the items of a collection, a page at a time.
    async fn each(&self, collection: &str, mut take: impl FnMut(Item)) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.store().items(collection, after.as_deref(), PAGE_MAX).await?;
            let is_last = page.len() < PAGE_MAX as usize;
            after = page.last().map(|it| it.key.clone());
            page.into_iter().for_each(&mut take);
            if is_last {
                return Ok(());
            }
        }
    }
}
