//! A schedule as it is kept, in two items: what was asked (`schedules`; its revision is what
//! callers compare) and where it stands (`schedule_slots`, which changes with every slot).

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::schedule::{self, Policy, When, zones_version};
use surefoot_core::time::Millis;
use surefoot_core::trace::TraceContext;
use surefoot_store::{Expect, Item, ItemWrite};

use super::{Result, ScheduleError, Schedules};

pub(super) const SPECS: &str = "schedules";
pub(super) const POSITIONS: &str = "schedule_slots";

/// What was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    pub workflow: String,
    /// The newest version if none is named.
    #[serde(default)]
    pub version: Option<String>,
    pub when: When,
    #[serde(default)]
    pub policy: Policy,
    /// With expressions over `event` (`schedule`, `slot`) inside; unused if a definition has it.
    #[serde(default)]
    pub input: Value,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub priority: Option<i32>,
    #[serde(default)]
    pub is_paused: bool,
    pub origin: Origin,
    pub actor: String,
    pub created_at: Millis,
}

/// Where a schedule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody asked for it.
    Request,
    /// A trigger of a deployed definition, by its place among the triggers.
    Definition { trigger: usize },
    /// One run that starts later, under this key; the schedule goes with its start.
    Once {
        key: Option<String>,
        /// Where in a trace the start was asked for.
        #[serde(default)]
        trace: TraceContext,
    },
}

/// Where a schedule stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// All slots up to this one are dealt with.
    pub cursor: Millis,
    /// When it is to be looked at next.
    pub next: Option<Millis>,
    /// Slots that wait for a run to end, oldest first.
    pub queued: Vec<Millis>,
    /// Runs that had not ended when it was last looked at, oldest first.
    pub running: Vec<RunId>,
    pub last: Option<LastStart>,
    /// Slots that started a run.
    pub started: u64,
    /// Slots that did not because of a run that went on, or a pause.
    pub skipped: u64,
    /// Slots that were missed and not caught up.
    pub missed: u64,
    /// Slots whose run could not be started.
    pub failed: u64,
    /// Why, of the last of these.
    pub error: Option<String>,
    /// The version of the database of time zones by which `next` was found.
    pub zones: String,
    /// The last time that another version of it moved `next`.
    pub moved: Option<Moved>,
}

/// A new database of time zones placed the next slot elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// When that was noticed.
    pub at: Millis,
    pub zones_before: String,
    pub zones: String,
    pub next_before: Option<Millis>,
    pub next: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStart {
    pub run: RunId,
    /// Nothing for a run that somebody started by hand.
    pub slot: Option<Millis>,
    pub at: Millis,
    /// From the time at which it should have started, its jitter included.
    pub late_ms: u64,
}

/// A schedule, with what was asked and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub id: String,
    /// Counts changes of what was asked.
    pub revision: u64,
    pub spec: ScheduleSpec,
    pub position: Position,
    /// Counts changes of the position.
    pub(super) position_revision: u64,
}

impl Schedule {
    pub(super) fn read(spec: &Item, position: Option<&Item>) -> Result<Schedule> {
        Ok(Schedule {
            id: spec.key.clone(),
            revision: spec.revision,
            spec: decode(spec)?,
            position: position.map(decode).transpose()?.unwrap_or_default(),
            position_revision: position.map_or(0, |it| it.revision),
        })
    }

    /// Returns the rules of this schedule.
    pub fn rules(&self) -> Result<schedule::Schedule> {
        let calendar = self.spec.when.calendar()?;
        Ok(schedule::Schedule::new(&self.id, calendar, self.spec.policy))
    }

    /// Sets when it is to be looked at next, as the database of time zones here has it.
    pub(super) fn set_next(&mut self, next: Option<Millis>) {
        self.position.next = next;
        zones_version().clone_into(&mut self.position.zones);
    }

    /// Finds the next slot anew, which another database of time zones had found, and notes it if
    /// they differ.
    pub(super) fn follow_zones(&mut self, now: Millis) -> Result<()> {
        let next = self.rules()?.next_start(self.position.cursor);
        let (zones_before, next_before) = (self.position.zones.clone(), self.position.next);
        self.set_next(next);
        if next_before != next {
            let zones = self.position.zones.clone();
            tracing::warn!(
                schedule = self.id,
                zones_before,
                zones,
                "a new database of time zones moves the next slot"
            );
            let moved = Moved { at: now, zones_before, zones, next_before, next };
            self.position.moved = Some(moved);
        }
        Ok(())
    }

    pub(super) fn is_once(&self) -> bool {
        matches!(self.spec.origin, Origin::Once { .. })
    }

    pub(super) fn spec_write(&self, expect: Expect) -> ItemWrite {
        ItemWrite::put(SPECS, &self.id, expect, encode(&self.spec))
    }

    /// Writes the position, if nobody has since it was read.
    pub(super) fn position_write(&self) -> ItemWrite {
        let expect = match self.position_revision {
            0 => Expect::Absent,
            revision => Expect::Revision(revision),
        };
        ItemWrite::put(POSITIONS, &self.id, expect, encode(&self.position))
    }

    pub(super) fn removal(&self, expect: Expect) -> Vec<ItemWrite> {
        vec![
            ItemWrite::remove(SPECS, &self.id, expect),
            ItemWrite::remove(POSITIONS, &self.id, Expect::Anything),
        ]
    }
}

impl Schedules {
    /// Returns a schedule.
    pub async fn get(&self, id: &str) -> Result<Schedule> {
        self.find(id).await?.ok_or_else(|| ScheduleError::NotFound { id: id.to_owned() })
    }

    /// Returns a schedule, if there is one.
    pub async fn find(&self, id: &str) -> Result<Option<Schedule>> {
        let Some(spec) = self.store().item(SPECS, id).await? else { return Ok(None) };
        let position = self.store().item(POSITIONS, id).await?;
        Schedule::read(&spec, position.as_ref()).map(Some)
    }

    /// Returns schedules by id, those after `after`, at most `limit`.
    pub async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<Schedule>> {
        let specs = self.store().items(SPECS, after, limit).await?;
        let mut found = Vec::with_capacity(specs.len());
        for spec in specs {
            let position = self.store().item(POSITIONS, &spec.key).await?;
            found.push(Schedule::read(&spec, position.as_ref())?);
        }
        Ok(found)
    }
}

pub(super) fn decode<T: DeserializeOwned>(item: &Item) -> Result<T> {
    serde_json::from_slice(&item.body).map_err(|error| ScheduleError::Unreadable {
        id: item.key.clone(),
        reason: error.to_string(),
    })
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a schedule has a text")
}

/// Writes an instant: RFC 3339, UTC, with milliseconds where there are any.
pub(super) fn instant(at: Millis) -> String {
    let instant = i64::try_from(at).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    instant.map_or_else(|| at.to_string(), |it| it.to_string())
}
