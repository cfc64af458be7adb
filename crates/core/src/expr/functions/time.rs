//! Timestamps and durations. Zones come from the bundled database, so every machine agrees.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::super::arithmetic::{duration, timestamp};
use super::super::error::Fault;
use super::super::value::Value;
use super::convert::excerpt;
use super::{Called, Function, invalid};

pub(super) fn call<'e>(function: Function, arguments: &[Value<'e>]) -> Called<'e> {
    match (function, arguments) {
        (Function::Timestamp, [Value::Timestamp(at)]) => Ok(Some(Value::Timestamp(*at))),
        (Function::Timestamp, [Value::Int(seconds)]) => {
            timestamp(Timestamp::from_second(*seconds)).map(Some)
        }
        (Function::Timestamp, [Value::String(text)]) => parse_timestamp(text).map(Some),
        (Function::Duration, [Value::Duration(length)]) => Ok(Some(Value::Duration(*length))),
        (Function::Duration, [Value::String(text)]) => {
            let length = parse_duration(text).ok_or_else(|| {
                let text = excerpt(text);
                invalid(format!("`{text}` is not a duration such as 1h30m, 90s or 1.5s"))
            })?;
            duration(Some(length)).map(Some)
        }
        (_, [Value::Duration(length)]) => Ok(duration_part(function, *length).map(Value::Int)),
        (_, [Value::Timestamp(at)]) => {
            Ok(timestamp_part(function, &at.to_zoned(TimeZone::UTC)).map(Value::Int))
        }
        (_, [Value::Timestamp(at), Value::String(zone)]) => {
            let local = at.to_zoned(time_zone(zone)?);
            Ok(timestamp_part(function, &local).map(Value::Int))
        }
        _ => Ok(None),
    }
}

fn parse_timestamp<'e>(text: &str) -> Result<Value<'e>, Fault> {
    match text.parse() {
        Ok(at) => timestamp(Ok(at)),
        Err(_) => Err(invalid(format!(
            "`{}` is not an RFC 3339 timestamp such as 2027-01-31T08:00:00Z",
            excerpt(text)
        ))),
    }
}

/// Months and days count from 0 unless the name says date, as in CEL.
fn timestamp_part(function: Function, at: &Zoned) -> Option<i64> {
    Some(match function {
        Function::GetFullYear => i64::from(at.year()),
        Function::GetMonth => i64::from(at.month()) - 1,
        Function::GetDate => i64::from(at.day()),
        Function::GetDayOfMonth => i64::from(at.day()) - 1,
        Function::GetDayOfWeek => i64::from(at.weekday().to_sunday_zero_offset()),
        Function::GetDayOfYear => i64::from(at.day_of_year()) - 1,
        Function::GetHours => i64::from(at.hour()),
        Function::GetMinutes => i64::from(at.minute()),
        Function::GetSeconds => i64::from(at.second()),
        Function::GetMilliseconds => i64::from(at.millisecond()),
        _ => return None,
    })
}

/// The whole duration in one unit, not a digit group of a clock.
fn duration_part(function: Function, length: SignedDuration) -> Option<i64> {
    Some(match function {
        Function::GetHours => length.as_secs() / 3600,
        Function::GetMinutes => length.as_secs() / 60,
        Function::GetSeconds => length.as_secs(),
        // The limit on durations leaves room: ten thousand years are 3.2e14 milliseconds.
        Function::GetMilliseconds => length.as_millis() as i64,
        _ => return None,
    })
}

/// Reads a name from the database, or an offset such as `+02:00` or `02:00`.
fn time_zone(name: &str) -> Result<TimeZone, Fault> {
    if let Some(offset) = parse_offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        let message = format!("there is no time zone `{}`", excerpt(name));
        invalid(message)
    })
}

fn parse_offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let is_number = |it: &str| it.len() == 2 && it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// Reads `1h30m`, `-1.5s`, `250ms`, `7d`: numbers with units, as definitions write them.
fn parse_duration(text: &str) -> Option<SignedDuration> {
    const UNITS: [(&str, i128); 9] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
        ("w", 604_800_000_000_000),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end =
            after.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_nanos = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        nanos = nanos.checked_add(scaled(number, unit_nanos)?)?;
        rest = after;
    }
    let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
    let fraction = i32::try_from(nanos % 1_000_000_000).ok()?;
    SignedDuration::new(seconds, fraction).checked_mul(sign)
}

/// Multiplies a decimal number exactly; what is smaller than a nanosecond is cut off.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |it: &str| if it.is_empty() { Some(0) } else { it.parse::<i128>().ok() };
    let fraction = &fraction[..fraction.len().min(18)];
    let divisor = 10_i128.pow(fraction.len() as u32);
    let parts = digits(fraction)?.checked_mul(unit)? / divisor;
    digits(whole)?.checked_mul(unit)?.checked_add(parts)
}
