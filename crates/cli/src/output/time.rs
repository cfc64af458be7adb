//! Times and durations for people.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use surefoot::core::time::Millis;

pub use crate::arguments::TimeStyle;

pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| it.as_millis() as Millis)
}

impl TimeStyle {
    /// Writes an instant.
    pub fn instant(self, at: Millis, now: Millis) -> String {
        match self {
            TimeStyle::Relative if at > now => format!("in {}", rough(at - now)),
            TimeStyle::Relative => format!("{} ago", rough(now - at)),
            TimeStyle::Iso => iso(at),
            TimeStyle::Local => stamp(at).map_or_else(String::new, |it| {
                it.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
            }),
        }
    }
}

/// Writes an instant for machines.
pub fn iso(at: Millis) -> String {
    stamp(at).map_or_else(String::new, |it| format!("{it:.3}"))
}

/// Writes the time of day, to the millisecond.
pub fn clock(at: Millis, style: TimeStyle) -> String {
    let Some(stamp) = stamp(at) else { return String::new() };
    match style {
        TimeStyle::Iso => iso(at),
        TimeStyle::Local | TimeStyle::Relative => {
            stamp.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
        }
    }
}

fn stamp(at: Millis) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()
}

/// Writes how long something took, with three digits: `212 ms`, `1.04 s`, `3 m 05 s`.
pub fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.2} s", ms as f64 / 1000.0),
        10_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} m {:02} s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{} h {:02} m", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Writes about how long ago something was.
fn rough(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let texts = [0, 212, 1_040, 12_100, 185_000, 7_260_000].map(took);
        assert_eq!(texts, ["0 ms", "212 ms", "1.04 s", "12.1 s", "3 m 05 s", "2 h 01 m"]);
    }

    #[test]
    fn instants_are_written_as_asked() {
        assert_eq!(TimeStyle::Relative.instant(1_000, 13_500), "12 s ago");
        assert_eq!(TimeStyle::Relative.instant(7_200_000, 0), "in 2 h");
        assert_eq!(TimeStyle::Iso.instant(1_500, 0), "1970-01-01T00:00:01.500Z");
    }
}
