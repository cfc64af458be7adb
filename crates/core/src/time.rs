//! Instants and durations as plain numbers. Time is an argument everywhere in this crate, so a
//! replay is exact.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

/// The longest duration a definition may name: ten years of 365 days.
pub const DURATION_MAX_MS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// A length of time in milliseconds, written `1h30m` in definitions.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Duration(pub u64);

impl Duration {
    pub const fn from_millis(ms: u64) -> Duration {
        Duration(ms)
    }

    pub const fn from_secs(seconds: u64) -> Duration {
        Duration(seconds * 1000)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    #[error(
        "`{0}` is not a duration: write a number and a unit, such as 500ms, 30s, 5m, 1h30m, 7d, or ISO 8601 such as PT5M"
    )]
    Syntax(String),
    #[error("`{0}` has no unit: write {0}s for seconds or {0}ms for milliseconds")]
    NoUnit(String),
    #[error("`{0}` is longer than ten years")]
    TooLong(String),
}

impl std::str::FromStr for Duration {
    type Err = InvalidDuration;

    /// Reads `30s`, `5m`, `1h30m`, `1.5s`, `250ms`, `7d`, `2w` and ISO 8601 (`PT1H30M`, `P7D`).
    /// Units must go from large to small and may not repeat. Months and years have no fixed
    /// length, so they are refused.
    fn from_str(text: &str) -> Result<Duration, InvalidDuration> {
        let syntax = || InvalidDuration::Syntax(text.to_owned());
        let body = text.trim();
        if body.is_empty() {
            return Err(syntax());
        }
        if body.bytes().all(|it| it.is_ascii_digit()) {
            return Err(InvalidDuration::NoUnit(body.to_owned()));
        }
        let ms = match body.strip_prefix(['P', 'p']) {
            Some(iso) => iso_millis(iso).ok_or_else(syntax)?,
            None => unit_millis(body).ok_or_else(syntax)?,
        };
        if ms > DURATION_MAX_MS as f64 {
            return Err(InvalidDuration::TooLong(text.to_owned()));
        }
        Ok(Duration(ms.round() as u64))
    }
}

/// Reads one decimal number off the front.
fn number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || digits.starts_with('.') || digits.ends_with('.') || digits.len() > 18 {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

fn unit_millis(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 6] = [
        ("w", 604_800_000.0),
        ("d", 86_400_000.0),
        ("h", 3_600_000.0),
        ("m", 60_000.0),
        ("s", 1_000.0),
        ("ms", 1.0),
    ];
    let (mut rest, mut total, mut next) = (text, 0.0, 0);
    while !rest.is_empty() {
        let (value, after) = number(rest)?;
        let end = after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let at = next + UNITS[next..].iter().position(|(name, _)| *name == unit)?;
        total += value * UNITS[at].1;
        next = at + 1;
        rest = after;
    }
    Some(total)
}

fn iso_millis(text: &str) -> Option<f64> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    if date.is_empty() && time.is_none_or(str::is_empty) || time == Some("") {
        return None;
    }
    let part = |text: &str, units: &[(char, f64)]| -> Option<f64> {
        let (mut rest, mut total, mut next) = (text, 0.0, 0);
        while !rest.is_empty() {
            let (value, after) = number(rest)?;
            let unit = after.chars().next()?.to_ascii_uppercase();
            let at = next + units[next..].iter().position(|(name, _)| *name == unit)?;
            total += value * units[at].1;
            next = at + 1;
            rest = &after[1..];
        }
        Some(total)
    };
    let days = part(date, &[('W', 604_800_000.0), ('D', 86_400_000.0)])?;
    let clock = [('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)];
    Some(days + time.map_or(Some(0.0), |it| part(it, &clock))?)
}

impl fmt::Display for Duration {
    /// Writes the shortest text that reads back as the same duration, such as `1h30m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, ms) in
            [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        {
            let count = rest / ms;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(text.parse::<Duration>().ok().map(|it| it.0), expected, "{text}");
    }

    #[test]
    fn durations_read_as_written() {
        check("30s", Some(30_000));
        check("42m30s", Some(2_550_000));
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("250ms", Some(250));
        check("2w", Some(1_209_600_000));
        check("PT1H30M", Some(5_400_000));
        check("P7D", Some(604_800_000));
        check("PT0.5S", Some(500));
        check("0s", Some(0));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", "5", "-5s", "42m30", "1e9d", "∞", "30s1h", "1s1s", "P", "PT", "P1Y", "1.s", "s"]
        {
            check(text, None);
        }
        assert!(matches!("3651d".parse::<Duration>(), Err(InvalidDuration::TooLong(_))));
    }

    #[test]
    fn a_duration_survives_its_text() {
        for ms in [0, 1, 999, 1_000, 61_001, 5_400_000, 86_400_000 * 3 + 5] {
            assert_eq!(Duration(ms).to_string().parse::<Duration>(), Ok(Duration(ms)));
        }
    }
}
