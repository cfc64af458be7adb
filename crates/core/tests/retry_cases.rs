//! Retry delays against the assertions of other engines. See `data/retry/README.md`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;
use surefoot_core::definition::{Backoff, Jitter, Retry};
use surefoot_core::limits::ATTEMPTS_MAX;
use surefoot_core::plan::RetryPlan;
use surefoot_core::retry;
use surefoot_core::time::Duration;

#[test]
fn every_case_of_other_engines_comes_out_as_theirs() {
    let cases: Value = serde_json::from_str(include_str!("data/retry/cases.json")).unwrap();
    let rows = cases["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 13);
    rows.iter().for_each(check);
}

fn check(row: &Value) {
    let id = row["id"].as_str().unwrap();
    let Some(retry) = translate(&row["policy"]) else {
        let note = row["note"].as_str().unwrap_or_default();
        assert!(note.contains("may instead reject"), "{id} must not be refused");
        return;
    };
    let policy = retry::policy(Some(&retry), None).unwrap();
    let expect = row["expect"].as_object().unwrap();
    for (name, expected) in expect {
        match name.as_str() {
            "steps" => steps(id, &policy, expected),
            "delays_s" => delays(id, &policy, expected, expect.contains_key("then")),
            "nominal_s" => delays(id, &policy, expected, false),
            "by_attempt" => by_attempt(id, &policy, expected),
            "effective" => effective(id, &policy, expected),
            "observed_in_s" => windows(id, &policy, expected),
            "distinct_seconds_at_least" => spread(id, &row["policy"], expected),
            // The engine asks for a delay only if the error is retryable at all.
            "error_non_retryable" => assert!(expected.as_bool().unwrap()),
            // Read by the functions above.
            "then" | "parallel" => {}
            other => panic!("{id}: nobody checks `{other}`"),
        }
    }
}

/// Says a policy in our language; nothing if our language refuses it.
fn translate(policy: &Value) -> Option<Retry> {
    let seconds = |names: [&str; 2]| names.iter().find_map(|it| policy[*it].as_f64());
    let first = seconds(["initial_s", "base_s"]);
    let multiplier = policy["coefficient"].as_f64();
    let longest = seconds(["max_interval_s", "max_delay_s"]);
    let shorter = longest.zip(first).is_some_and(|(longest, first)| longest < first);
    if first.is_some_and(|it| it < 0.0) || multiplier.is_some_and(|it| it < 1.0) || shorter {
        return None;
    }
    let unlimited = policy["max_attempts"].as_u64().map_or(ATTEMPTS_MAX, |it| it as u32);
    Some(Retry {
        max_attempts: Some(unlimited),
        backoff: Some(match policy["kind"].as_str().unwrap() {
            "exponential" => Backoff::Exponential,
            "linear" => Backoff::Linear,
            "fixed" => Backoff::Fixed,
            other => panic!("unknown kind {other}"),
        }),
        delay: first.map(from_seconds),
        max_delay: longest.map(from_seconds),
        multiplier,
        jitter: None,
        max_elapsed: policy["expires_after_s"].as_f64().map(from_seconds),
        condition: None,
    })
}

fn steps(id: &str, policy: &RetryPlan, expected: &Value) {
    for (at, step) in expected.as_array().unwrap().iter().enumerate() {
        let elapsed = from_seconds(step["elapsed_s"].as_f64().unwrap());
        let found = retry::delay(policy, at as u32 + 1, 0, None, elapsed);
        assert_eq!(found, Some(from_seconds(step["delay_s"].as_f64().unwrap())), "{id} step {at}");
    }
}

/// The clock goes on by the delay each time.
fn delays(id: &str, policy: &RetryPlan, expected: &Value, then_stop: bool) {
    let (mut elapsed, mut attempt) = (Duration(0), 1);
    for expected in expected.as_array().unwrap() {
        let found = retry::delay(policy, attempt, 0, None, elapsed);
        assert_eq!(found, Some(from_seconds(expected.as_f64().unwrap())), "{id} {attempt}");
        elapsed = Duration(elapsed.0 + found.unwrap().0);
        attempt += 1;
    }
    if then_stop {
        assert_eq!(retry::delay(policy, attempt, 0, None, elapsed), None, "{id} must stop");
    }
}

fn by_attempt(id: &str, policy: &RetryPlan, expected: &Value) {
    for (attempt, expected) in expected.as_object().unwrap() {
        let found = retry::delay(policy, attempt.parse().unwrap(), 0, None, Duration(0));
        assert_eq!(found, expected.as_f64().map(from_seconds), "{id} attempt {attempt}");
    }
}

fn effective(id: &str, policy: &RetryPlan, expected: &Value) {
    let seconds = |name: &str| Some(from_seconds(expected[name].as_f64().unwrap()));
    assert_eq!(Some(policy.delay), seconds("initial_s"), "{id}");
    assert_eq!(Some(policy.max_delay), seconds("max_interval_s"), "{id}");
    assert_eq!(Some(policy.multiplier), expected["coefficient"].as_f64(), "{id}");
    // Theirs has no limit where it says 0.
    let attempts = expected["max_attempts"].as_u64().map(|it| it as u32).filter(|it| *it > 0);
    assert_eq!(policy.max_attempts, attempts.unwrap_or(ATTEMPTS_MAX), "{id}");
}

fn windows(id: &str, policy: &RetryPlan, expected: &Value) {
    for (at, window) in expected.as_array().unwrap().iter().enumerate() {
        let Some(window) = window.as_array() else { continue };
        let found = retry::delay(policy, at as u32 + 1, 0, None, Duration(0)).unwrap();
        let bounds = (window[0].as_f64().unwrap(), window[1].as_f64().unwrap());
        let inside = from_seconds(bounds.0) <= found && found <= from_seconds(bounds.1);
        assert!(inside, "{id}: {found} not in {bounds:?}");
    }
}

fn spread(id: &str, policy: &Value, expected: &Value) {
    let longest = policy["base_s"].as_f64().unwrap() + policy["jitter_ms"].as_f64().unwrap() / 1e3;
    let retry = Retry {
        delay: Some(from_seconds(longest)),
        jitter: Some(Jitter::Full),
        ..translate(policy).unwrap()
    };
    let policy = retry::policy(Some(&retry), None).unwrap();
    // Five draws as they would come: spread over the 64 bits by the golden ratio.
    let draws = (1..=5u64).map(|it| it.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut seconds: Vec<u64> = draws
        .map(|draw| retry::delay(&policy, 1, draw, None, Duration(0)).unwrap().0 / 1000)
        .collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(seconds.len() as u64 >= expected.as_u64().unwrap(), "{id}: {seconds:?}");
}

fn from_seconds(seconds: f64) -> Duration {
    Duration((seconds * 1000.0).round() as u64)
}
