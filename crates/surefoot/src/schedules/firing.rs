//! One look at one schedule: which slots have come, what its overlap says to each, and the starts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use surefoot_core::definition::Overlap;
use surefoot_core::expr::{Budget, Template};
use surefoot_core::ids::RunId;
use surefoot_core::plan::TriggerPlan;
use surefoot_core::run::{By, Command};
use surefoot_core::schedule::ON_TIME;
use surefoot_core::time::Millis;
use surefoot_core::trace::TraceContext;
use surefoot_store::{Expect, ItemWrite};

use super::record::{LastStart, Origin, Schedule, instant};
use super::{Result, ScheduleError, Schedules};
use crate::engine::{CommandError, StartError, StartRequest};

/// Slots that wait for a run to end. What comes beyond is left where it is: the cursor waits.
pub const QUEUED_SLOTS_MAX: usize = 100;
/// Runs of one schedule whose end is followed.
const RUNNING_MAX: usize = 20;

/// What one look did.
pub(super) struct Fired {
    /// What is to be written about it.
    pub writes: Vec<ItemWrite>,
    pub next: Option<Millis>,
    /// Slots that were dropped.
    pub missed: u64,
}

/// What became of the start of a slot.
enum Started {
    Run(RunId),
    /// It will fail again, whenever it is tried.
    Never(String),
}

impl Schedules {
    /// Deals with the slots that have come. Nothing is written yet.
    pub(super) async fn fire(&self, schedule: &mut Schedule, now: Millis) -> Result<Fired> {
        let rules = schedule.rules()?;
        let look = rules.look(schedule.position.cursor, now);
        let (mut cursor, mut next) = (look.cursor, look.next);
        for slot in look.start {
            if let Err(later) = self.pace_start(rules.starts_at(slot), now) {
                (cursor, next) = (slot - 1, Some(later));
                break;
            }
            if !self.meet(schedule, slot, rules.starts_at(slot), now).await? {
                // The end of a run makes room, and has the schedule looked at again.
                (cursor, next) = (slot - 1, None);
                break;
            }
        }
        self.start_queued(schedule, now).await?;
        if next.is_none() && cursor != look.cursor && schedule.position.queued.is_empty() {
            // The runs have ended meanwhile.
            next = Some(now);
        }
        schedule.position.missed += look.missed;
        schedule.position.cursor = cursor;
        schedule.set_next(next);
        let is_over = schedule.is_once() && schedule.position.started > 0;
        let writes = match is_over {
            true => schedule.removal(Expect::Revision(schedule.revision)),
            false => vec![schedule.position_write()],
        };
        Ok(Fired { writes, next, missed: look.missed })
    }

    /// Starts of slots that were missed have a rate, so that a long night does not end in a flood.
    /// Answers when this one may start, if that is not now.
    fn pace_start(&self, due: Millis, now: Millis) -> std::result::Result<(), Millis> {
        if now.saturating_sub(due) <= ON_TIME.0 {
            return Ok(());
        }
        let mut pace = self.0.pace.lock().expect("nobody panics while holding the lock");
        pace.take(now)
    }

    /// A slot meets the runs that go on. Answers false if there is no room for it to wait.
    async fn meet(
        &self,
        schedule: &mut Schedule,
        slot: Millis,
        due: Millis,
        now: Millis,
    ) -> Result<bool> {
        let overlap = schedule.spec.policy.overlap;
        if overlap == Overlap::Allow || !self.is_busy(schedule).await? {
            self.start_slot(schedule, slot, due, now).await?;
            return Ok(true);
        }
        let position = &mut schedule.position;
        match overlap {
            Overlap::Queue if position.queued.len() < QUEUED_SLOTS_MAX => {
                position.queued.push(slot)
            }
            Overlap::Skip | Overlap::Queue | Overlap::Allow => position.skipped += 1,
            Overlap::CancelRunning => {
                position.skipped += position.queued.len() as u64;
                position.queued = vec![slot];
                for run in position.running.clone() {
                    self.cancel(run, &schedule.id).await?;
                }
            }
        }
        Ok(true)
    }

    /// Starts slots that waited, as far as nothing goes on any more.
    async fn start_queued(&self, schedule: &mut Schedule, now: Millis) -> Result<()> {
        while let Some(slot) = schedule.position.queued.first().copied() {
            for run in &schedule.position.running {
                // Before the look, so that an end in between is not missed.
                self.timers().await_end(*run, &schedule.id);
            }
            if schedule.spec.policy.overlap != Overlap::Allow && self.is_running(schedule).await? {
                return Ok(());
            }
            schedule.position.queued.remove(0);
            self.start_slot(schedule, slot, slot, now).await?;
        }
        Ok(())
    }

    async fn is_busy(&self, schedule: &mut Schedule) -> Result<bool> {
        Ok(!schedule.position.queued.is_empty() || self.is_running(schedule).await?)
    }

    /// Whether a run of the schedule goes on. Forgets those that have ended.
    async fn is_running(&self, schedule: &mut Schedule) -> Result<bool> {
        let mut running = Vec::new();
        for run in &schedule.position.running {
            let row = self.store().run(*run).await?;
            if row.is_some_and(|it| it.ended_at.is_none()) {
                running.push(*run);
            }
        }
        schedule.position.running = running;
        Ok(!schedule.position.running.is_empty())
    }

    async fn cancel(&self, run: RunId, id: &str) -> Result<()> {
        let reason = Some(format!("schedule `{id}` starts its next run"));
        let by = By { actor: actor(id), reason };
        match self.engine().command(run, Command::Cancel, by).await {
            Err(CommandError::Store(error)) => Err(error.into()),
            Err(CommandError::Stopping) => Err(StartError::Stopping.into()),
            // It has ended meanwhile, or is being cancelled already.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn start_slot(
        &self,
        schedule: &mut Schedule,
        slot: Millis,
        due: Millis,
        now: Millis,
    ) -> Result<()> {
        let started = self.start_run(schedule, slot, &slot_key(&schedule.id, slot)).await?;
        let position = &mut schedule.position;
        match started {
            Started::Run(run) => {
                position.started += 1;
                position.error = None;
                position.running.push(run);
                if position.running.len() > RUNNING_MAX {
                    position.running.remove(0);
                }
                let late_ms = now.saturating_sub(due);
                position.last = Some(LastStart { run, slot: Some(slot), at: now, late_ms });
            }
            Started::Never(reason) => {
                tracing::warn!(schedule = schedule.id, %reason, "a slot cannot be started");
                position.failed += 1;
                position.error = Some(reason);
            }
        }
        Ok(())
    }

    /// Starts the run of a slot for a backfill: at most once, whoever repeats it. The inner error
    /// is one that comes again.
    pub(super) async fn start_of_slot(
        &self,
        schedule: &Schedule,
        slot: Millis,
    ) -> Result<std::result::Result<RunId, String>> {
        let key = slot_key(&schedule.id, slot);
        Ok(match self.start_run(schedule, slot, &key).await? {
            Started::Run(run) => Ok(run),
            Started::Never(reason) => Err(reason),
        })
    }

    /// Starts a run by hand.
    pub(super) async fn start_by_hand(
        &self,
        schedule: &Schedule,
        actor: &str,
        key: &str,
    ) -> Result<RunId> {
        let request = self.request(schedule, self.now(), key).await?;
        let started = self.engine().start(request.actor(actor)).await?;
        Ok(started.id())
    }

    async fn start_run(&self, schedule: &Schedule, slot: Millis, key: &str) -> Result<Started> {
        let request = match self.request(schedule, slot, key).await {
            Ok(request) => request,
            Err(error) => return never_or_later(error),
        };
        match self.engine().start(request).await {
            Ok(run) => Ok(Started::Run(run.id())),
            // The slot's run was started, before its definition or its input was changed.
            Err(StartError::KeyConflict { run, .. }) => Ok(Started::Run(run)),
            Err(error) => never_or_later(error.into()),
        }
    }

    async fn request(&self, schedule: &Schedule, slot: Millis, key: &str) -> Result<StartRequest> {
        let spec = &schedule.spec;
        let mut labels = spec.labels.clone();
        let key = match &spec.origin {
            Origin::Once { key: Some(own), .. } => own.as_str(),
            Origin::Once { key: None, .. } => key,
            Origin::Request | Origin::Definition { .. } => {
                labels.insert("schedule".to_owned(), schedule.id.clone());
                key
            }
        };
        let (actor, trace) = match &spec.origin {
            Origin::Once { trace, .. } => (spec.actor.clone(), trace.clone()),
            Origin::Request | Origin::Definition { .. } => {
                (actor(&schedule.id), TraceContext::default())
            }
        };
        Ok(StartRequest {
            workflow: spec.workflow.clone(),
            version: spec.version.clone(),
            input: self.input(schedule, slot).await?,
            key: Some(key.to_owned()),
            labels,
            priority: spec.priority,
            actor,
            traceparent: trace.traceparent,
            tracestate: trace.tracestate,
        })
    }

    /// Makes the input of a slot's run.
    async fn input(&self, schedule: &Schedule, slot: Millis) -> Result<Value> {
        let spec = &schedule.spec;
        let event = json!({"schedule": schedule.id, "slot": instant(slot)});
        let (template, scope) = match spec.origin {
            Origin::Once { .. } => return Ok(spec.input.clone()),
            Origin::Request => {
                let template = template(&spec.input)?;
                (Some(template), BTreeMap::from([("event".to_owned(), event)]))
            }
            Origin::Definition { trigger } => {
                let plan = self.engine().plan(&spec.workflow, spec.version.as_deref()).await?;
                let template = match plan.triggers.get(trigger) {
                    Some(TriggerPlan::Schedule { input, .. }) => input.clone(),
                    _ => None,
                };
                (template, plan.trigger_scope(event))
            }
        };
        let Some(template) = template else { return Ok(json!({})) };
        template.eval(&scope, &Budget::default()).map_err(|error| ScheduleError::Input {
            pointer: error.pointer.clone(),
            reason: error.to_string(),
        })
    }
}

/// Reads the expressions of an input.
pub(super) fn template(input: &Value) -> Result<Template> {
    Template::parse(input).map_err(|errors| {
        let first = errors.into_iter().next();
        let (pointer, reason) = first.map(|it| (it.pointer.clone(), it.to_string())).unzip();
        ScheduleError::Input {
            pointer: pointer.unwrap_or_default(),
            reason: reason.unwrap_or_default(),
        }
    })
}

fn slot_key(id: &str, slot: Millis) -> String {
    format!("schedule:{id}:{}", instant(slot))
}

fn actor(id: &str) -> String {
    format!("schedule:{id}")
}

/// Tells what would fail again from what may be tried again.
fn never_or_later(error: ScheduleError) -> Result<Started> {
    match &error {
        ScheduleError::Store(_) => Err(error),
        ScheduleError::Start(start) if start.may_pass() => Err(error),
        _ => Ok(Started::Never(error.to_string())),
    }
}
