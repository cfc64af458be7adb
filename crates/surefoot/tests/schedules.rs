//! Schedules over an engine: each slot once, whatever crashes, and what people ask of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "seeds and figures belong into the output of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::core::definition::{CatchUp, Overlap};
use surefoot::core::schedule::{
    BACKFILL_SLOTS_MAX, Policy, SLOTS_PER_LOOK_MAX, When, zones_version,
};
use surefoot::core::time::Duration as Length;
use surefoot::core::trace::TraceContext;
use surefoot::schedules::{
    CATCH_UP_BURST, CATCH_UP_PER_SECOND, NewSchedule, Origin, Position, ScheduleError,
    ScheduleSpec, Schedules,
};
use surefoot::store::{Expect, ItemWrite, RunFilter, RunRow};
use surefoot::{Clock, Engine, RunId, StartRequest};

/// A clock that is moved by hand.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl HandClock {
    fn set(&self, now: u64) {
        self.0.store(now, Ordering::SeqCst);
    }
}

/// 2026-11-22T00:00:00Z, a multiple of all periods here.
const BEGIN: u64 = 1_795_305_600_000;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

const TICK: &str = "{id: tick, tasks: {t: {uses: transform, with: {value: 1}}}}";
/// Goes on until it gets the signal `go`.
const LONG: &str = "{id: long, tasks: {t: {uses: signal, with: {name: go}}}}";

async fn engine() -> (Engine, Arc<HandClock>) {
    let clock = Arc::new(HandClock(AtomicU64::new(BEGIN)));
    let engine = Engine::builder().clock(clock.clone()).open().await.unwrap();
    engine.deploy(TICK).await.unwrap();
    engine.deploy(LONG).await.unwrap();
    (engine, clock)
}

fn every(workflow: &str, period: u64, policy: Policy) -> NewSchedule {
    NewSchedule {
        workflow: workflow.to_owned(),
        version: None,
        when: When::Every(Length(period)),
        policy,
        input: json!({}),
        labels: BTreeMap::new(),
        priority: None,
        is_paused: None,
        actor: "somebody".to_owned(),
    }
}

fn policy(catch_up: CatchUp, overlap: Overlap) -> Policy {
    Policy { catch_up, overlap, ..Policy::default() }
}

async fn runs(engine: &Engine, schedule: &str) -> Vec<RunRow> {
    let labels = BTreeMap::from([("schedule".to_owned(), schedule.to_owned())]);
    let filter = RunFilter { labels, limit: 1_000_000, ..RunFilter::default() };
    let mut rows = engine.store().runs(&filter).await.unwrap();
    rows.reverse();
    rows
}

/// The slots of runs, in order.
fn slots(rows: &[RunRow]) -> Vec<u64> {
    let slot = |it: &RunRow| {
        let prefix = format!("schedule:{}:", it.labels["schedule"]);
        let slot = it.key.as_ref().unwrap().strip_prefix(&prefix).unwrap();
        let instant: jiff::Timestamp = slot.parse().unwrap();
        instant.as_millisecond() as u64
    };
    let mut slots: Vec<u64> = rows.iter().map(slot).collect();
    slots.sort_unstable();
    slots
}

fn multiples(period: u64, from: u64, to: u64) -> Vec<u64> {
    (from..=to).filter(|it| it % period == 0).collect()
}

#[tokio::test]
async fn a_schedule_starts_its_runs_and_says_so() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let new = every("tick", MINUTE, Policy::default());
    let (schedule, is_new) = schedules.put("minutely", new.clone(), Expect::Absent).await.unwrap();
    assert_eq!((is_new, schedule.revision), (true, 1));
    assert_eq!(schedules.look().await, Some(BEGIN + MINUTE));
    clock.set(BEGIN + MINUTE + 5);
    assert_eq!(schedules.look().await, Some(BEGIN + 2 * MINUTE));
    let rows = runs(&engine, "minutely").await;
    assert_eq!(slots(&rows), [BEGIN + MINUTE]);
    assert_eq!((rows[0].actor.as_str(), rows[0].workflow.as_str()), ("schedule:minutely", "tick"));
    assert_eq!(rows[0].key.as_deref(), Some("schedule:minutely:2026-11-22T00:01:00Z"));
    let found = schedules.get("minutely").await.unwrap();
    assert_eq!((found.position.started, found.revision), (1, 1));
    let last = found.position.last.unwrap();
    assert_eq!((last.run, last.slot, last.late_ms), (rows[0].id, Some(BEGIN + MINUTE), 5));
    // Asked for again, it stays where it is.
    let (again, is_new) = schedules.put("minutely", new, Expect::Revision(1)).await.unwrap();
    assert_eq!((is_new, again.revision, again.position.started), (false, 2, 1));
    assert_eq!(schedules.look().await, Some(BEGIN + 2 * MINUTE));
}

/// Polls a future so often and then drops it: a crash at any point where it waits.
async fn crash_after<T>(polls: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::test]
async fn every_slot_runs_once_whatever_is_cut_off() {
    for seed in 0..20 {
        let mut draw = Draw(seed);
        let (engine, clock) = engine().await;
        let periods = [("a", 7 * SECOND), ("b", 100), ("c", 30 * SECOND), ("d", MINUTE)];
        let mut schedules = Schedules::open(&engine).await.unwrap();
        for (id, period) in periods {
            let new = every("tick", period, policy(CatchUp::All, Overlap::Allow));
            schedules.put(id, new, Expect::Absent).await.unwrap();
        }
        let mut latest = BEGIN;
        for _ in 0..40 {
            let now = match draw.below(6) {
                0 => latest.saturating_sub(draw.below(MINUTE)),
                1 => latest + draw.below(20 * SECOND),
                _ => latest + draw.below(SECOND),
            };
            latest = latest.max(now);
            clock.set(now);
            if crash_after(1 + draw.below(30), schedules.look()).await.is_none() {
                // What memory held is gone; the store is what is left.
                schedules = Schedules::open(&engine).await.unwrap();
            }
        }
        clock.set(latest);
        schedules.look().await;
        for (id, period) in periods {
            let found = slots(&runs(&engine, id).await);
            let distinct: BTreeSet<u64> = found.iter().copied().collect();
            assert_eq!(found.len(), distinct.len(), "seed {seed}: {id} has a slot twice");
            let expected = multiples(period, BEGIN + 1, latest);
            assert_eq!(distinct, expected.into_iter().collect(), "seed {seed}: {id}");
            assert_eq!(schedules.get(id).await.unwrap().position.missed, 0, "seed {seed}: {id}");
        }
    }
}

async fn go(engine: &Engine, run: RunId) {
    engine.run(run).signal("go", Value::Null).await.unwrap();
    engine.run(run).wait().await.unwrap();
}

/// Lets five slots come while the first one's run goes on, then ends whatever goes on, twice.
/// Returns the slots that ran, in seconds, and how many were skipped.
async fn meet(overlap: Overlap) -> (Vec<u64>, u64) {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let new = every("long", SECOND, policy(CatchUp::Latest, overlap));
    schedules.put("x", new, Expect::Absent).await.unwrap();
    for second in 1..=5 {
        clock.set(BEGIN + second * SECOND);
        schedules.look().await;
    }
    // Slots that were queued come when they can; no further ones do.
    let stop = tokio_util::sync::CancellationToken::new();
    let keeper = tokio::spawn({
        let (schedules, stop) = (schedules.clone(), stop.clone());
        async move { schedules.keep(stop).await }
    });
    loop {
        let open: Vec<RunId> = runs(&engine, "x")
            .await
            .into_iter()
            .filter(|it| it.ended_at.is_none())
            .map(|it| it.id)
            .collect();
        let is_queued = !schedules.get("x").await.unwrap().position.queued.is_empty();
        if open.is_empty() && !is_queued {
            break;
        }
        for run in open {
            go(&engine, run).await;
        }
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeper.await.unwrap();
    let ran = slots(&runs(&engine, "x").await);
    let skipped = schedules.get("x").await.unwrap().position.skipped;
    (ran.into_iter().map(|it| (it - BEGIN) / SECOND).collect(), skipped)
}

#[tokio::test]
async fn slots_meet_a_run_that_goes_on_as_their_overlap_says() {
    assert_eq!(meet(Overlap::Skip).await, (vec![1], 4));
    assert_eq!(meet(Overlap::Queue).await, (vec![1, 2, 3, 4, 5], 0));
    assert_eq!(meet(Overlap::Allow).await, (vec![1, 2, 3, 4, 5], 0));
    let (ran, skipped) = meet(Overlap::CancelRunning).await;
    assert_eq!((ran.first(), ran.last()), (Some(&1), Some(&5)), "{ran:?}");
    assert_eq!(ran.len() as u64 + skipped, 5, "{ran:?}");
}

#[tokio::test]
async fn a_pause_skips_and_a_backfill_makes_up_for_it() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let new = every("tick", HOUR, policy(CatchUp::All, Overlap::Skip));
    schedules.put("hourly", new, Expect::Absent).await.unwrap();
    clock.set(BEGIN + HOUR);
    schedules.look().await;
    assert_eq!(schedules.pause("hourly").await.unwrap().revision, 2);
    assert_eq!(schedules.pause("hourly").await.unwrap().revision, 2, "once");
    clock.set(BEGIN + 5 * HOUR + 1);
    assert_eq!(schedules.look().await, None);
    // A pause outlives its keeper.
    let schedules = Schedules::open(&engine).await.unwrap();
    assert_eq!(schedules.look().await, None);
    let resumed = schedules.resume("hourly").await.unwrap();
    assert_eq!((resumed.revision, resumed.position.skipped), (3, 4));
    assert_eq!(schedules.look().await, Some(BEGIN + 6 * HOUR));
    assert_eq!(slots(&runs(&engine, "hourly").await), [BEGIN + HOUR]);
    let (from, to) = (BEGIN, BEGIN + 4 * HOUR);
    let dry = schedules.backfill("hourly", from, to, true).await.unwrap();
    assert_eq!(dry.slots.len(), 4);
    assert!(dry.slots.iter().all(|it| it.run.is_none()));
    assert_eq!(runs(&engine, "hourly").await.len(), 1);
    for _ in 0..2 {
        let done = schedules.backfill("hourly", from, to, false).await.unwrap();
        assert!(done.slots.iter().all(|it| it.run.is_some() && it.error.is_none()));
        let found: BTreeSet<u64> = slots(&runs(&engine, "hourly").await).into_iter().collect();
        assert_eq!(found, (0..4).map(|it| BEGIN + it * HOUR).collect());
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_kept() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let good = every("tick", MINUTE, Policy::default());
    let cron = |expression: &str, timezone: &str| NewSchedule {
        when: When::Cron { expression: expression.to_owned(), timezone: timezone.to_owned() },
        ..good.clone()
    };
    let table = [
        (cron("0 0 30 2 *", "UTC"), "`0 0 30 2 *`: this never fires"),
        (cron("0 0 * * *", "Europe/Londn"), "`Europe/Londn` is not a time zone"),
        (cron("61 * * * *", "UTC"), "`61 * * * *`: `61` is not a minute"),
        (every("tick", 99, Policy::default()), "`every: 99ms` is shorter than 100ms"),
        (every("tock", MINUTE, Policy::default()), "there is no workflow `tock`"),
        (
            NewSchedule { when: When::At(BEGIN), ..good.clone() },
            "the schedule never fires: 2026-11-22T00:00:00Z has passed",
        ),
        (
            NewSchedule { input: json!({"a": "${{ event. }}"}), ..good.clone() },
            "`input` has a broken expression",
        ),
    ];
    for (new, expected) in table {
        let found = schedules.put("x", new, Expect::Anything).await.unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
    for id in ["", "a b", "a/b", "a:1", &"x".repeat(129)] {
        let found = schedules.put(id, good.clone(), Expect::Anything).await.unwrap_err();
        assert!(matches!(found, ScheduleError::Id { .. }), "{found}");
    }
    assert!(schedules.list(None, 10).await.unwrap().is_empty());
    schedules.put("x", good.clone(), Expect::Absent).await.unwrap();
    let found = schedules.put("x", good.clone(), Expect::Absent).await.unwrap_err();
    assert!(matches!(found, ScheduleError::Changed { actual: 1, .. }), "{found}");
    let found = schedules.remove("x", Expect::Revision(7)).await.unwrap_err();
    assert!(matches!(found, ScheduleError::Changed { actual: 1, .. }), "{found}");
    clock.set(BEGIN + MINUTE);
    let ten_years = BEGIN - 3_653 * 24 * HOUR;
    let found = schedules.backfill("x", ten_years, BEGIN, true).await.unwrap_err();
    assert_eq!(
        found.to_string(),
        format!("a backfill of 5260320 slots; at most {BACKFILL_SLOTS_MAX}")
    );
    let found = schedules.backfill("x", BEGIN, BEGIN + HOUR, true).await.unwrap_err();
    assert!(matches!(found, ScheduleError::Future), "{found}");
    schedules.remove("x", Expect::Revision(1)).await.unwrap();
    assert!(matches!(schedules.get("x").await, Err(ScheduleError::NotFound { .. })));
    clock.set(BEGIN + HOUR);
    assert_eq!(schedules.look().await, None);
}

fn with_triggers(version: &str, triggers: &str) -> String {
    format!(
        "{{id: flow, version: {version}, triggers: {triggers}, tasks: {{t: {{uses: transform, with: {{value: 1}}}}}}}}"
    )
}

#[tokio::test]
async fn a_definition_brings_its_schedules_and_takes_them_away() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let ids = async || {
        let all = schedules.list(None, 10).await.unwrap();
        all.into_iter().map(|it| (it.id, it.spec.version.unwrap())).collect::<Vec<_>>()
    };
    let name = |id: &str, version: &str| (id.to_owned(), version.to_owned());
    let triggers = "[{every: 1m, input: {at: '${{ event.slot }}'}}, {cron: '0 9 * * *', timezone: Europe/London}]";
    engine.deploy(&with_triggers("1.0.0", triggers)).await.unwrap();
    schedules.deployed("flow").await.unwrap();
    assert_eq!(ids().await, [name("flow:1", "1.0.0"), name("flow:2", "1.0.0")]);
    clock.set(BEGIN + MINUTE);
    schedules.look().await;
    let rows = runs(&engine, "flow:1").await;
    let run = surefoot::inspect::load(&**engine.store(), rows[0].id).await.unwrap();
    assert_eq!(**run.state().created.input.value(), json!({"at": "2026-11-22T00:01:00Z"}));
    schedules.pause("flow:2").await.unwrap();
    let found = schedules.remove("flow:1", Expect::Anything).await.unwrap_err();
    assert!(matches!(found, ScheduleError::OfDefinition { .. }), "{found}");
    // Two minutes pass, then the triggers change places: nothing is lost, nothing runs twice.
    clock.set(BEGIN + 2 * MINUTE);
    let triggers = "[{cron: '0 9 * * *', timezone: Europe/London}, {every: 1m}]";
    engine.deploy(&with_triggers("1.1.0", triggers)).await.unwrap();
    schedules.deployed("flow").await.unwrap();
    assert_eq!(ids().await, [name("flow:1", "1.1.0"), name("flow:2", "1.1.0")]);
    assert!(schedules.get("flow:2").await.unwrap().spec.is_paused);
    clock.set(BEGIN + 3 * MINUTE);
    schedules.look().await;
    let found = slots(&runs(&engine, "flow:1").await);
    assert_eq!(found, [1, 2, 3].map(|it| BEGIN + it * MINUTE));
    // Deployed without a keeper; the next one notices.
    engine.deploy(&with_triggers("1.2.0", "[]")).await.unwrap();
    let schedules = Schedules::open(&engine).await.unwrap();
    assert!(schedules.list(None, 10).await.unwrap().is_empty());
    assert_eq!(schedules.look().await, None);
}

#[tokio::test]
async fn a_run_that_starts_later_starts_once_and_leaves_nothing() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = StartRequest::new("tick").key("order-1").actor("ann");
    let request = request.traceparent(Some(PLACE)).tracestate(Some("a=1"));
    let later = schedules.start_later(request.clone(), BEGIN + HOUR).await.unwrap();
    let again = schedules.start_later(request, BEGIN + HOUR).await.unwrap();
    assert_eq!(later.id, again.id);
    let trace = TraceContext::read(Some(PLACE), Some("a=1"));
    assert_eq!(later.spec.origin, Origin::Once { key: Some("order-1".to_owned()), trace });
    assert_eq!(schedules.look().await, Some(BEGIN + HOUR));
    clock.set(BEGIN + HOUR);
    assert_eq!(schedules.look().await, None);
    assert!(schedules.list(None, 10).await.unwrap().is_empty());
    let filter = RunFilter { key: Some("order-1".to_owned()), limit: 10, ..RunFilter::default() };
    let rows = engine.store().runs(&filter).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].actor, "ann");
    let created = engine.load(rows[0].id).await.unwrap().state().created.clone();
    assert_eq!(created.traceparent.as_deref(), Some(PLACE));
    assert_eq!(created.tracestate.as_deref(), Some("a=1"));
    // An instant that has passed comes at once.
    schedules.start_later(StartRequest::new("tick").key("order-2"), BEGIN).await.unwrap();
    assert_eq!(schedules.look().await, None);
    let filter = RunFilter { key: Some("order-2".to_owned()), limit: 10, ..RunFilter::default() };
    assert_eq!(engine.store().runs(&filter).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_run_by_hand_does_not_touch_the_slots() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    schedules.put("x", every("tick", MINUTE, Policy::default()), Expect::Absent).await.unwrap();
    let run = schedules.trigger("x", "ann", Some("k")).await.unwrap();
    assert_eq!(schedules.trigger("x", "ann", Some("k")).await.unwrap(), run);
    assert_ne!(schedules.trigger("x", "ann", None).await.unwrap(), run);
    let found = schedules.get("x").await.unwrap();
    assert_eq!((found.revision, found.position.started), (1, 0));
    clock.set(BEGIN + MINUTE);
    schedules.look().await;
    assert_eq!(schedules.get("x").await.unwrap().position.started, 1);
}

#[tokio::test]
async fn a_slot_that_cannot_start_is_counted_and_the_next_one_comes() {
    let (engine, clock) = engine().await;
    let schema = "{id: strict, input: {type: object, required: [n]}, tasks: {t: {uses: transform, with: {value: 1}}}}";
    engine.deploy(schema).await.unwrap();
    let schedules = Schedules::open(&engine).await.unwrap();
    let bad = every("strict", MINUTE, Policy::default());
    let found = schedules.put("x", bad.clone(), Expect::Absent).await.unwrap_err();
    assert!(matches!(found, ScheduleError::InvalidInput { .. }), "{found}");
    let input = json!({"n": "${{ event.nothing }}"});
    schedules.put("x", NewSchedule { input, ..bad }, Expect::Absent).await.unwrap();
    for minute in 1..=2 {
        clock.set(BEGIN + minute * MINUTE);
        assert_eq!(schedules.look().await, Some(BEGIN + (minute + 1) * MINUTE));
    }
    let position = schedules.get("x").await.unwrap().position;
    assert_eq!((position.started, position.failed), (0, 2));
    assert!(position.error.unwrap().contains("nothing"));
}

#[tokio::test]
async fn catching_up_comes_in_bounded_looks_and_loses_nothing() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let new = every("tick", SECOND, policy(CatchUp::All, Overlap::Allow));
    schedules.put("x", new, Expect::Absent).await.unwrap();
    let count = SLOTS_PER_LOOK_MAX as u64 * 3 + 7;
    clock.set(BEGIN + count * SECOND);
    schedules.look().await;
    assert_eq!(schedules.get("x").await.unwrap().position.started, count);
}

#[tokio::test]
async fn slots_that_find_no_room_to_wait_are_not_lost() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let new = every("tick", SECOND, policy(CatchUp::All, Overlap::Queue));
    schedules.put("x", new, Expect::Absent).await.unwrap();
    let count = 250;
    clock.set(BEGIN + count * SECOND);
    let stop = tokio_util::sync::CancellationToken::new();
    let keeper = tokio::spawn({
        let (schedules, stop) = (schedules.clone(), stop.clone());
        async move { schedules.keep(stop).await }
    });
    while schedules.get("x").await.unwrap().position.started < count {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeper.await.unwrap();
    let found = slots(&runs(&engine, "x").await);
    assert_eq!(found, multiples(SECOND, BEGIN + 1, BEGIN + count * SECOND));
    let position = schedules.get("x").await.unwrap().position;
    assert_eq!((position.skipped, position.missed), (0, 0));
}

/// A night in which ten thousand schedules were missed ends in a trickle, not in a flood.
#[tokio::test]
async fn missed_slots_are_caught_up_at_a_bounded_rate_and_punctual_ones_at_once() {
    let (engine, clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let late = CATCH_UP_BURST + 2 * CATCH_UP_PER_SECOND;
    let new = every("tick", SECOND, policy(CatchUp::All, Overlap::Allow));
    schedules.put("late", new, Expect::Absent).await.unwrap();
    let started = |id: &'static str| {
        let schedules = schedules.clone();
        async move { schedules.get(id).await.unwrap().position.started }
    };
    clock.set(BEGIN + late * SECOND);
    let again = schedules.look().await.unwrap();
    assert_eq!(started("late").await, CATCH_UP_BURST, "the newest wait behind the others");
    assert!(again <= BEGIN + late * SECOND + 10, "{again}");
    let punctual = every("tick", SECOND, policy(CatchUp::None, Overlap::Allow));
    schedules.put("punctual", punctual, Expect::Absent).await.unwrap();
    clock.set(BEGIN + (late + 1) * SECOND);
    schedules.look().await;
    assert_eq!(started("punctual").await, 1, "it waits for nobody");
    assert_eq!(started("late").await, CATCH_UP_BURST + CATCH_UP_PER_SECOND);
    clock.set(BEGIN + (late + 2) * SECOND);
    schedules.look().await;
    assert_eq!(started("late").await, late + 2, "the rest, and the two that came meanwhile");
}

/// The database of zones is compiled in, so an older program is played by what it would have left.
#[tokio::test]
async fn another_database_of_zones_moves_the_next_run_and_says_so() {
    let (engine, _clock) = engine().await;
    let schedules = Schedules::open(&engine).await.unwrap();
    let when =
        When::Cron { expression: "0 9 * * *".to_owned(), timezone: "Europe/London".to_owned() };
    let new = NewSchedule { when, ..every("tick", SECOND, Policy::default()) };
    for id in ["moves", "stays"] {
        schedules.put(id, new.clone(), Expect::Absent).await.unwrap();
    }
    let next = schedules.get("moves").await.unwrap().position.next.unwrap();
    assert_eq!(schedules.get("moves").await.unwrap().position.zones, zones_version());
    for (id, before) in [("moves", next - HOUR), ("stays", next)] {
        let item = engine.store().item("schedule_slots", id).await.unwrap().unwrap();
        let mut position: Position = serde_json::from_slice(&item.body).unwrap();
        (position.zones, position.next) = ("1999z".to_owned(), Some(before));
        let body = serde_json::to_vec(&position).unwrap();
        let write = ItemWrite::put("schedule_slots", id, Expect::Anything, body);
        engine.store().write_items(vec![write]).await.unwrap().unwrap();
    }
    let opened = Schedules::open(&engine).await.unwrap();
    let moved = opened.get("moves").await.unwrap().position;
    assert_eq!((moved.next, &*moved.zones), (Some(next), zones_version()));
    let told = moved.moved.unwrap();
    assert_eq!((&*told.zones_before, &*told.zones), ("1999z", zones_version()));
    assert_eq!((told.next_before, told.next), (Some(next - HOUR), Some(next)));
    let stays = opened.get("stays").await.unwrap().position;
    assert_eq!((stays.moved, &*stays.zones), (None, zones_version()));
}

/// Schedules that come due in one second; fewer where nothing is optimised.
const CROWD: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_due_at_once_is_started_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock(AtomicU64::new(BEGIN)));
    let url = format!("sqlite:{}", folder.path().join("runs.db").display());
    let engine = Engine::builder().store(&url).clock(clock.clone()).open().await.unwrap();
    engine.deploy(TICK).await.unwrap();
    let spec = ScheduleSpec {
        workflow: "tick".to_owned(),
        version: None,
        when: When::Cron {
            expression: "0 9 * * *".to_owned(),
            timezone: "Europe/London".to_owned(),
        },
        policy: Policy::default(),
        input: json!({}),
        labels: BTreeMap::new(),
        priority: None,
        is_paused: false,
        origin: Origin::Request,
        actor: "somebody".to_owned(),
        created_at: BEGIN,
    };
    let nine = BEGIN + 9 * HOUR;
    let position = Position { cursor: BEGIN, next: Some(nine), ..Position::default() };
    let (spec, position) =
        (serde_json::to_vec(&spec).unwrap(), serde_json::to_vec(&position).unwrap());
    let ids: Vec<String> = (0..CROWD).map(|it| format!("s{it:06}")).collect();
    for some in ids.chunks(500) {
        let writes = some.iter().flat_map(|id| {
            let put = |collection, body: &[u8]| {
                ItemWrite::put(collection, id, Expect::Absent, body.to_vec())
            };
            [put("schedules", &spec), put("schedule_slots", &position)]
        });
        engine.store().write_items(writes.collect()).await.unwrap().unwrap();
    }
    let schedules = Schedules::open(&engine).await.unwrap();
    assert_eq!(schedules.look().await, Some(nine));
    let (before, began) = (resident_kib(), std::time::Instant::now());
    clock.set(nine + 500);
    assert_eq!(schedules.look().await, Some(nine + 24 * HOUR));
    let (took, grown) = (began.elapsed(), resident_kib().saturating_sub(before));
    println!("{CROWD} schedules due at once: {took:.1?}, {} MiB more", grown / 1024);
    engine.idle().await;
    assert_eq!(engine.statistics().runs_started, CROWD as u64);
    let rows = runs(&engine, "s009999").await;
    assert_eq!(slots(&rows), [nine]);
    engine.stop(Duration::ZERO).await.unwrap();
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
