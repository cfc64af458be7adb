//! What people ask of a schedule.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::schedule::{BACKFILL_SLOTS_MAX, Policy, When};
use surefoot_core::time::Millis;
use surefoot_core::trace::TraceContext;
use surefoot_store::Expect;

use super::firing::template;
use super::record::{LastStart, Origin, Position, Schedule, ScheduleSpec, instant};
use super::{ID_LEN_MAX, Result, ScheduleError, Schedules};
use crate::engine::StartRequest;

/// Times that a change is tried anew because the keeper was faster.
pub(super) const CHANGES_MAX: usize = 100;
/// Runs of a backfill that are started at once.
const BACKFILL_AT_ONCE: usize = 64;

/// Asks for a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    pub workflow: String,
    /// The newest, whichever that is then, if none is named.
    pub version: Option<String>,
    pub when: When,
    pub policy: Policy,
    /// With expressions over `event` (`schedule`, `slot`) inside.
    pub input: Value,
    pub labels: BTreeMap<String, String>,
    pub priority: Option<i32>,
    /// As it was, if nothing is said.
    pub is_paused: Option<bool>,
    pub actor: String,
}

/// A slot that lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    pub slot: Millis,
    /// The slot, or later by its jitter.
    pub starts_at: Millis,
}

/// What a backfill did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    pub slots: Vec<Backfilled>,
}

/// One slot of a backfill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfilled {
    pub slot: Millis,
    /// The slot's run, which may be older than the backfill; nothing in a dry run.
    pub run: Option<RunId>,
    /// Why it could not be started.
    pub error: Option<String>,
}

impl Schedules {
    /// Makes a schedule, or changes it. Returns it, and whether it is new. A changed calendar
    /// begins now: slots of it that have passed are not owed.
    pub async fn put(
        &self,
        id: &str,
        new: NewSchedule,
        expect: Expect,
    ) -> Result<(Schedule, bool)> {
        check_id(id)?;
        self.check(&new).await?;
        for _ in 0..CHANGES_MAX {
            let before = self.find(id).await?;
            check_expectation(id, before.as_ref(), expect)?;
            let schedule = self.changed(id, before.as_ref(), &new)?;
            let expect = before.as_ref().map_or(Expect::Absent, |it| Expect::Revision(it.revision));
            let writes = vec![schedule.spec_write(expect), schedule.position_write()];
            if let Ok(revisions) = self.store().write_items(writes).await? {
                self.set_timer(id, schedule.timer());
                let revision = revisions.first().copied().unwrap_or_default();
                return Ok((Schedule { revision, ..schedule }, before.is_none()));
            }
        }
        Err(busy(id))
    }

    /// Starts a run later: a schedule of one slot, which goes with its start.
    pub async fn start_later(&self, request: StartRequest, at: Millis) -> Result<Schedule> {
        let plan = self.engine().plan(&request.workflow, request.version.as_deref()).await?;
        plan.check_input(&request.input).map_err(|violations| ScheduleError::InvalidInput {
            workflow: plan.workflow.clone(),
            violations,
        })?;
        let now = self.now();
        let name = match &request.key {
            // The same key again is the same request.
            Some(key) => RunId::child(RunId::new(0, 0), &format!("{}:{key}", request.workflow), 0),
            None => RunId::new(now, rand::random()),
        };
        let id = format!("once:{name}");
        if let Some(schedule) = self.find(&id).await? {
            return Ok(schedule);
        }
        let spec = ScheduleSpec {
            workflow: request.workflow,
            version: request.version,
            when: When::At(at),
            policy: Policy {
                catch_up: surefoot_core::definition::CatchUp::All,
                overlap: surefoot_core::definition::Overlap::Allow,
                ..Policy::default()
            },
            input: request.input,
            labels: request.labels,
            priority: request.priority,
            is_paused: false,
            origin: Origin::Once {
                key: request.key,
                trace: TraceContext::read(
                    request.traceparent.as_deref(),
                    request.tracestate.as_deref(),
                ),
            },
            actor: request.actor,
            created_at: now,
        };
        // An instant that has passed comes at once.
        let cursor = at.saturating_sub(1);
        let position = Position { cursor, next: Some(at), ..Position::default() };
        let schedule = Schedule { id, revision: 1, spec, position, position_revision: 0 };
        let writes = vec![schedule.spec_write(Expect::Absent), schedule.position_write()];
        // Whoever was faster with this key wrote the same.
        let _ = self.store().write_items(writes).await?;
        self.set_timer(&schedule.id, Some(at));
        Ok(schedule)
    }

    /// Removes a schedule. Runs that it started go on.
    pub async fn remove(&self, id: &str, expect: Expect) -> Result<()> {
        let schedule = self.get(id).await?;
        check_expectation(id, Some(&schedule), expect)?;
        must_be_own(&schedule)?;
        match self.store().write_items(schedule.removal(expect)).await? {
            Ok(_) => {
                self.set_timer(id, None);
                Ok(())
            }
            Err(conflict) => Err(ScheduleError::Changed {
                id: id.to_owned(),
                actual: conflict.actual.unwrap_or_default(),
            }),
        }
    }

    /// Stops a schedule from starting anything; slots that pass meanwhile are skipped.
    pub async fn pause(&self, id: &str) -> Result<Schedule> {
        self.change(id, |schedule, _| {
            schedule.spec.is_paused = true;
            Ok(())
        })
        .await
    }

    /// Goes on from now. What passed during the pause is not caught up; a backfill does that.
    pub async fn resume(&self, id: &str) -> Result<Schedule> {
        self.change(id, |schedule, now| {
            if std::mem::take(&mut schedule.spec.is_paused) {
                let rules = schedule.rules()?;
                let position = &mut schedule.position;
                position.skipped += rules.calendar().count(position.cursor, now);
                position.cursor = position.cursor.max(now);
                let next = rules.next_start(position.cursor);
                schedule.set_next(next);
            }
            Ok(())
        })
        .await
    }

    /// Starts a run now, whatever the calendar and the overlap say. The same key again finds it.
    pub async fn trigger(&self, id: &str, actor: &str, key: Option<&str>) -> Result<RunId> {
        let schedule = self.get(id).await?;
        let key = match key {
            Some(key) => format!("schedule:{id}:by-hand:{key}"),
            None => format!("schedule:{id}:by-hand:{}", RunId::new(self.now(), rand::random())),
        };
        let run = self.start_by_hand(&schedule, actor, &key).await?;
        self.change(id, |schedule, now| {
            schedule.position.last = Some(LastStart { run, slot: None, at: now, late_ms: 0 });
            if !schedule.position.running.contains(&run) {
                schedule.position.running.push(run);
            }
            Ok(())
        })
        .await?;
        Ok(run)
    }

    /// Starts the runs of slots in `[from, to)`, those that were started before aside. In a dry run
    /// only says which these are. The overlap is not asked: whoever backfills wants the runs.
    pub async fn backfill(
        &self,
        id: &str,
        from: Millis,
        to: Millis,
        dry_run: bool,
    ) -> Result<Backfill> {
        let schedule = self.get(id).await?;
        if to > self.now() {
            return Err(ScheduleError::Future);
        }
        let calendar = schedule.spec.when.calendar()?;
        let (after, until) = (from.saturating_sub(1), to.saturating_sub(1));
        let slots =
            calendar.within(after, until, BACKFILL_SLOTS_MAX).map_err(ScheduleError::TooMany)?;
        if dry_run {
            let slots = slots.into_iter().map(|slot| Backfilled { slot, run: None, error: None });
            return Ok(Backfill { slots: slots.collect() });
        }
        let mut done = Vec::with_capacity(slots.len());
        for some in slots.chunks(BACKFILL_AT_ONCE) {
            let starts = some.iter().map(|slot| self.start_of_slot(&schedule, *slot));
            for (slot, start) in some.iter().zip(join_all(starts).await) {
                let (run, error) = match start? {
                    Ok(run) => (Some(run), None),
                    Err(reason) => (None, Some(reason)),
                };
                done.push(Backfilled { slot: *slot, run, error });
            }
        }
        Ok(Backfill { slots: done })
    }

    /// Returns the next slots.
    pub async fn next(&self, id: &str, count: usize) -> Result<Vec<Upcoming>> {
        let schedule = self.get(id).await?;
        let rules = schedule.rules()?;
        // A cursor ahead of the clock: the clock was set back, and those slots were started.
        let after = schedule.position.cursor.max(self.now());
        let slots = rules.calendar().slots(after).take(count);
        Ok(slots.map(|slot| Upcoming { slot, starts_at: rules.starts_at(slot) }).collect())
    }

    /// Changes a schedule that the keeper may change at the same time.
    pub(super) async fn change(
        &self,
        id: &str,
        change: impl Fn(&mut Schedule, Millis) -> Result<()>,
    ) -> Result<Schedule> {
        for _ in 0..CHANGES_MAX {
            let before = self.get(id).await?;
            let mut schedule = before.clone();
            change(&mut schedule, self.now())?;
            let mut writes = Vec::new();
            if schedule.spec != before.spec {
                writes.push(schedule.spec_write(Expect::Revision(before.revision)));
                schedule.revision += 1;
            }
            if schedule.position != before.position {
                writes.push(schedule.position_write());
                schedule.position_revision += 1;
            }
            if writes.is_empty() || self.store().write_items(writes).await?.is_ok() {
                self.set_timer(id, schedule.timer());
                return Ok(schedule);
            }
        }
        Err(busy(id))
    }

    /// Finds everything that is wrong with a request before anything is kept.
    async fn check(&self, new: &NewSchedule) -> Result<()> {
        let calendar = new.when.calendar()?;
        if let When::At(at) = new.when
            && calendar.next(self.now()).is_none()
        {
            return Err(ScheduleError::Past { at: instant(at) });
        }
        let plan = self.engine().plan(&new.workflow, new.version.as_deref()).await?;
        if template(&new.input)?.is_literal() {
            plan.check_input(&new.input).map_err(|violations| ScheduleError::InvalidInput {
                workflow: plan.workflow.clone(),
                violations,
            })?;
        }
        Ok(())
    }

    /// Returns the schedule as it is to be.
    fn changed(&self, id: &str, before: Option<&Schedule>, new: &NewSchedule) -> Result<Schedule> {
        if let Some(before) = before {
            must_be_own(before)?;
        }
        let now = self.now();
        let was_paused = before.is_some_and(|it| it.spec.is_paused);
        let spec = ScheduleSpec {
            workflow: new.workflow.clone(),
            version: new.version.clone(),
            when: new.when.clone(),
            policy: new.policy,
            input: new.input.clone(),
            labels: new.labels.clone(),
            priority: new.priority,
            is_paused: new.is_paused.unwrap_or(was_paused),
            origin: Origin::Request,
            actor: new.actor.clone(),
            created_at: before.map_or(now, |it| it.spec.created_at),
        };
        let mut position = before.map(|it| it.position.clone()).unwrap_or_default();
        let is_same_calendar = before.is_some_and(|it| it.spec.when == spec.when);
        if !is_same_calendar || (was_paused && !spec.is_paused) {
            position.cursor = position.cursor.max(now);
        }
        let mut schedule = Schedule {
            id: id.to_owned(),
            revision: before.map_or(0, |it| it.revision),
            spec,
            position,
            position_revision: before.map_or(0, |it| it.position_revision),
        };
        schedule.set_next(schedule.rules()?.next_start(schedule.position.cursor));
        Ok(schedule)
    }
}

impl Schedule {
    /// When the keeper is to look at it.
    pub(super) fn timer(&self) -> Option<Millis> {
        self.position.next.filter(|_| !self.spec.is_paused)
    }
}

fn check_id(id: &str) -> Result<()> {
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    let is_id = !id.is_empty() && id.len() <= ID_LEN_MAX && id.bytes().all(is_letter);
    if is_id { Ok(()) } else { Err(ScheduleError::Id { id: id.to_owned() }) }
}

fn check_expectation(id: &str, found: Option<&Schedule>, expect: Expect) -> Result<()> {
    let actual = found.map_or(0, |it| it.revision);
    let holds = match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::Revision(revision) => actual == revision,
    };
    if holds { Ok(()) } else { Err(ScheduleError::Changed { id: id.to_owned(), actual }) }
}

fn must_be_own(schedule: &Schedule) -> Result<()> {
    match schedule.spec.origin {
        Origin::Request | Origin::Once { .. } => Ok(()),
        Origin::Definition { .. } => Err(ScheduleError::OfDefinition {
            id: schedule.id.clone(),
            workflow: schedule.spec.workflow.clone(),
        }),
    }
}

/// The keeper and others were faster, a hundred times over.
pub(super) fn busy(id: &str) -> ScheduleError {
    ScheduleError::Store(surefoot_store::Error::Unavailable {
        location: format!("schedule `{id}`"),
        reason: "it is changed too often".to_owned(),
        hint: "try again".to_owned(),
    })
}
