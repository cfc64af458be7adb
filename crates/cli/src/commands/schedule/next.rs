//! `surefoot schedule next`: when runs start, in the zone and in UTC, with a word where the clocks
//! are changed.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};
use surefoot::core::check::CheckContext;
use surefoot::core::plan::TriggerPlan;
use surefoot::core::schedule::{CalendarMistake, When};
use surefoot::core::time::{Duration, Millis};

use super::text;
use crate::arguments::NextSlots;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::time::{iso, now};
use crate::output::{Table, problem, style};
use crate::project::Source;
use crate::session::Session;

/// Answers without a store and a server; nothing if a schedule is named.
pub(super) fn offline(session: &Session, arguments: &NextSlots) -> Result<Option<Exit>> {
    let whens = match &arguments.what {
        Some(what) if Path::new(what).is_file() => of_file(session, Path::new(what))?,
        Some(_) => return Ok(None),
        None => vec![of_flags(arguments)?],
    };
    for when in &whens {
        if session.output.is_for_people() && whens.len() > 1 {
            session.output.text(&format!("{}\n", style::paint(style::HEADING, told(when))))?;
        }
        tell(session, &slots(when, arguments)?)?;
    }
    Ok(Some(Exit::Ok))
}

fn of_flags(arguments: &NextSlots) -> Result<When> {
    if let Some(expression) = &arguments.when.cron {
        let timezone = arguments.when.tz.clone().unwrap_or_else(|| "UTC".to_owned());
        return Ok(When::Cron { expression: expression.clone(), timezone });
    }
    let every = arguments.when.every.as_deref().unwrap_or_default();
    let period: Duration = every.parse().map_err(|error| {
        Failure::new(Exit::Usage, "SF1025", format!("--every: {error}")).hint("Write it like 10s.")
    })?;
    Ok(When::Every(period))
}

fn of_file(session: &Session, path: &Path) -> Result<Vec<When>> {
    let source = Source::read(path, &CheckContext::default())?;
    if source.documents.iter().any(|it| it.plan.is_none()) {
        session.output.say(problem::draw(&source, session.output.width).trim_end());
        let message = format!("{} is rejected", path.display());
        return Err(Failure::new(Exit::Rejected, "SF5002", message).hint("Mend it first."));
    }
    let plans = source.documents.iter().filter_map(|it| it.plan.as_ref());
    let whens = plans.flat_map(|it| &it.triggers).filter_map(|it| match it {
        TriggerPlan::Schedule { when, .. } => Some(when.clone()),
        TriggerPlan::Webhook { .. } | TriggerPlan::Event { .. } => None,
    });
    let whens: Vec<When> = whens.collect();
    if whens.is_empty() {
        session.output.say(format!("{} has no trigger of the clock", path.display()));
    }
    Ok(whens)
}

/// Lists slots as the server does.
fn slots(when: &When, arguments: &NextSlots) -> Result<Value> {
    let calendar = when.calendar().map_err(mistake)?;
    let zone = zone(when);
    let from = match &arguments.from {
        Some(text) => instant(text, &zone)?,
        None => now(),
    };
    // The instant itself is asked for, too.
    let slots = calendar.slots(from.saturating_sub(1)).take(arguments.count.into());
    let items = slots.map(|slot| {
        let local = stamp(slot).to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        json!({"slot": iso(slot), "local": local, "starts_at": iso(slot)})
    });
    Ok(json!({"items": items.collect::<Vec<_>>()}))
}

fn zone(when: &When) -> TimeZone {
    match when {
        When::Cron { timezone, .. } => jiff::tz::db().get(timezone).unwrap_or(TimeZone::UTC),
        When::Every(_) | When::At(_) => TimeZone::UTC,
    }
}

/// Reads an instant, or the beginning of a day.
fn instant(text: &str, zone: &TimeZone) -> Result<Millis> {
    let day = || text.parse::<Date>().ok()?.to_zoned(zone.clone()).ok();
    let found = text.parse::<Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
    found.and_then(|it| Millis::try_from(it.as_millisecond()).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, "SF1038", format!("--from: `{text}` is not an instant"))
            .hint("Write it like 2027-03-27T00:00:00Z, or 2027-03-27 for a day in the zone.")
    })
}

fn mistake(mistake: CalendarMistake) -> Failure {
    let message = mistake.to_string();
    match mistake {
        CalendarMistake::Cron { .. } => Failure::new(Exit::Usage, "SF4090", message)
            .hint("Five fields (minute, hour, day, month, day of the week) that some day matches."),
        CalendarMistake::UnknownZone { nearest, .. } => {
            let failure = Failure::new(Exit::Usage, "SF4091", message);
            match nearest {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("Write a name of the IANA database, such as Europe/London."),
            }
        }
        CalendarMistake::TooOften(_) => Failure::new(Exit::Usage, "SF4092", message)
            .hint("What repeats faster is a loop inside of a workflow, not a schedule."),
    }
}

/// Writes slots: local time, UTC, and where the clocks are changed.
pub(super) fn tell(session: &Session, slots: &Value) -> Result<Exit> {
    if !session.output.is_for_people() {
        session.output.value(slots, "")?;
        return Ok(Exit::Ok);
    }
    let items = slots["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        session.output.say("it never starts again");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["LOCAL", "UTC", ""]);
    let mut before: Option<Offset> = None;
    for it in items {
        let (local, slot) = (text(&it["local"]), text(&it["slot"]));
        let offset = offset_of(&local);
        let word = match (before, offset) {
            (Some(before), Some(offset)) if before < offset => "the clocks went forward",
            (Some(before), Some(offset)) if before > offset => "the clocks went back",
            _ => "",
        };
        before = offset.or(before);
        table.row(style::NAME, vec![local, slot, word.to_owned()]);
    }
    session.output.text(&table.print(None))?;
    Ok(Exit::Ok)
}

/// Reads the offset at the end of an instant, such as `+01:00`.
fn offset_of(local: &str) -> Option<Offset> {
    let parsed = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(local).ok()?;
    match parsed.offset()? {
        jiff::fmt::temporal::PiecesOffset::Numeric(offset) => Some(offset.offset()),
        _ => None,
    }
}

fn told(when: &When) -> String {
    match when {
        When::Cron { expression, timezone } => format!("{expression} {timezone}"),
        When::Every(period) => format!("every {period}"),
        When::At(at) => format!("at {}", iso(*at)),
    }
}

fn stamp(at: Millis) -> Timestamp {
    i64::try_from(at).ok().and_then(|it| Timestamp::from_millisecond(it).ok()).unwrap_or_default()
}
