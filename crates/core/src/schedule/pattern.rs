//! The local times that a cron expression names. The library reads the expression and knows its
//! days; the search is ours, because the library's gives up only after three thousand years and
//! starts at every slot anew.

use croner::{Cron, Weekday};
use jiff::civil::{Date, DateTime, Time};

use crate::parse::{CronMistake, cron};

/// The calendar repeats within so many years, the missing leap day of 2100 included.
const YEARS_MAX: i16 = 41;

/// A cron expression, ready to be searched.
#[derive(Clone, Debug)]
pub struct Pattern {
    cron: Cron,
    /// Bit n is set if second n matches. The same for the others.
    seconds: u64,
    minutes: u64,
    hours: u64,
    is_fixed: bool,
}

impl Pattern {
    pub fn new(expression: &str) -> Result<Pattern, CronMistake> {
        let cron = cron(expression)?;
        let bits = |values: Vec<u16>| values.iter().fold(0, |bits, it| bits | 1u64 << it);
        let (seconds, minutes, hours) = (
            bits(cron.pattern.seconds.values()),
            bits(cron.pattern.minutes.values()),
            bits(cron.pattern.hours.values()),
        );
        Ok(Pattern { is_fixed: is_fixed(expression), seconds, minutes, hours, cron })
    }

    /// Whether the expression names times of day (`30 2`, `0 9,17`), and not a rhythm (`*/5`,
    /// `9-17`): the two differ where clocks are changed.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Returns the first local time at or after `from`.
    pub fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        if self.has_day(date)
            && let Some(time) = self.time_from(from.time())
        {
            return Some(date.to_datetime(time));
        }
        let last_year = date.year().saturating_add(YEARS_MAX);
        loop {
            date = date.tomorrow().ok().filter(|it| it.year() <= last_year)?;
            while !self.has_month(date) {
                date = date.last_of_month().tomorrow().ok().filter(|it| it.year() <= last_year)?;
            }
            if self.has_day(date) {
                return self.time_from(Time::midnight()).map(|it| date.to_datetime(it));
            }
        }
    }

    pub fn has_day(&self, date: Date) -> bool {
        let weekday = Weekday::from_days_from_sunday(date.weekday().to_sunday_zero_offset() as u32);
        let (month, day) = (date.month() as u32, date.day() as u32);
        // Both fail for days that no calendar has, and this one has a calendar.
        self.has_month(date)
            && self.cron.pattern.day_match(date.year().into(), month, day, weekday).unwrap_or(false)
    }

    fn has_month(&self, date: Date) -> bool {
        self.cron.pattern.month_match(date.month() as u32).unwrap_or(false)
    }

    /// Returns how many times a matching day has.
    pub fn times_a_day(&self) -> u64 {
        let ones = |bits: u64| u64::from(bits.count_ones());
        ones(self.hours) * ones(self.minutes) * ones(self.seconds)
    }

    /// Returns the first time of a matching day at or after `from`.
    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) =
            (from.hour() as u32, from.minute() as u32, from.second() as u32);
        let first = |bits: u64| bits.trailing_zeros();
        let (hour, minute, second) = if !has(self.hours, hour) {
            (next(self.hours, hour)?, first(self.minutes), first(self.seconds))
        } else if has(self.minutes, minute)
            && let Some(second) = next(self.seconds, second)
        {
            (hour, minute, second)
        } else if let Some(minute) = next(self.minutes, minute + 1) {
            (hour, minute, first(self.seconds))
        } else {
            (next(self.hours, hour + 1)?, first(self.minutes), first(self.seconds))
        };
        Time::new(hour as i8, minute as i8, second as i8, 0).ok()
    }
}

fn has(bits: u64, at: u32) -> bool {
    bits >> at & 1 == 1
}

/// Returns the first set bit at or after `from`, which is at most 60.
fn next(bits: u64, from: u32) -> Option<u32> {
    let rest = bits & (u64::MAX << from);
    (rest != 0).then(|| rest.trailing_zeros())
}

/// Whether seconds, minutes and hours are numbers or lists of numbers.
fn is_fixed(expression: &str) -> bool {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    match fields[..] {
        [nickname] => !nickname.eq_ignore_ascii_case("@hourly"),
        // Day of the month, month and day of the week do not matter.
        [ref time @ .., _, _, _] => {
            let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b',');
            time.iter().all(|it| is_number(it))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn rhythms_are_told_from_times_of_day() {
        for text in
            ["0 2 * * *", "@daily", "@weekly", "30 0 9 * * *", "0,30 2,14 * * MON", "00 02 L * *"]
        {
            assert!(Pattern::new(text).unwrap().is_fixed(), "{text}");
        }
        for text in
            ["@hourly", "* 2 * * *", "0 */2 * * *", "0 9-17 * * *", "0/15 2 * * *", "* 0 2 * * *"]
        {
            assert!(!Pattern::new(text).unwrap().is_fixed(), "{text}");
        }
    }

    #[test]
    fn the_search_finds_rare_days_and_gives_up_on_none() {
        let from: DateTime = "2096-03-01T00:00:00".parse().unwrap();
        let found = Pattern::new("0 0 29 2 *").unwrap().at_or_after(from).unwrap();
        assert_eq!(found.to_string(), "2104-02-29T00:00:00");
        let end: DateTime = "9999-12-31T23:59:30".parse().unwrap();
        assert_eq!(Pattern::new("0 0 * * *").unwrap().at_or_after(end), None);
    }
}
