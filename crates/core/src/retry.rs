//! How long to wait before the next attempt of a failed task, and when to give up.
//!
//! Pure: the randomness of the jitter is an argument, so a replay computes the same delay.

use crate::definition::{Backoff, Jitter, Retry};
use crate::limits::ATTEMPTS_MAX;
use crate::plan::RetryPlan;
use crate::time::Duration;

/// Tries of a task that says `retry` without a number and without a time limit.
pub const DEFAULT_ATTEMPTS: u32 = 3;
/// Delay before the second attempt.
pub const DEFAULT_DELAY: Duration = Duration::from_secs(1);
/// The longest delay, as a multiple of the first, as Temporal has it.
pub const DEFAULT_MAX_DELAY_FACTOR: u64 = 100;
/// Factor of exponential growth.
pub const DEFAULT_MULTIPLIER: f64 = 2.0;
/// The longest that a server's `Retry-After` is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Fills a task's `retry` from the definition's defaults and from ours. None: one attempt.
pub fn policy(own: Option<&Retry>, defaults: Option<&Retry>) -> Option<RetryPlan> {
    let nothing = Retry::default();
    let (own, defaults) = match (own, defaults) {
        (None, None) => return None,
        (own, defaults) => (own.unwrap_or(&nothing), defaults.unwrap_or(&nothing)),
    };
    let delay = own.delay.or(defaults.delay).unwrap_or(DEFAULT_DELAY);
    let longest = Duration(delay.0.saturating_mul(DEFAULT_MAX_DELAY_FACTOR));
    let max_elapsed = own.max_elapsed.or(defaults.max_elapsed);
    // Who bounds the time has bounded the attempts.
    let attempts = if max_elapsed.is_some() { ATTEMPTS_MAX } else { DEFAULT_ATTEMPTS };
    let condition = own.condition.as_ref().or(defaults.condition.as_ref());
    Some(RetryPlan {
        max_attempts: own.max_attempts.or(defaults.max_attempts).unwrap_or(attempts),
        backoff: own.backoff.or(defaults.backoff).unwrap_or_default(),
        delay,
        // A task may raise the delay above the longest delay of the defaults.
        max_delay: own.max_delay.or(defaults.max_delay).unwrap_or(longest).max(delay),
        multiplier: own.multiplier.or(defaults.multiplier).unwrap_or(DEFAULT_MULTIPLIER),
        jitter: own.jitter.or(defaults.jitter).unwrap_or_default(),
        max_elapsed,
        condition: condition.map(|it| it.expr.clone()),
    })
}

/// Returns how long to wait before the next attempt, or None to give up.
///
/// `failed_attempt` counts from 1; `jitter_draw` is 64 random bits; `retry_after` is what the
/// server asked for; `elapsed` is the time since the first attempt started.
pub fn delay(
    policy: &RetryPlan,
    failed_attempt: u32,
    jitter_draw: u64,
    retry_after: Option<Duration>,
    elapsed: Duration,
) -> Option<Duration> {
    if failed_attempt >= policy.max_attempts.min(ATTEMPTS_MAX) {
        return None;
    }
    let own = jittered(nominal(policy, failed_attempt), policy.jitter, jitter_draw);
    let asked = retry_after.map_or(Duration(0), |it| it.min(RETRY_AFTER_MAX));
    let delay = own.max(asked);
    let Some(max_elapsed) = policy.max_elapsed else { return Some(delay) };
    // The last delay is cut to what is left, so that the time allowed is used.
    let left = max_elapsed.0.saturating_sub(elapsed.0);
    (left > 0).then(|| Duration(delay.0.min(left)))
}

/// Returns the delay after the given attempt before jitter.
fn nominal(policy: &RetryPlan, failed_attempt: u32) -> Duration {
    let grown = match policy.backoff {
        Backoff::Fixed => policy.delay.0,
        Backoff::Linear => policy.delay.0.saturating_mul(u64::from(failed_attempt)),
        // Nothing grown is nothing; as floats, 0 × ∞ would not be a number.
        Backoff::Exponential if policy.delay.0 == 0 => 0,
        Backoff::Exponential => {
            let exponent = failed_attempt.saturating_sub(1).min(ATTEMPTS_MAX) as i32;
            // A cast from a float saturates.
            (policy.delay.0 as f64 * policy.multiplier.powi(exponent)).round() as u64
        }
    };
    Duration(grown).min(policy.max_delay)
}

fn jittered(delay: Duration, jitter: Jitter, draw: u64) -> Duration {
    match jitter {
        Jitter::None => delay,
        Jitter::Full => Duration(uniform(delay.0, draw)),
        Jitter::Equal => Duration(delay.0 / 2 + uniform(delay.0 - delay.0 / 2, draw)),
    }
}

/// Spreads 64 random bits evenly over `0..=max`.
fn uniform(max: u64, draw: u64) -> u64 {
    ((u128::from(draw) * (u128::from(max) + 1)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exponential() -> RetryPlan {
        let retry = Retry { max_attempts: Some(10), ..Retry::default() };
        policy(Some(&retry), None).expect("there is a policy")
    }

    #[test]
    fn no_policy_means_one_attempt() {
        assert!(policy(None, None).is_none());
    }

    #[test]
    fn a_task_overrides_the_defaults_field_by_field() {
        let defaults = Retry {
            max_attempts: Some(7),
            max_delay: Some(Duration::from_secs(60)),
            jitter: Some(Jitter::Full),
            ..Retry::default()
        };
        let own = Retry { delay: Some(Duration::from_secs(90)), ..Retry::default() };
        let plan = policy(Some(&own), Some(&defaults)).expect("there is a policy");
        assert_eq!(plan.max_attempts, 7);
        assert_eq!(plan.jitter, Jitter::Full);
        assert_eq!(plan.max_delay, Duration::from_secs(90), "never below the first delay");
    }

    #[test]
    fn a_time_limit_alone_lifts_the_number_of_attempts() {
        let own = Retry { max_elapsed: Some(Duration::from_secs(60)), ..Retry::default() };
        assert_eq!(policy(Some(&own), None).map(|it| it.max_attempts), Some(ATTEMPTS_MAX));
    }

    #[test]
    fn what_the_server_asks_raises_the_delay_up_to_an_hour() {
        let ask =
            |seconds| delay(&exponential(), 3, 0, Some(Duration::from_secs(seconds)), Duration(0));
        assert_eq!(ask(1), Some(Duration::from_secs(4)), "never below our own");
        assert_eq!(ask(30), Some(Duration::from_secs(30)));
        assert_eq!(ask(1_000_000), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn absurd_growth_is_clamped() {
        let policy = RetryPlan { multiplier: 1e308, max_attempts: ATTEMPTS_MAX, ..exponential() };
        assert_eq!(delay(&policy, 999, u64::MAX, None, Duration(0)), Some(policy.max_delay));
        assert_eq!(delay(&policy, 1000, 0, None, Duration(0)), None);
        let nothing = RetryPlan { delay: Duration(0), ..policy };
        assert_eq!(delay(&nothing, 999, u64::MAX, None, Duration(0)), Some(Duration(0)));
    }

    proptest! {
        #[test]
        fn a_delay_keeps_its_bounds(
            attempt in 0u32..2000,
            draw: u64,
            first in 0u64..1_000_000,
            multiplier in 1.0f64..1e308,
            max_delay: u64,
            elapsed in 0u64..100_000,
            jitter in proptest::sample::select(&[Jitter::None, Jitter::Full, Jitter::Equal][..]),
            backoff in proptest::sample::select(
                &[Backoff::Fixed, Backoff::Linear, Backoff::Exponential][..]),
        ) {
            let policy = RetryPlan {
                max_attempts: ATTEMPTS_MAX,
                backoff,
                delay: Duration(first),
                max_delay: Duration(max_delay),
                multiplier,
                jitter,
                max_elapsed: Some(Duration(50_000)),
                condition: None,
            };
            let found = delay(&policy, attempt, draw, None, Duration(elapsed));
            prop_assert_eq!(found.is_some(), attempt < ATTEMPTS_MAX && elapsed < 50_000);
            if let Some(found) = found {
                prop_assert!(found.0 <= max_delay && found.0 + elapsed <= 50_000);
            }
        }
    }
}
