//! Schedules against brute force, and against a clock that steps, with crashes and pauses.
//! Every failure names its seed; `SUREFOOT_SEED=n` runs that one alone.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::disallowed_methods, reason = "a seed may be asked for")]

use std::collections::BTreeSet;

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use surefoot_core::definition::CatchUp;
use surefoot_core::parse::cron;
use surefoot_core::schedule::{Calendar, ON_TIME, Policy, SLOTS_PER_LOOK_MAX, Schedule};
use surefoot_core::time::{Duration, Millis};

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn with_seeds(count: u64, check: impl Fn(u64, &mut Draw)) {
    let alone = std::env::var("SUREFOOT_SEED").ok().map(|it| it.parse::<u64>().unwrap());
    for seed in alone.map_or(0..count, |it| it..it + 1) {
        check(seed, &mut Draw(seed));
    }
}

const ZONES: &[&str] = &[
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Casablanca",
    "Pacific/Auckland",
    "Asia/Tehran",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Antarctica/Troll",
];

fn expression(draw: &mut Draw) -> String {
    let number = |draw: &mut Draw, bound: u64| draw.below(bound).to_string();
    let minute = match draw.below(5) {
        0 => "*".to_owned(),
        1 => "*/15".to_owned(),
        2 => format!("{}-{}", draw.below(20), 20 + draw.below(40)),
        3 => format!("{},{}", draw.below(60), draw.below(60)),
        _ => number(draw, 60),
    };
    let hour = match draw.below(5) {
        0 => "*".to_owned(),
        1 => "*/2".to_owned(),
        2 => format!("{}-{}", draw.below(4), 4 + draw.below(20)),
        3 => format!("{},{}", draw.below(4), draw.below(24)),
        _ => number(draw, 5),
    };
    let day = draw.one_of(&["*", "*", "*", "1", "L", "15W", "*/2", "10-20"]);
    let month = draw.one_of(&["*", "*", "*", "3-4", "OCT", "9-11"]);
    let weekday = draw.one_of(&["*", "*", "*", "SUN", "MON-FRI", "0#1", "7L"]);
    format!("{minute} {hour} {day} {month} {weekday}")
}

/// The rule of docs/schedules.md said again, minute by minute.
fn brute_force(text: &str, zone: &TimeZone, from: Timestamp, days: i64) -> BTreeSet<Millis> {
    let cron = cron(text).unwrap();
    let until = from.checked_add(SignedDuration::from_hours(24 * days)).unwrap();
    let is_list = |it: &str| it.bytes().all(|it| it.is_ascii_digit() || it == b',');
    let is_fixed = text.split(' ').take(2).all(is_list);
    let mut found = BTreeSet::new();
    if is_fixed {
        let mut local = zone.to_datetime(from).checked_sub(1.day()).unwrap();
        let end = zone.to_datetime(until).checked_add(1.day()).unwrap();
        while local < end {
            if cron.is_time_matching(&local).unwrap() {
                let ambiguous = zone.to_ambiguous_timestamp(local);
                let mut instant = match ambiguous.offset() {
                    AmbiguousOffset::Gap { .. } => ambiguous.later().unwrap(),
                    _ => ambiguous.earlier().unwrap(),
                };
                // Back to the first minute after the gap.
                if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
                    let offset = zone.to_offset(instant);
                    while zone.to_offset(instant.checked_sub(1.minute()).unwrap()) == offset {
                        instant = instant.checked_sub(1.minute()).unwrap();
                    }
                }
                found.insert(instant.as_millisecond() as Millis);
            }
            local = local.checked_add(1.minute()).unwrap();
        }
    } else {
        let mut at = from;
        while at <= until {
            if cron.is_time_matching(&at.to_zoned(zone.clone())).unwrap() {
                found.insert(at.as_millisecond() as Millis);
            }
            at = at.checked_add(1.minute()).unwrap();
        }
    }
    let range = from.as_millisecond() as Millis + 1..=until.as_millisecond() as Millis;
    found.range(range).copied().collect()
}

#[test]
fn slots_are_those_that_counting_minutes_finds() {
    with_seeds(100, |seed, draw| {
        let zone_name = draw.one_of(ZONES);
        let zone = jiff::tz::db().get(zone_name).unwrap();
        let text = expression(draw);
        let Ok(calendar) = Calendar::cron(&text, zone_name) else { return };
        // Most begin a day before the clocks are changed.
        let year: Timestamp =
            format!("20{:02}-01-01T00:00:00Z", 8 + draw.below(22)).parse().unwrap();
        let nth = draw.below(2) as usize;
        let change = zone.following(year).nth(nth).map_or(year, |it| it.timestamp());
        let from =
            change.checked_sub(SignedDuration::from_hours(24 + draw.below(24) as i64)).unwrap();
        let expected: Vec<Millis> = brute_force(&text, &zone, from, 3).into_iter().collect();
        let after = from.as_millisecond() as Millis;
        let until = after + 3 * 24 * 3600 * 1000;
        let name = format!("seed {seed}: `{text}` in {zone_name} from {from}");
        let found: Vec<Millis> = calendar.slots(after).take_while(|it| *it <= until).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(calendar.count(after, until), expected.len() as u64, "{name}: count");
        assert_eq!(calendar.last(after, until), expected.last().copied(), "{name}: last");
        // Where one begins to look changes nothing.
        let begin = after + draw.below(until - after);
        let rest: Vec<Millis> = calendar.slots(begin).take_while(|it| *it <= until).collect();
        let expected: Vec<Millis> = expected.into_iter().filter(|it| *it > begin).collect();
        assert_eq!(rest, expected, "{name}, from {begin}");
    });
}

fn schedule(draw: &mut Draw, catch_up: CatchUp) -> Schedule {
    let calendar = match draw.below(4) {
        0 => Calendar::every(Duration(100 + draw.below(5_000))).unwrap(),
        1 => Calendar::every(Duration(60_000 + draw.below(600_000))).unwrap(),
        2 => Calendar::cron("*/15 * * * *", draw.one_of(ZONES)).unwrap(),
        _ => Calendar::cron("30 */2 * * *", draw.one_of(ZONES)).unwrap(),
    };
    let jitter = Duration(if draw.chance(50) { draw.below(120_000) } else { 0 });
    let policy = Policy { catch_up, jitter: Some(jitter), ..Policy::default() };
    Schedule::new(&draw.next().to_string(), calendar, policy)
}

/// What a service does around the rules: it starts, and then remembers; either may be lost.
struct Service {
    schedule: Schedule,
    cursor: Millis,
    started: BTreeSet<Millis>,
    missed: u64,
}

impl Service {
    /// Looks until there is nothing more to do. May crash after a start, before the cursor is kept.
    fn look(&mut self, now: Millis, crashes: bool, seed: u64) {
        loop {
            let look = self.schedule.look(self.cursor, now);
            assert!(look.start.len() <= SLOTS_PER_LOOK_MAX, "seed {seed}");
            assert!(look.cursor >= self.cursor, "seed {seed}: the cursor went back");
            for slot in &look.start {
                assert!(self.schedule.starts_at(*slot) <= now, "seed {seed}: early");
                // A start that is repeated finds the run of the first.
                self.started.insert(*slot);
            }
            if crashes {
                return;
            }
            let is_done = look.next.is_none_or(|it| it > now);
            self.missed += look.missed;
            self.cursor = look.cursor;
            if is_done {
                return;
            }
        }
    }
}

/// Walks a clock through hours of looks, crashes, outages and steps back and forth.
fn walk(seed: u64, draw: &mut Draw, catch_up: CatchUp) -> (Service, Millis, Millis) {
    let begin = 1_700_000_000_000 + draw.below(100_000_000_000);
    let schedule = schedule(draw, catch_up);
    let mut service = Service { schedule, cursor: begin, started: BTreeSet::new(), missed: 0 };
    let mut now = begin;
    let mut latest = begin;
    for _ in 0..200 {
        now = match draw.below(20) {
            0 => now.saturating_sub(draw.below(7_200_000)),
            1 => now + draw.below(7_200_000),
            2..4 => now + draw.below(60_000),
            _ => service.schedule.next_start(service.cursor).unwrap().max(now) + draw.below(50),
        };
        if now > latest + 40_000_000 {
            break;
        }
        latest = latest.max(now);
        let crashes = draw.chance(20);
        service.look(now, crashes, seed);
    }
    // Faults stop, and the clock reaches its furthest point again.
    latest += 200_000;
    service.look(latest, false, seed);
    (service, begin, latest)
}

#[test]
fn every_slot_is_started_exactly_once_if_all_are_caught_up() {
    with_seeds(60, |seed, draw| {
        let (service, begin, latest) = walk(seed, draw, CatchUp::All);
        let slots = service.schedule.calendar().slots(begin);
        let due = slots.take_while(|it| service.schedule.starts_at(*it) <= latest);
        assert_eq!(service.started, due.collect(), "seed {seed}: {:?}", service.schedule);
        assert_eq!(service.missed, 0, "seed {seed}");
    });
}

#[test]
fn what_is_not_caught_up_is_counted_as_missed() {
    with_seeds(60, |seed, draw| {
        let catch_up = if draw.chance(50) { CatchUp::None } else { CatchUp::Latest };
        let (service, begin, latest) = walk(seed, draw, catch_up);
        let slots = service.schedule.calendar().slots(begin);
        let due: BTreeSet<Millis> =
            slots.take_while(|it| service.schedule.starts_at(*it) <= latest).collect();
        assert!(service.started.is_subset(&due), "seed {seed}");
        // A slot that was started before a crash may be counted as missed after it.
        let accounted = service.started.len() as u64 + service.missed;
        assert!(accounted >= due.len() as u64, "seed {seed}: {:?}", service.schedule);
    });
}

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

fn hourly(catch_up: CatchUp, window: Option<Millis>) -> Schedule {
    hourly_with(Policy { catch_up, window: window.map(Duration), ..Policy::default() })
}

fn hourly_with(policy: Policy) -> Schedule {
    Schedule::new("hourly", Calendar::every(Duration(HOUR)).unwrap(), policy)
}

fn hourly_with_jitter(jitter: Millis) -> Schedule {
    hourly_with(Policy { jitter: Some(Duration(jitter)), ..Policy::default() })
}

/// From hour 100 on, looked at `late` after hour 110: which hours start, and how many are missed.
#[track_caller]
fn check(schedule: &Schedule, late: Millis, started: &[u64], missed: u64) {
    let look = schedule.look(100 * HOUR, 110 * HOUR + late);
    let hours: Vec<u64> = look.start.iter().map(|it| it / HOUR).collect();
    assert_eq!((&hours[..], look.missed), (started, missed));
    assert_eq!(look.cursor, 110 * HOUR);
    assert_eq!(look.next, Some(111 * HOUR));
}

#[test]
fn the_table_of_what_becomes_of_slots_holds() {
    let late = ON_TIME.0 + 1;
    let all: Vec<u64> = (101..=110).collect();
    for window in [None, Some(20 * HOUR)] {
        check(&hourly(CatchUp::None, window), 0, &[110], 9);
        check(&hourly(CatchUp::None, window), ON_TIME.0, &[110], 9);
        check(&hourly(CatchUp::None, window), late, &[], 10);
        check(&hourly(CatchUp::Latest, window), 0, &[110], 9);
        check(&hourly(CatchUp::Latest, window), late, &[110], 9);
        check(&hourly(CatchUp::All, window), 0, &all, 0);
        check(&hourly(CatchUp::All, window), late, &all, 0);
    }
    check(&hourly(CatchUp::All, Some(3 * HOUR)), 0, &[107, 108, 109, 110], 6);
    check(&hourly(CatchUp::All, Some(3 * HOUR)), late, &[108, 109, 110], 7);
    check(&hourly(CatchUp::Latest, Some(MINUTE)), MINUTE, &[110], 9);
    check(&hourly(CatchUp::Latest, Some(MINUTE)), MINUTE + 1, &[], 10);
    // What is on time runs, however small the window.
    check(&hourly(CatchUp::Latest, Some(1)), ON_TIME.0, &[110], 9);
}

#[test]
fn a_clock_that_was_set_back_finds_nothing_to_do() {
    let schedule = hourly(CatchUp::All, None);
    let look = schedule.look(110 * HOUR, 100 * HOUR);
    assert_eq!((look.start.len(), look.missed, look.cursor), (0, 0, 110 * HOUR));
    assert_eq!(look.next, Some(111 * HOUR));
}

#[test]
fn jitter_is_the_same_each_time_and_stays_before_the_next_slot() {
    let mut spread = BTreeSet::new();
    for slot in (1..100).map(|it| it * HOUR) {
        let schedule = hourly_with_jitter(30_000);
        let late = schedule.starts_at(slot) - slot;
        assert!(late < 30_000);
        assert_eq!(schedule.starts_at(slot), slot + late);
        spread.insert(late);
        let wide = hourly_with_jitter(100 * HOUR);
        assert!(wide.starts_at(slot) < slot + HOUR);
    }
    assert!(spread.len() > 90, "{spread:?}");
}

#[test]
fn ten_years_of_minutes_are_counted_and_not_listed() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond() as Millis;
    let (after, until) = (at("2015-12-31T23:59:59Z"), at("2025-12-31T23:59:00Z"));
    let calendar = Calendar::cron("* * * * *", "Europe/London").unwrap();
    let refused = calendar.within(after, until, 1000).unwrap_err();
    assert_eq!(refused.count, 5_260_320);
    assert_eq!(refused.to_string(), "5260320 slots; at most 1000");
    assert_eq!(calendar.within(after, after + HOUR, 1000).unwrap().len(), 60);
}
