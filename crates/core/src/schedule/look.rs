//! What becomes of the slots that have come.
//!
//! | a slot is | `catch_up: none` | `latest` | `all` |
//! |---|---|---|---|
//! | on time | runs | runs | runs |
//! | missed, and nothing of the schedule runs on time | dropped | the last one runs | runs |
//! | missed, and a later one is on time | dropped | dropped | runs |
//! | missed, and older than `window` | dropped | dropped | dropped |

use super::{Calendar, ON_TIME, Policy, SLOTS_PER_LOOK_MAX};
use crate::definition::CatchUp;
use crate::time::Millis;

/// A calendar, and what is done about its slots.
#[derive(Clone, Debug)]
pub struct Schedule {
    calendar: Calendar,
    policy: Policy,
    /// What the jitter is drawn from, beside the slot.
    seed: u64,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Slots that start a run, oldest first; at most [`SLOTS_PER_LOOK_MAX`].
    pub start: Vec<Millis>,
    /// Slots that were dropped because they were missed.
    pub missed: u64,
    /// All slots up to this one are dealt with, once those of `start` are.
    pub cursor: Millis,
    /// When to look again: not after `now` if there is more to start at once, and nothing if there
    /// is no further slot.
    pub next: Option<Millis>,
}

impl Schedule {
    /// The id keeps schedules of one calendar and one jitter apart.
    pub fn new(id: &str, calendar: Calendar, policy: Policy) -> Schedule {
        let mut seed = [0; 8];
        seed.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..8]);
        Schedule { calendar, policy, seed: u64::from_le_bytes(seed) }
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Decides about the slots after `cursor` whose time has come. A clock that was set back finds
    /// nothing to do until it has caught up with the cursor, so nothing is started twice.
    pub fn look(&self, cursor: Millis, now: Millis) -> Look {
        let nothing = Look { start: Vec::new(), missed: 0, cursor, next: self.next_start(cursor) };
        let Some(newest) = self.newest(cursor, now) else { return nothing };
        let on_time = self.first_on_time(now).max(cursor);
        let in_window = self.policy.window.map_or(0, |it| now.saturating_sub(it.0 + 1));
        // Of the slots up to here, none runs.
        let dropped = match self.policy.catch_up {
            CatchUp::All => on_time.min(in_window),
            CatchUp::None => on_time,
            CatchUp::Latest if newest > on_time => on_time,
            CatchUp::Latest if newest > in_window => newest - 1,
            CatchUp::Latest => newest,
        };
        let dropped = dropped.clamp(cursor, newest);
        let slots = self.calendar.slots(dropped).take_while(|it| *it <= newest);
        let start: Vec<Millis> = slots.take(SLOTS_PER_LOOK_MAX).collect();
        let reached = start.last().copied().unwrap_or(newest);
        Look {
            missed: self.calendar.count(cursor, dropped),
            cursor: reached,
            next: self.next_start(reached),
            start,
        }
    }

    /// Returns when the first slot after `cursor` starts its run.
    pub fn next_start(&self, cursor: Millis) -> Option<Millis> {
        self.calendar.next(cursor).map(|slot| self.starts_at(slot))
    }

    /// Returns when a slot starts its run: at its nominal instant, or later by its jitter.
    pub fn starts_at(&self, slot: Millis) -> Millis {
        let gap = self.calendar.next(slot).map_or(Millis::MAX, |next| next - slot);
        let bound = self.jitter().min(gap);
        if bound == 0 { slot } else { slot + spread(self.seed, slot) % bound }
    }

    fn jitter(&self) -> u64 {
        self.policy.jitter.map_or(0, |it| it.0)
    }

    /// Returns the newest slot whose run should have started by now.
    fn newest(&self, cursor: Millis, now: Millis) -> Option<Millis> {
        let newest = self.calendar.last(cursor, now)?;
        if self.starts_at(newest) <= now {
            return Some(newest);
        }
        // The slots before this one start before this one's instant.
        self.calendar.last(cursor, newest - 1)
    }

    /// Returns an instant: slots after it are on time, the others were missed.
    fn first_on_time(&self, now: Millis) -> Millis {
        now.saturating_sub(ON_TIME.0 + self.jitter() + 1)
    }
}

/// Mixes two numbers (the finaliser of SplitMix64).
fn spread(seed: u64, slot: Millis) -> u64 {
    let mixed = (seed ^ slot).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
