//! `surefoot schedule`: what the clock starts. Asks the server that is named, or else this very
//! process, which then opens the store: the answers are the same.

mod next;

use serde_json::{Value, json};
use surefoot_client::segment;

use super::answers::Server;
use crate::arguments::{AddSchedule, Schedule, ScheduleAction};
use crate::exit::Exit;
use crate::failure::Result;
use crate::input;
use crate::output::time::now;
use crate::output::{Table, style};
use crate::session::{Session, wait};

/// Schedules that one request lists.
const PAGE: u32 = 500;

pub fn schedule(session: &Session, arguments: Schedule) -> Result<Exit> {
    if let ScheduleAction::Next(it) = &arguments.action
        && let Some(offline) = next::offline(session, it)?
    {
        return Ok(offline);
    }
    wait(async {
        let server = Server::open(session).await?;
        let done = carry_out(session, &server, arguments.action).await;
        server.close().await?;
        done
    })
}

async fn carry_out(session: &Session, server: &Server, action: ScheduleAction) -> Result<Exit> {
    let path = |id: &str| format!("/v1/schedules/{}", segment(id));
    match action {
        ScheduleAction::Ls { workflow } => return list(session, server, workflow).await,
        ScheduleAction::Next(it) => {
            let id = it.what.as_deref().unwrap_or_default();
            let found = server.get(&format!("{}/next?n={}", path(id), it.count)).await?;
            return next::tell(session, &found);
        }
        ScheduleAction::Add(it) => {
            let (at, body) = (path(&it.id), asked(it)?);
            let made = server.send("PUT", &at, Some(&body)).await?;
            show(session, &made)?;
        }
        ScheduleAction::Rm { id } => {
            server.send("DELETE", &path(&id), None).await?;
            session.output.say(format!("removed {id}"));
        }
        ScheduleAction::Show { id } => show(session, &server.get(&path(&id)).await?)?,
        ScheduleAction::Pause { id } => {
            show(session, &server.post(&format!("{}/pause", path(&id)), json!({})).await?)?;
        }
        ScheduleAction::Resume { id } => {
            show(session, &server.post(&format!("{}/resume", path(&id)), json!({})).await?)?;
        }
        ScheduleAction::Trigger { id } => {
            let run = server.post(&format!("{}/trigger", path(&id)), json!({})).await?;
            let name = text(&run["id"]);
            match session.output.is_for_people() {
                true => session.output.text(&format!("started {name}\n"))?,
                false => session.output.value(&run, &name)?,
            }
        }
        ScheduleAction::Backfill { id, from, to, dry_run } => {
            let body = json!({"from": from, "to": to, "dry_run": dry_run});
            let done = server.post(&format!("{}/backfill", path(&id)), body).await?;
            return backfilled(session, &done);
        }
    }
    Ok(Exit::Ok)
}

fn asked(it: AddSchedule) -> Result<Value> {
    let input = it.input.as_deref().map(input::json).transpose()?;
    let fields = [
        ("workflow", Some(Value::from(it.workflow))),
        ("cron", it.when.cron.map(Value::from)),
        ("timezone", it.when.tz.map(Value::from)),
        ("every", it.when.every.map(Value::from)),
        ("at", it.at.map(Value::from)),
        ("catch_up", it.catch_up.map(Value::from)),
        ("window", it.window.map(Value::from)),
        ("overlap", it.overlap.map(Value::from)),
        ("jitter", it.jitter.map(Value::from)),
        ("input", input),
        ("paused", it.paused.then_some(Value::Bool(true))),
    ];
    let said = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(Value::Object(said.collect()))
}

async fn list(session: &Session, server: &Server, workflow: Option<String>) -> Result<Exit> {
    let filter = workflow.map(|it| format!("&workflow={}", segment(&it))).unwrap_or_default();
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/v1/schedules?limit={PAGE}{filter}{cursor}")).await?;
        found.extend(page["items"].as_array().into_iter().flatten().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", segment(next)),
            None => break,
        }
    }
    if !session.output.is_for_people() {
        let named: Vec<_> = found.into_iter().map(|it| (text(&it["id"]), it)).collect();
        session.output.list(&named)?;
        return Ok(Exit::Ok);
    }
    if found.is_empty() {
        session.output.say("no schedules; add one, or deploy a workflow with `triggers`");
        return Ok(Exit::Ok);
    }
    let mut table =
        Table::new(&["ID", "WORKFLOW", "WHEN", "NEXT", "STARTED", "SKIPPED", "MISSED", "FAILED"]);
    for it in &found {
        let did = &it["statistics"];
        let mut cells =
            vec![text(&it["id"]), text(&it["workflow"]), when(it), next_of(session, it)];
        cells.extend(["started", "skipped", "missed", "failed"].map(|name| text(&did[name])));
        table.row(style::NAME, cells);
    }
    session.output.text(&table.print(None))?;
    Ok(Exit::Ok)
}

fn show(session: &Session, schedule: &Value) -> Result<()> {
    if !session.output.is_for_people() {
        return session.output.value(schedule, &text(&schedule["id"]));
    }
    let did = &schedule["statistics"];
    let last = match &did["last"] {
        Value::Null => "none yet".to_owned(),
        last => {
            format!("{} at {}, {} ms late", text(&last["run"]), text(&last["at"]), last["late_ms"])
        }
    };
    let counts = ["started", "skipped", "missed", "failed", "queued"]
        .map(|name| format!("{} {name}", did[name]))
        .join(", ");
    let rows = [
        ("schedule", text(&schedule["id"])),
        ("workflow", text(&schedule["workflow"])),
        ("when", when(schedule)),
        ("next", next_of(session, schedule)),
        ("zones", text(&schedule["zones"])),
        ("moved", moved(&schedule["moved"])),
        ("catch up", text(&schedule["catch_up"])),
        ("overlap", text(&schedule["overlap"])),
        ("slots", counts),
        ("last run", last),
        ("error", text(&did["error"])),
    ];
    let said = rows.iter().filter(|(_, value)| !value.is_empty());
    let lines = said.map(|(name, value)| {
        format!("{} {value}\n", style::paint(style::HEADING, format!("{name:<10}")))
    });
    session.output.text(&lines.collect::<String>())
}

fn backfilled(session: &Session, done: &Value) -> Result<Exit> {
    let items = done["items"].as_array().map_or(&[][..], Vec::as_slice);
    let failed = items.iter().any(|it| !it["error"].is_null());
    if !session.output.is_for_people() {
        session.output.value(done, "")?;
    } else {
        let mut table = Table::new(&["SLOT", "RUN"]);
        for it in items {
            let outcome = match (it["run"].as_str(), it["error"].as_str()) {
                (Some(run), _) => run.to_owned(),
                (None, Some(error)) => error.to_owned(),
                (None, None) => "would be started".to_owned(),
            };
            table.row(style::NAME, vec![text(&it["slot"]), outcome]);
        }
        session.output.text(&table.print(None))?;
        session.output.say(format!("{} slots", items.len()));
    }
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

/// Says when in a few words: `0 2 * * * Europe/London`, `every 10s`, `at 2027-…`.
fn when(schedule: &Value) -> String {
    let said = |name: &str| schedule[name].as_str();
    match (said("cron"), said("every"), said("at")) {
        (Some(cron), ..) => format!("{cron} {}", said("timezone").unwrap_or("UTC")),
        (_, Some(every), _) => format!("every {every}"),
        (.., at) => format!("at {}", at.unwrap_or_default()),
    }
}

/// Tells that a new database of time zones moved the next run.
fn moved(moved: &Value) -> String {
    if moved.is_null() {
        return String::new();
    }
    let next = |name: &str| moved[name].as_str().unwrap_or("never").to_owned();
    format!(
        "from {} to {} by zones {} after {}, noticed at {}",
        next("next_before"),
        next("next"),
        text(&moved["zones"]),
        text(&moved["zones_before"]),
        text(&moved["at"])
    )
}

fn next_of(session: &Session, schedule: &Value) -> String {
    if schedule["paused"] == true {
        return "paused".to_owned();
    }
    let next = schedule["next"].as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok());
    let next = next.and_then(|it| u64::try_from(it.as_millisecond()).ok());
    next.map_or_else(|| "never".to_owned(), |it| session.output.time.instant(it, now()))
}

/// Writes a scalar without quotes; nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
