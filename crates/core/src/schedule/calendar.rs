//! Which slots there are. A calendar is a set of instants that depends on nothing but what was
//! written: where one begins to look changes nothing, so two readers never disagree.
//!
//! The rule for nights on which clocks are changed (docs/schedules.md): an expression of fixed
//! times runs at each once, in a gap at its end, of a repeated hour in the first; a rhythm runs
//! whenever the clock on the wall shows it, so not in a gap, and in both hours.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use super::EVERY_MIN;
use super::pattern::Pattern;
use crate::parse::CronMistake;
use crate::source::nearest;
use crate::time::{Duration, Millis};

/// A set of instants.
#[derive(Clone, Debug)]
pub enum Calendar {
    Cron(Box<Pattern>, TimeZone),
    /// The multiples of a period since the Unix epoch.
    Every(Duration),
    At(Millis),
}

/// What is not a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarMistake {
    #[error("`{expression}`: {mistake}")]
    Cron { expression: String, mistake: CronMistake },
    #[error("`{name}` is not a time zone")]
    UnknownZone { name: String, nearest: Option<String> },
    #[error("`every: {0}` is shorter than {EVERY_MIN}")]
    TooOften(Duration),
}

/// More slots than were asked for at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} slots; at most {limit}")]
pub struct TooManySlots {
    pub count: u64,
    pub limit: usize,
}

impl Calendar {
    /// Reads a cron expression in a time zone of the IANA database.
    pub fn cron(expression: &str, zone: &str) -> Result<Calendar, CalendarMistake> {
        let pattern = Pattern::new(expression).map_err(|mistake| CalendarMistake::Cron {
            expression: expression.to_owned(),
            mistake,
        })?;
        let zone = jiff::tz::db().get(zone).map_err(|_| {
            let known: Vec<String> = jiff::tz::db().available().map(|it| it.to_string()).collect();
            let nearest = nearest(zone, known.iter().map(String::as_str)).map(str::to_owned);
            CalendarMistake::UnknownZone { name: zone.to_owned(), nearest }
        })?;
        Ok(Calendar::Cron(Box::new(pattern), zone))
    }

    pub fn every(period: Duration) -> Result<Calendar, CalendarMistake> {
        if period < EVERY_MIN {
            Err(CalendarMistake::TooOften(period))
        } else {
            Ok(Calendar::Every(period))
        }
    }

    /// Returns the first slot after an instant.
    pub fn next(&self, after: Millis) -> Option<Millis> {
        match self {
            Calendar::Cron(pattern, zone) => {
                let after = Timestamp::from_millisecond(after.try_into().ok()?).ok()?;
                let found = match pattern.is_fixed() {
                    true => next_fixed(pattern, zone, after),
                    false => next_rhythm(pattern, zone, after),
                };
                found.and_then(|it| it.as_millisecond().try_into().ok())
            }
            Calendar::Every(period) => (after / period.0 + 1).checked_mul(period.0),
            Calendar::At(at) => (*at > after).then_some(*at),
        }
    }

    /// Returns the last slot in `(after, until]`.
    pub fn last(&self, after: Millis, until: Millis) -> Option<Millis> {
        let has = |after: Millis| self.next(after).filter(|it| *it <= until);
        let mut found = has(after)?;
        // What is searched lies at `found` or between it and `none`, after which there is nothing.
        let mut none = until;
        while found < none {
            let middle = found + (none - found) / 2;
            match has(middle) {
                Some(later) => found = later,
                None => none = middle,
            }
        }
        Some(found)
    }

    /// Walks over the slots after an instant.
    pub fn slots(&self, after: Millis) -> Slots<'_> {
        Slots { calendar: self, after }
    }

    /// Returns how many slots lie in `(after, until]`.
    pub fn count(&self, after: Millis, until: Millis) -> u64 {
        match self {
            _ if until <= after => 0,
            Calendar::Every(period) => until / period.0 - after / period.0,
            Calendar::At(at) => u64::from(after < *at && *at <= until),
            Calendar::Cron(pattern, zone) => count(self, pattern, zone, after, until),
        }
    }

    /// Returns the slots in `(after, until]`, or how many there are if these are more than `limit`.
    pub fn within(
        &self,
        after: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Millis>, TooManySlots> {
        let some: Vec<Millis> =
            self.slots(after).take_while(|it| *it <= until).take(limit + 1).collect();
        if some.len() <= limit {
            return Ok(some);
        }
        Err(TooManySlots { count: self.count(after, until), limit })
    }
}

/// The slots of a calendar, in order. See [`Calendar::slots`].
#[derive(Clone, Debug)]
pub struct Slots<'a> {
    calendar: &'a Calendar,
    after: Millis,
}

impl Iterator for Slots<'_> {
    type Item = Millis;

    fn next(&mut self) -> Option<Millis> {
        let slot = self.calendar.next(self.after)?;
        self.after = slot;
        Some(slot)
    }
}

/// Every real moment at which the clock on the wall shows a time of the pattern.
fn next_rhythm(pattern: &Pattern, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut from = Timestamp::from_second(after.as_second() + 1).ok()?;
    loop {
        // Between two changes of the clocks, local time is an offset away.
        let offset = zone.to_offset(from);
        let change = zone.following(from).next().map(|it| it.timestamp());
        let local = pattern.at_or_after(offset.to_datetime(from))?;
        match (offset.to_timestamp(local), change) {
            (Ok(found), None) => return Some(found),
            (Ok(found), Some(change)) if found < change => return Some(found),
            (_, change) => from = change?,
        }
    }
}

/// Every local time of the pattern once: in a gap at its end, in a repeated hour the first time.
fn next_fixed(pattern: &Pattern, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    // Instants of local times never decrease, so what was before `after` stays there.
    let mut local = zone.to_datetime(after);
    loop {
        local = pattern.at_or_after(local)?;
        let found = instant(zone, local)?;
        if found > after {
            return Some(found);
        }
        local = local.checked_add(1.second()).ok()?;
    }
}

fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_gap = after.to_timestamp(local).ok()?;
            zone.following(before_the_gap).next().map(|it| it.timestamp())
        }
    }
}

/// Counts by the day where the clocks stand still, and slot by slot where not.
fn count(
    calendar: &Calendar,
    pattern: &Pattern,
    zone: &TimeZone,
    after: Millis,
    until: Millis,
) -> u64 {
    let (mut total, mut at) = (0, after);
    while at < until {
        let day = Day::of(zone, at + 1);
        let end = day.as_ref().map_or(until, |it| it.last.min(until));
        total += match day {
            Some(day) if day.is_plain && day.first == at + 1 && day.last <= until => {
                if pattern.has_day(day.date) { pattern.times_a_day() } else { 0 }
            }
            _ => calendar.slots(at).take_while(|it| *it <= end).count() as u64,
        };
        at = end;
    }
    total
}

/// A day in a time zone.
struct Day {
    date: Date,
    first: Millis,
    last: Millis,
    /// No clock is changed within.
    is_plain: bool,
}

impl Day {
    fn of(zone: &TimeZone, at: Millis) -> Option<Day> {
        let at = Timestamp::from_millisecond(at.try_into().ok()?).ok()?;
        let date = zone.to_datetime(at).date();
        let start = date.to_zoned(zone.clone()).ok()?.timestamp();
        let end = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp();
        let change = zone.following(start.checked_sub(1.second()).ok()?).next();
        Some(Day {
            date,
            first: start.as_millisecond().try_into().ok()?,
            last: Millis::try_from(end.as_millisecond()).ok()?.checked_sub(1)?,
            is_plain: change.is_none_or(|it| it.timestamp() >= end),
        })
    }
}
