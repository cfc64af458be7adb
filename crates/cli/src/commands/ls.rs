//! `surefoot ls`: runs, workflows, and tasks that wait for people.

use std::time::Duration;

use serde_json::{Value, json};
use surefoot::core::ids::{RUN_ID_LEN, RunId};
use surefoot::core::source::nearest;
use surefoot::store::{RunFilter, RunRow};
use surefoot::{RunStatus, inspect};

use super::top::{self, Source};
use crate::arguments::{Listing, Ls};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::table::{bar, cut};
use crate::output::time::{iso, now, took};
use crate::output::{Table, style};
use crate::session::{Session, wait};

/// The shortest id that is shown, if that many letters tell runs apart.
const ID_LEN_MIN: usize = 10;
const BAR_WIDTH: u32 = 5;
const SUMMARY_LEN_MAX: usize = 32;
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

pub fn ls(session: &Session, arguments: &Ls) -> Result<Exit> {
    match arguments.what {
        Listing::Runs => wait(runs(session, arguments)),
        Listing::Workflows => wait(workflows(session)),
        Listing::Tasks => wait(super::task::list(session)),
    }
}

async fn runs(session: &Session, arguments: &Ls) -> Result<Exit> {
    let store = session.reader()?;
    let mut filter = filter(arguments.filter.as_deref().unwrap_or_default())?;
    filter.limit = arguments.limit;
    if let Some(cursor) = &arguments.cursor {
        filter.before = Some(inspect::resolve(&*store, cursor).await?);
    }
    if arguments.watch && session.output.is_for_people() {
        let source = Source { store, client: session.client()?, filter };
        let is_wide = session.output.is_wide();
        return top::watch(session, &source, |rows| table(session, rows, is_wide)).await;
    }
    let mut shown = None;
    loop {
        let rows = store.runs(&filter).await?;
        if shown.as_ref() != Some(&rows) {
            print(session, &rows, arguments)?;
        }
        if !arguments.watch {
            return Ok(Exit::Ok);
        }
        shown = Some(rows);
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn print(session: &Session, rows: &[RunRow], arguments: &Ls) -> Result<()> {
    if !session.output.is_for_people() {
        let list: Vec<_> = rows.iter().map(|it| (it.id.to_string(), json_of(it))).collect();
        return session.output.list(&list);
    }
    if rows.is_empty() {
        session.output.say("no runs; start one with `surefoot run FILE`");
        return Ok(());
    }
    let is_wide = session.output.is_wide();
    let width = (!is_wide).then_some(session.output.width);
    session.output.text(&table(session, rows, is_wide).print(width))?;
    if rows.len() as u32 == arguments.limit
        && let Some(last) = rows.last()
    {
        session.output.say(format!("{} shown; more: surefoot ls --cursor {}", rows.len(), last.id));
    }
    Ok(())
}

fn table(session: &Session, rows: &[RunRow], is_wide: bool) -> Table {
    let now = now();
    let length = if is_wide { RUN_ID_LEN } else { unique_length(rows) };
    let mut header = vec!["STATUS", "RUN", "WORKFLOW", "PROGRESS", "STARTED", "TOOK", "AT"];
    if is_wide {
        header.extend(["KEY", "ACTOR", "LABELS"]);
    }
    let mut table = Table::new(&header);
    for row in rows {
        let started = row.started_at.unwrap_or(row.created_at);
        let labels: Vec<String> =
            row.labels.iter().map(|(name, it)| format!("{name}={it}")).collect();
        let summary = row.summary.clone().unwrap_or_default();
        let mut cells = vec![
            row.status.clone(),
            row.id.to_string()[..length].to_owned(),
            format!("{}@{}", row.workflow, row.version),
            bar(row.done, row.total, BAR_WIDTH),
            session.output.time.instant(started, now),
            took(row.ended_at.unwrap_or(now).saturating_sub(started)),
            if is_wide { summary } else { cut(&summary, SUMMARY_LEN_MAX) },
        ];
        if is_wide {
            cells.extend([
                row.key.clone().unwrap_or_default(),
                row.actor.clone(),
                labels.join(" "),
            ]);
        }
        table.row(status(&row.status).map_or(style::SOFT, style::run), cells);
    }
    table
}

/// How many letters tell the shown runs apart.
fn unique_length(rows: &[RunRow]) -> usize {
    let mut ids: Vec<String> = rows.iter().map(|it| it.id.to_string()).collect();
    ids.sort();
    let common = |pair: &[String]| {
        pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count()
    };
    let longest = ids.windows(2).map(common).max().unwrap_or(0);
    (longest + 1).clamp(ID_LEN_MIN, RUN_ID_LEN)
}

pub fn status(word: &str) -> Option<RunStatus> {
    RunStatus::ALL.into_iter().find(|it| it.name() == word)
}

fn json_of(row: &RunRow) -> Value {
    json!({
        "id": row.id, "workflow": row.workflow, "version": row.version, "status": row.status,
        "key": row.key, "labels": row.labels, "priority": row.priority, "actor": row.actor,
        "parent": row.parent, "created_at": iso(row.created_at),
        "started_at": row.started_at.map(iso), "ended_at": row.ended_at.map(iso),
        "done": row.done, "total": row.total, "summary": row.summary,
    })
}

/// Reads `status:failed workflow:order label.x:y since:1h`.
fn filter(query: &str) -> Result<RunFilter> {
    let mut filter = RunFilter::default();
    for word in query.split_whitespace() {
        let Some((name, value)) = word.split_once(':') else {
            return Err(wrong(
                format!("`{word}` is not a filter: write name:value"),
                "Example: status:failed",
            ));
        };
        match name {
            "status" => filter
                .statuses
                .extend(value.split(',').map(known_status).collect::<Result<Vec<_>>>()?),
            "workflow" => filter.workflow = Some(value.to_owned()),
            "key" => filter.key = Some(value.to_owned()),
            "since" => filter.since = Some(since(value)?),
            "parent" => filter.parent = Some(parent(value)?),
            _ => match name.strip_prefix("label.") {
                Some(label) => {
                    filter.labels.insert(label.to_owned(), value.to_owned());
                }
                None => {
                    let known = ["status", "workflow", "key", "since", "parent", "label.NAME"];
                    let hint = nearest(name, known).map_or_else(
                        || format!("there are: {}", known.join(", ")),
                        |it| format!("did you mean `{it}`?"),
                    );
                    return Err(wrong(format!("there is no filter `{name}`"), &hint));
                }
            },
        }
    }
    Ok(filter)
}

fn known_status(word: &str) -> Result<String> {
    let known = RunStatus::ALL.map(RunStatus::name);
    if known.contains(&word) {
        return Ok(word.to_owned());
    }
    let hint = nearest(word, known).map_or_else(
        || format!("there are: {}", known.join(", ")),
        |it| format!("did you mean `{it}`?"),
    );
    Err(wrong(format!("there is no status `{word}`"), &hint))
}

fn since(text: &str) -> Result<u64> {
    let age: surefoot::core::time::Duration =
        text.parse().map_err(|error: surefoot::core::time::InvalidDuration| {
            wrong(error.to_string(), "Example: since:1h")
        })?;
    Ok(now().saturating_sub(age.as_millis()))
}

fn parent(text: &str) -> Result<RunId> {
    text.parse().map_err(|error: surefoot::core::ids::InvalidRunId| {
        wrong(error.to_string(), "Copy the whole id from `surefoot ls -o wide`.")
    })
}

fn wrong(message: String, hint: &str) -> Failure {
    Failure::new(Exit::Usage, "SF5004", message).hint(hint)
}

async fn workflows(session: &Session) -> Result<Exit> {
    let rows = session.reader()?.definitions(None).await?;
    if !session.output.is_for_people() {
        let value = |it: &surefoot::store::DefinitionRow| {
            let name = format!("{}@{}", it.workflow, it.version);
            let value = json!({"workflow": it.workflow, "version": it.version, "hash": it.hash,
                "created_at": iso(it.created_at), "actor": it.actor});
            (name, value)
        };
        session.output.list(&rows.iter().map(value).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["WORKFLOW", "VERSION", "HASH", "DEPLOYED"]);
    for row in &rows {
        let hash = row.hash.to_string()[..12].to_owned();
        let at = session.output.time.instant(row.created_at, now());
        table.row(style::NAME, vec![row.workflow.clone(), row.version.clone(), hash, at]);
    }
    if rows.is_empty() {
        session.output.say("no workflows; run one with `surefoot run FILE`");
    } else {
        session.output.text(&table.print(None))?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn filters_are_words() {
        let read = filter("status:failed,running workflow:order label.region:eu key:o-1").unwrap();
        assert_eq!(read.statuses, ["failed", "running"]);
        assert_eq!(read.workflow.as_deref(), Some("order"));
        assert_eq!(read.labels["region"], "eu");
        assert_eq!(read.key.as_deref(), Some("o-1"));
    }

    #[test]
    fn mistyped_filters_are_told() {
        let hint = |query: &str| filter(query).unwrap_err().hint.unwrap();
        assert_eq!(hint("status:faild"), "did you mean `failed`?");
        assert_eq!(hint("workflw:x"), "did you mean `workflow`?");
        assert!(hint("since:5").contains("since:1h"));
    }
}
