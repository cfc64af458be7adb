//! How fast slots that were missed are started: some at once, then so many a second. Slots that are
//! on time are not slowed down.

use surefoot_core::time::Millis;

/// Missed slots, of all schedules together, that start within a second.
pub const CATCH_UP_PER_SECOND: u64 = 100;
/// Missed slots that start at once after a quiet time.
pub const CATCH_UP_BURST: u64 = 1_000;

const INTERVAL_US: u64 = 1_000_000 / CATCH_UP_PER_SECOND;

/// A generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the next start would be due if all kept their distance, in microseconds.
    next_us: u64,
}

impl Pace {
    /// Lets one start through, or says when to ask again.
    pub fn take(&mut self, now: Millis) -> Result<(), Millis> {
        let now_us = now.saturating_mul(1_000);
        let allowed_us = self.next_us.saturating_sub((CATCH_UP_BURST - 1) * INTERVAL_US);
        // A clock that was set back by far begins anew.
        let is_stale = allowed_us > now_us.saturating_add(CATCH_UP_BURST * INTERVAL_US);
        if allowed_us > now_us && !is_stale {
            return Err(allowed_us.div_ceil(1_000));
        }
        self.next_us = if is_stale { now_us } else { self.next_us.max(now_us) } + INTERVAL_US;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(pace: &mut Pace, now: Millis) -> u64 {
        std::iter::repeat_with(|| pace.take(now)).take_while(Result::is_ok).count() as u64
    }

    #[test]
    fn after_a_burst_starts_keep_their_rate() {
        let (mut pace, begin) = (Pace::default(), 1_795_305_600_000);
        assert_eq!(starts(&mut pace, begin), CATCH_UP_BURST);
        let later = pace.take(begin).expect_err("the burst is over");
        assert!(later > begin && later <= begin + 10, "{later}");
        assert_eq!(starts(&mut pace, later), 1, "who asks then is let through");
        assert_eq!(starts(&mut pace, later + 1_000), CATCH_UP_PER_SECOND);
        assert_eq!(starts(&mut pace, later + 3_600_000), CATCH_UP_BURST, "a quiet time fills it");
        assert_eq!(starts(&mut pace, begin - 3_600_000), CATCH_UP_BURST, "a clock set back");
    }
}
