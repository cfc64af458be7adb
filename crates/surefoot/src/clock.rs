//! Where the engine gets the time from.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use surefoot_core::time::Millis;

/// Says what time it is. The engine asks once for each turn of its loop.
pub trait Clock: Send + Sync {
    fn now(&self) -> Millis;

    /// Called when nothing but a timer can happen next. A clock that is not tied to the world
    /// jumps there and answers true; the engine then does not sleep. Where no timer is set, `due`
    /// is the end of time.
    fn skip_to(&self, _due: Millis) -> bool {
        false
    }

    /// How far away a timer is for the engine to count as idle, in milliseconds. For a clock that
    /// jumps no timer is far away.
    fn idle_horizon_ms(&self) -> u64 {
        60_000
    }
}

/// The time of this machine. Follows the wall clock forwards; when the wall clock is set back,
/// goes on at the pace of the monotonic clock, so that no timer fires twice or waits for an hour.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    start_ms: Millis,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now(), start_ms: wall_ms() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let steady = self.start_ms + self.start.elapsed().as_millis() as u64;
        steady.max(wall_ms())
    }
}

fn wall_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64)
}

/// A clock that stands still until nothing else can happen, and then jumps to the next timer: a
/// wait of a week takes no time in a test.
///
/// ```
/// use surefoot::{Clock, VirtualClock};
/// let clock = VirtualClock::at("2027-03-14T00:00:00Z");
/// let before = clock.now();
/// assert!(clock.skip_to(before + 3_600_000));
/// assert_eq!(clock.now() - before, 3_600_000);
/// ```
#[derive(Debug)]
pub struct VirtualClock(Mutex<Millis>);

impl VirtualClock {
    /// Starts at an instant in RFC 3339.
    ///
    /// # Panics
    /// If the text is not an instant: it is written by the author of a test.
    pub fn at(instant: &str) -> VirtualClock {
        let instant: jiff::Timestamp =
            instant.parse().expect("an instant such as 2027-01-01T00:00:00Z");
        VirtualClock(Mutex::new(instant.as_millisecond().max(0) as u64))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        *self.0.lock().expect("nobody panics while holding the lock")
    }

    fn skip_to(&self, due: Millis) -> bool {
        if due == Millis::MAX {
            return false;
        }
        let mut now = self.0.lock().expect("nobody panics while holding the lock");
        *now = (*now).max(due);
        true
    }

    fn idle_horizon_ms(&self) -> u64 {
        Millis::MAX
    }
}
