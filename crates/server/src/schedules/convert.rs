//! Schedules on the wire, and as the engine has them.

use std::str::FromStr;

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use surefoot::core::schedule::{Policy, When};
use surefoot::core::source::nearest;
use surefoot::core::time::{Duration, Millis};
use surefoot::schedules::{self, NewSchedule, Origin, Schedule, Upcoming};
use surefoot_client::wire;

use crate::problem::{Fault, Problem};
use crate::time;

pub(super) fn request(asked: wire::PutSchedule, actor: &str) -> Result<NewSchedule, Problem> {
    Ok(NewSchedule {
        when: when(&asked)?,
        policy: Policy {
            catch_up: choice("/catch_up", asked.catch_up.as_deref(), &["none", "latest", "all"])?,
            overlap: choice(
                "/overlap",
                asked.overlap.as_deref(),
                &["skip", "queue", "cancel_running", "allow"],
            )?,
            window: asked.window.map(|it| duration("/window", &it)).transpose()?,
            jitter: asked.jitter.map(|it| duration("/jitter", &it)).transpose()?,
        },
        workflow: asked.workflow,
        version: asked.version,
        input: asked.input.unwrap_or_else(|| json!({})),
        labels: asked.labels,
        priority: asked.priority,
        is_paused: asked.paused,
        actor: actor.to_owned(),
    })
}

fn when(asked: &wire::PutSchedule) -> Result<When, Problem> {
    let timezone = asked.timezone.clone();
    match (&asked.cron, &asked.every, &asked.at) {
        (Some(expression), None, None) => {
            let timezone = timezone.unwrap_or_else(|| "UTC".to_owned());
            Ok(When::Cron { expression: expression.clone(), timezone })
        }
        (None, Some(_), None) | (None, None, Some(_)) if timezone.is_some() => {
            Err(not_when("`timezone` has no meaning without `cron`"))
        }
        (None, Some(every), None) => duration("/every", every).map(When::Every),
        (None, None, Some(at)) => instant("/at", at).map(When::At),
        (None, None, None) => Err(not_when("the schedule does not say when")),
        _ => Err(not_when("the schedule says more than once when")),
    }
}

fn not_when(title: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4096", title)
        .hint("Say one of `cron` (with `timezone`), `every` and `at`.")
}

/// Reads an instant of a body.
pub(crate) fn instant(pointer: &str, text: &str) -> Result<Millis, Problem> {
    time::read(text).ok_or_else(|| {
        let message = format!("`{text}` is not an instant: write it like 2027-01-01T00:00:00Z");
        misfit(pointer, message)
    })
}

fn duration(pointer: &str, text: &str) -> Result<Duration, Problem> {
    Duration::from_str(text).map_err(|error| misfit(pointer, error.to_string()))
}

fn choice<T: DeserializeOwned + Default>(
    pointer: &str,
    text: Option<&str>,
    known: &[&str],
) -> Result<T, Problem> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_value(Value::from(text)).map_err(|_| {
        let message = match nearest(text, known.iter().copied()) {
            Some(near) => format!("`{text}` is not known; did you mean `{near}`?"),
            None => format!("`{text}` is none of {}", known.join(", ")),
        };
        misfit(pointer, message)
    })
}

fn misfit(pointer: &str, message: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", "the body does not fit")
        .errors(vec![Fault { pointer: pointer.to_owned(), message }])
}

pub(super) fn schedule(schedule: &Schedule) -> wire::Schedule {
    let Schedule { spec, position, .. } = schedule;
    let (cron, timezone, every, at) = match &spec.when {
        When::Cron { expression, timezone } => {
            (Some(expression.clone()), Some(timezone.clone()), None, None)
        }
        When::Every(period) => (None, None, Some(period.to_string()), None),
        When::At(at) => (None, None, None, Some(time::text(*at))),
    };
    let origin = match spec.origin {
        Origin::Request => "request",
        Origin::Definition { .. } => "definition",
        Origin::Once { .. } => "once",
    };
    wire::Schedule {
        id: schedule.id.clone(),
        workflow: spec.workflow.clone(),
        version: spec.version.clone(),
        cron,
        timezone,
        every,
        at,
        catch_up: name(spec.policy.catch_up),
        window: spec.policy.window.map(|it| it.to_string()),
        overlap: name(spec.policy.overlap),
        jitter: spec.policy.jitter.map(|it| it.to_string()),
        input: spec.input.clone(),
        labels: spec.labels.clone(),
        priority: spec.priority,
        paused: spec.is_paused,
        origin: origin.to_owned(),
        actor: spec.actor.clone(),
        created_at: time::text(spec.created_at),
        next: position.next.filter(|_| !spec.is_paused).map(time::text),
        zones: Some(position.zones.clone()).filter(|it| !it.is_empty()),
        moved: position.moved.as_ref().map(|it| wire::ScheduleMoved {
            at: time::text(it.at),
            zones_before: it.zones_before.clone(),
            zones: it.zones.clone(),
            next_before: it.next_before.map(time::text),
            next: it.next.map(time::text),
        }),
        statistics: wire::ScheduleStatistics {
            started: position.started,
            skipped: position.skipped,
            missed: position.missed,
            failed: position.failed,
            queued: position.queued.len() as u64,
            last: position.last.as_ref().map(|it| wire::ScheduleStart {
                run: it.run.to_string(),
                slot: it.slot.map(time::text),
                at: time::text(it.at),
                late_ms: it.late_ms,
            }),
            error: position.error.clone(),
        },
    }
}

pub(super) fn upcoming(upcoming: &Upcoming, when: &When) -> wire::UpcomingSlot {
    let zone = match when {
        When::Cron { timezone, .. } => jiff::tz::db().get(timezone).unwrap_or(TimeZone::UTC),
        When::Every(_) | When::At(_) => TimeZone::UTC,
    };
    let slot = i64::try_from(upcoming.slot).ok();
    let slot = slot.and_then(|it| jiff::Timestamp::from_millisecond(it).ok()).unwrap_or_default();
    wire::UpcomingSlot {
        slot: time::text(upcoming.slot),
        local: slot.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        starts_at: time::text(upcoming.starts_at),
    }
}

pub(super) fn backfill(done: schedules::Backfill, dry_run: bool) -> wire::Backfill {
    let items = done.slots.into_iter().map(|it| wire::BackfilledSlot {
        slot: time::text(it.slot),
        run: it.run.map(|it| it.to_string()),
        error: it.error,
    });
    wire::Backfill { dry_run, items: items.collect() }
}

/// Returns the name of a choice, as it is written.
fn name(choice: impl Serialize) -> String {
    let value = serde_json::to_value(choice).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
