//! Schedules, and what comes in from elsewhere: what is asked for and what is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Run;

/// Asks for a schedule. One of `cron`, `every` and `at` says when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutSchedule {
    /// The workflow that is started.
    pub workflow: String,
    /// The newest, whichever that is then, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Five fields, or six with seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Of `cron`: a name of the IANA database; UTC if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// A duration such as `10s`, at least `100ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// An instant in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// `none`, `latest` (if nothing is said) or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<String>,
    /// A duration: missed slots that are older are not caught up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// `skip` (if nothing is said), `queue`, `cancel_running` or `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// A duration: each slot is late by less than this, always by the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// With expressions over `event` (`schedule`, `slot`) inside; `{}` if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// As it was, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    pub id: String,
    pub workflow: String,
    pub version: Option<String>,
    pub cron: Option<String>,
    pub timezone: Option<String>,
    pub every: Option<String>,
    pub at: Option<String>,
    pub catch_up: String,
    pub window: Option<String>,
    pub overlap: String,
    pub jitter: Option<String>,
    pub input: Value,
    pub labels: BTreeMap<String, String>,
    pub priority: Option<i32>,
    pub paused: bool,
    /// `request`, `definition` (a trigger of the workflow) or `once` (a run that starts later).
    pub origin: String,
    pub actor: String,
    pub created_at: String,
    /// When the next run starts; nothing if none does.
    pub next: Option<String>,
    /// The version of the database of time zones by which that was found.
    #[serde(default)]
    pub zones: Option<String>,
    /// The last time that another version of it moved the next run.
    #[serde(default)]
    pub moved: Option<ScheduleMoved>,
    pub statistics: ScheduleStatistics,
}

/// A new database of time zones placed the next run elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleMoved {
    /// When that was noticed.
    pub at: String,
    pub zones_before: String,
    pub zones: String,
    pub next_before: Option<String>,
    pub next: Option<String>,
}

/// A run, or the schedule that will start it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum RunOrSchedule {
    Schedule(Box<Schedule>),
    Run(Box<Run>),
}

/// What a schedule has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleStatistics {
    /// Slots that started a run.
    pub started: u64,
    /// Slots that did not, because of a run that went on or a pause.
    pub skipped: u64,
    /// Slots that were missed and not caught up.
    pub missed: u64,
    /// Slots whose run could not be started.
    pub failed: u64,
    /// Slots that wait for a run to end.
    pub queued: u64,
    pub last: Option<ScheduleStart>,
    /// Why the last of the failed ones could not be started.
    pub error: Option<String>,
}

/// A run that a schedule started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleStart {
    pub run: String,
    /// Nothing if somebody started it by hand.
    pub slot: Option<String>,
    pub at: String,
    pub late_ms: u64,
}

/// A slot that lies ahead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpcomingSlot {
    pub slot: String,
    /// The slot in the schedule's time zone.
    pub local: String,
    /// The slot, or later by its jitter.
    pub starts_at: String,
}

/// Slots that lie ahead, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpcomingSlots {
    pub items: Vec<UpcomingSlot>,
}

/// Asks for the runs of slots that have passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartBackfill {
    /// The first instant, in RFC 3339.
    pub from: String,
    /// The instant after the last one.
    pub to: String,
    /// Only says which slots these are.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a backfill did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backfill {
    pub dry_run: bool,
    pub items: Vec<BackfilledSlot>,
}

/// A slot of a backfill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackfilledSlot {
    pub slot: String,
    /// The slot's run, which may be older than the backfill; nothing in a dry run.
    pub run: Option<String>,
    /// Why it could not be started.
    pub error: Option<String>,
}

/// What a webhook or an event has started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Received {
    /// Names the delivery: of a webhook its id, of an event its source and id.
    pub id: String,
    /// Whether it had come before; then nothing was started now.
    pub duplicate: bool,
    pub runs: Vec<StartedBy>,
}

/// What one trigger did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartedBy {
    pub workflow: String,
    pub run: Option<String>,
    /// Why it started nothing.
    pub error: Option<String>,
}

/// What the events of a request have started, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ingested {
    pub events: Vec<Received>,
}
