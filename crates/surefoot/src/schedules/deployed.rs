//! Schedules that definitions ask for. The newest version of a workflow has them: a deployment
//! replaces those of the version before, and a trigger that stayed the same keeps its place in time
//! and its pause.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use surefoot_core::plan::TriggerPlan;
use surefoot_core::schedule::{Policy, When};
use surefoot_core::time::Millis;
use surefoot_store::{Expect, ItemWrite};

use super::edit::{CHANGES_MAX, busy};
use super::record::{Origin, Position, SPECS, Schedule, ScheduleSpec};
use super::{Result, Schedules};

/// Who asks for a schedule that is in a definition.
const ACTOR: &str = "definition";
/// More triggers than any definition has.
const TRIGGERS_MAX: u32 = 1_000;

/// A trigger that wants a schedule.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    /// Its place among the triggers.
    trigger: usize,
    when: When,
    policy: Policy,
}

/// What a deployment changes.
#[derive(Default)]
struct Replacement {
    writes: Vec<ItemWrite>,
    timers: Vec<(String, Option<Millis>)>,
}

impl Schedules {
    /// Takes over the triggers of a workflow's newest version. To be called after a deployment.
    pub async fn deployed(&self, workflow: &str) -> Result<()> {
        let rows = crate::engine::versions(self.store(), Some(workflow)).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let plan = self.engine().plan(workflow, Some(&row.version)).await?;
        let wanted = wanted(&plan.triggers);
        let before = self.of_definition(workflow).await?;
        if self.replacement(workflow, &row.version, &before, &wanted)?.writes.is_empty() {
            return Ok(());
        }
        // What has come is still started by the version before.
        let due = before.iter().filter(|it| it.timer().is_some());
        self.look_at(due.map(|it| Arc::from(&*it.id)).collect(), self.now()).await;
        for _ in 0..CHANGES_MAX {
            let before = self.of_definition(workflow).await?;
            let replacement = self.replacement(workflow, &row.version, &before, &wanted)?;
            if self.store().write_items(replacement.writes).await?.is_ok() {
                replacement.timers.into_iter().for_each(|(id, at)| self.set_timer(&id, at));
                return Ok(());
            }
        }
        Err(busy(workflow))
    }

    /// Takes over what all definitions ask for: one may have been deployed without a keeper.
    pub(super) async fn take_over_definitions(&self) -> Result<()> {
        let rows = self.store().definitions(None).await?;
        let mut newest: BTreeMap<&str, bool> = BTreeMap::new();
        for row in &rows {
            // Most definitions have no triggers, and reading them all takes its time.
            newest.entry(&row.workflow).or_insert_with(|| row.source.contains("triggers"));
        }
        for (workflow, may_have_triggers) in newest {
            if may_have_triggers || !self.of_definition(workflow).await?.is_empty() {
                self.deployed(workflow).await?;
            }
        }
        Ok(())
    }

    /// Works out what is to be written so that the schedules are those that are wanted.
    fn replacement(
        &self,
        workflow: &str,
        version: &str,
        before: &[Schedule],
        wanted: &[Wanted],
    ) -> Result<Replacement> {
        let assigned = assign(workflow, before, wanted);
        let gone = before.iter().filter(|it| !assigned.iter().any(|(id, _)| *id == it.id));
        let mut replacement = Replacement::default();
        for old in gone {
            replacement.writes.extend(old.removal(Expect::Revision(old.revision)));
            replacement.timers.push((old.id.clone(), None));
        }
        for (id, wanted) in &assigned {
            let old = before.iter().find(|it| it.id == *id);
            let schedule = self.taken_over(id, wanted, old, workflow, version)?;
            if old != Some(&schedule) {
                let expect = old.map_or(Expect::Absent, |it| Expect::Revision(it.revision));
                replacement.writes.extend([schedule.spec_write(expect), schedule.position_write()]);
                replacement.timers.push((id.clone(), schedule.timer()));
            }
        }
        Ok(replacement)
    }

    fn taken_over(
        &self,
        id: &str,
        wanted: &Wanted,
        old: Option<&Schedule>,
        workflow: &str,
        version: &str,
    ) -> Result<Schedule> {
        let now = self.now();
        let spec = ScheduleSpec {
            workflow: workflow.to_owned(),
            version: Some(version.to_owned()),
            when: wanted.when.clone(),
            policy: wanted.policy,
            input: Value::Null,
            labels: BTreeMap::new(),
            priority: None,
            is_paused: old.is_some_and(|it| it.spec.is_paused),
            origin: Origin::Definition { trigger: wanted.trigger },
            actor: ACTOR.to_owned(),
            created_at: old.map_or(now, |it| it.spec.created_at),
        };
        let is_same_calendar = old.is_some_and(|it| it.spec.when == spec.when);
        let mut schedule = Schedule {
            id: id.to_owned(),
            revision: old.map_or(0, |it| it.revision),
            spec,
            position: old.map_or_else(Position::default, |it| it.position.clone()),
            position_revision: old.map_or(0, |it| it.position_revision),
        };
        if !is_same_calendar {
            let cursor = schedule.position.cursor.max(now);
            schedule.position.cursor = cursor;
            schedule.set_next(schedule.rules()?.next_start(cursor));
        }
        Ok(schedule)
    }

    /// Returns the schedules that a workflow's definition has asked for.
    async fn of_definition(&self, workflow: &str) -> Result<Vec<Schedule>> {
        let prefix = format!("{workflow}:");
        let specs = self.store().items(SPECS, Some(&prefix), TRIGGERS_MAX).await?;
        let mut found = Vec::new();
        for spec in specs.iter().take_while(|it| it.key.starts_with(&prefix)) {
            found.extend(self.find(&spec.key).await?);
        }
        Ok(found)
    }
}

fn wanted(triggers: &[TriggerPlan]) -> Vec<Wanted> {
    let schedule = |(trigger, it): (usize, &TriggerPlan)| match it {
        TriggerPlan::Schedule { when, policy, .. } => {
            Some(Wanted { trigger, when: when.clone(), policy: *policy })
        }
        TriggerPlan::Webhook { .. } | TriggerPlan::Event { .. } => None,
    };
    triggers.iter().enumerate().filter_map(schedule).collect()
}

/// Gives each trigger an id: that of the schedule with the same times, so that neither the order
/// nor the number of triggers moves a schedule to another's place in time; then one that is left
/// over, in order; then a new one.
fn assign(workflow: &str, before: &[Schedule], wanted: &[Wanted]) -> Vec<(String, Wanted)> {
    let mut free: Vec<&Schedule> = before.iter().collect();
    let mut ids: Vec<Option<String>> = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let same = free.iter().position(|it| it.spec.when == wanted.when);
        ids.push(same.map(|at| free.remove(at).id.clone()));
    }
    let mut free = free.into_iter().map(|it| it.id.clone());
    let new = (1..).map(|number| format!("{workflow}:{number}"));
    let mut new = new.filter(|id| !before.iter().any(|it| it.id == *id));
    let ids = ids.into_iter().map(|id| id.or_else(|| free.next()).or_else(|| new.next()));
    ids.zip(wanted).filter_map(|(id, wanted)| Some((id?, wanted.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use surefoot_core::time::Duration;

    use super::*;

    fn every(trigger: usize, seconds: u64) -> Wanted {
        let when = When::Every(Duration::from_secs(seconds));
        Wanted { trigger, when, policy: Policy::default() }
    }

    fn schedule(id: &str, seconds: u64) -> Schedule {
        let spec = ScheduleSpec {
            workflow: "flow".to_owned(),
            version: None,
            when: When::Every(Duration::from_secs(seconds)),
            policy: Policy::default(),
            input: Value::Null,
            labels: BTreeMap::new(),
            priority: None,
            is_paused: false,
            origin: Origin::Definition { trigger: 0 },
            actor: ACTOR.to_owned(),
            created_at: 0,
        };
        let position = Position::default();
        Schedule { id: id.to_owned(), revision: 1, spec, position, position_revision: 1 }
    }

    #[track_caller]
    fn check(before: &[(&str, u64)], wanted: &[u64], expected: &[&str]) {
        let before: Vec<Schedule> = before.iter().map(|(id, every)| schedule(id, *every)).collect();
        let wanted: Vec<Wanted> =
            wanted.iter().enumerate().map(|(at, seconds)| every(at, *seconds)).collect();
        let found: Vec<String> =
            assign("flow", &before, &wanted).into_iter().map(|it| it.0).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_trigger_that_stayed_keeps_its_id() {
        check(&[], &[1, 2], &["flow:1", "flow:2"]);
        let both = [("flow:1", 1), ("flow:2", 2)];
        check(&both, &[2, 1], &["flow:2", "flow:1"]);
        check(&both, &[2], &["flow:2"]);
        check(&both, &[3, 2], &["flow:1", "flow:2"]);
        check(&both, &[3, 1, 2], &["flow:3", "flow:1", "flow:2"]);
        check(&both, &[3, 4, 5], &["flow:1", "flow:2", "flow:3"]);
        check(&both, &[1, 1], &["flow:1", "flow:2"]);
    }
}
