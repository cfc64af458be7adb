//! `surefoot store`: what keeps the runs.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use surefoot::core::time;
use surefoot::inspect;
use surefoot::store::{Mode, Retention, SqliteStore, Store as _};

use super::authority::{self, Authority};
use crate::arguments::{Store, StoreAction};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::style;
use crate::output::time::{now, took};
use crate::session::{PROGRAM, Session, wait};

/// Runs that one call removes, so that others are not held up.
const GC_RUNS_AT_ONCE: u32 = 500;

pub fn store(session: &Session, arguments: Store) -> Result<Exit> {
    wait(async {
        match arguments.action {
            StoreAction::Info => info(session).await,
            StoreAction::Verify => verify(session).await,
            StoreAction::Backup { path } => backup(session, &path).await,
            StoreAction::Erase { run } => erase(session, &run).await,
            StoreAction::Gc { older_than, dry_run } => gc(session, &older_than, dry_run).await,
        }
    })
}

async fn info(session: &Session) -> Result<Exit> {
    let info = session.reader()?.info().await?;
    if !session.output.is_for_people() {
        let value = serde_json::to_value(&info).unwrap_or_default();
        session.output.value(&value, &info.location)?;
        return Ok(Exit::Ok);
    }
    let by_status: Vec<String> =
        info.runs_by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let rows = [
        ("store", format!("{} ({}, schema {})", info.location, info.backend, info.schema_version)),
        ("size", format!("{} and a log of {}", bytes(info.bytes), bytes(info.wal_bytes))),
        ("runs", format!("{} {}", info.runs, by_status.join(", "))),
        ("records", info.records.to_string()),
        ("payloads", info.payloads.to_string()),
        ("definitions", info.definitions.to_string()),
        ("log lines", info.log_lines.to_string()),
    ];
    let text: String = rows
        .iter()
        .map(|(name, value)| {
            format!("{} {}\n", style::paint(style::NAME, format!("{name:<12}")), value.trim())
        })
        .collect();
    session.output.text(&text)?;
    Ok(Exit::Ok)
}

async fn verify(session: &Session) -> Result<Exit> {
    let started = now();
    let found = session.reader()?.verify().await?;
    let failed = !found.is_empty();
    if !session.output.is_for_people() {
        let list: Vec<_> = found
            .iter()
            .map(|it| (it.what.clone(), serde_json::to_value(it).unwrap_or_default()))
            .collect();
        session.output.list(&list)?;
    } else {
        for damage in &found {
            let run = damage.run.map_or_else(String::new, |it| format!("run {it}: "));
            session
                .output
                .text(&format!("damaged: {run}{}\n  hint: {}\n", damage.what, damage.hint))?;
        }
    }
    let count = if failed {
        format!("{} found damaged", found.len())
    } else {
        "everything is in order".to_owned()
    };
    session.output.say(format!("{count} after {}", took(now().saturating_sub(started))));
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

async fn backup(session: &Session, path: &Path) -> Result<Exit> {
    if path.exists() {
        let message = format!("`{}` exists already", path.display());
        return Err(Failure::new(Exit::Conflict, "SF5016", message)
            .hint("Name a file that does not exist: a backup never overwrites."));
    }
    session.reader()?.backup(path).await?;
    let size = std::fs::metadata(path).map_or(0, |it| it.len());
    session.output.say(format!("wrote {} ({})", path.display(), bytes(size)));
    Ok(Exit::Ok)
}

async fn erase(session: &Session, run: &str) -> Result<Exit> {
    let authority = authority::authority(session).await?;
    let run = inspect::resolve(&*session.reader()?, run).await?;
    session.confirm(&format!("Erase run {run} with its inputs, outputs, history and logs?"))?;
    match authority {
        Authority::Server(client) => client.delete(&format!("/v1/runs/{run}")).await?,
        Authority::Here(engine) => {
            let erased = engine.erase(run).await;
            engine.stop(Duration::ZERO).await?;
            erased?;
        }
        Authority::Elsewhere { owner } => {
            let message = format!("erasing needs the store for itself: {owner}");
            return Err(Failure::new(Exit::Conflict, "SF5011", message)
                .hint("Name its server with --server, or stop the process that owns the store."));
        }
    }
    session.output.text(&format!("erased {run}\n"))?;
    Ok(Exit::Ok)
}

async fn gc(session: &Session, older_than: &str, dry_run: bool) -> Result<Exit> {
    let age: time::Duration = older_than.parse().map_err(|error: time::InvalidDuration| {
        Failure::new(Exit::Usage, "SF5004", error.to_string()).hint("Example: --older-than 30d")
    })?;
    let ended_before = now().saturating_sub(age.as_millis());
    if dry_run {
        let ended = ended_runs(session, ended_before).await?;
        session.output.text(&format!("{ended} runs would be removed\n"))?;
        return Ok(Exit::Ok);
    }
    session.confirm(&format!("Remove runs that ended more than {older_than} ago?"))?;
    let Some(path) = session.store_path() else { return Ok(Exit::Ok) };
    session.reader()?;
    let store = SqliteStore::open(&path, Mode::Owner { program: PROGRAM.to_owned() })?;
    let mut total = surefoot::store::Collected::default();
    loop {
        let some = store.gc(&Retention::before(ended_before, GC_RUNS_AT_ONCE)).await?;
        total.runs += some.runs;
        total.records += some.records;
        total.bytes_freed += some.bytes_freed;
        if some.runs < u64::from(GC_RUNS_AT_ONCE) {
            break;
        }
    }
    store.close().await?;
    if session.output.is_for_people() {
        let text = format!(
            "removed {} runs, {} records, {}\n",
            total.runs,
            total.records,
            bytes(total.bytes_freed)
        );
        session.output.text(&text)?;
    } else {
        session.output.value(&json!(total), "")?;
    }
    Ok(Exit::Ok)
}

/// Counts what `gc` would remove, a page at a time.
async fn ended_runs(session: &Session, ended_before: u64) -> Result<u64> {
    let store = session.reader()?;
    let mut filter = surefoot::store::RunFilter { limit: 1000, ..Default::default() };
    let mut count = 0;
    loop {
        let rows = store.runs(&filter).await?;
        count +=
            rows.iter().filter(|it| it.ended_at.is_some_and(|at| at < ended_before)).count() as u64;
        match rows.last() {
            Some(last) if rows.len() == 1000 => filter.before = Some(last.id),
            _ => return Ok(count),
        }
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
