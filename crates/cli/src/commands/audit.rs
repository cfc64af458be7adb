//! `surefoot audit`: who asked for which change, and whether the log of it is whole.

use serde_json::{Value, json};
use surefoot_client::{segment, wire};

use super::answers::Server;
use crate::arguments::{Audit, AuditAction};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Table, style};
use crate::session::{Session, wait};

/// Entries that one request lists.
const PAGE: u32 = 500;

pub fn audit(session: &Session, arguments: &Audit) -> Result<Exit> {
    wait(async {
        let server = Server::open(session).await?;
        let done = match arguments.action {
            None => list(session, &server, arguments).await,
            Some(AuditAction::Check) => check(session, &server).await,
        };
        server.close().await?;
        done
    })
}

async fn list(session: &Session, server: &Server, arguments: &Audit) -> Result<Exit> {
    let (entries, next) = entries(server, arguments).await?;
    if !session.output.is_for_people() {
        let list: Vec<_> = entries.iter().map(|it| (it.request_id.clone(), json!(it))).collect();
        session.output.list(&list)?;
    } else if entries.is_empty() {
        session.output.say("nobody has asked for a change");
    } else {
        let mut table = Table::new(&["AT", "ACTOR", "OUTCOME", "ACTION", "TARGET", "REASON"]);
        for it in entries {
            let outcome = format!("{} ({})", it.outcome, it.status);
            let reason = it.reason.unwrap_or_default();
            let cells = vec![it.at, it.actor, outcome, it.action, it.target, reason];
            table.row(style::NAME, cells);
        }
        session.output.text(&table.print(None))?;
    }
    if let Some(next) = next {
        session.output.say(format!("there are older ones: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

/// Returns the newest entries, and where the older ones begin.
async fn entries(
    server: &Server,
    arguments: &Audit,
) -> Result<(Vec<wire::AuditEntry>, Option<String>)> {
    let mut entries = Vec::new();
    let mut next = arguments.cursor.clone();
    loop {
        let limit = PAGE.min(arguments.limit - entries.len() as u32);
        let cursor = next.map_or_else(String::new, |it| format!("&cursor={}", segment(&it)));
        let page: wire::Page<wire::AuditEntry> =
            read(server.get(&format!("/v1/audit?limit={limit}{cursor}")).await?)?;
        entries.extend(page.items);
        next = page.next_cursor;
        if next.is_none() || entries.len() >= arguments.limit as usize {
            return Ok((entries, next));
        }
    }
}

async fn check(session: &Session, server: &Server) -> Result<Exit> {
    let found: wire::AuditCheck = read(server.get("/v1/audit/check").await?)?;
    if !session.output.is_for_people() {
        session.output.value(&json!(found), &found.chain)?;
        return Ok(if found.intact { Exit::Ok } else { Exit::Failed });
    }
    if found.intact {
        let wire::AuditCheck { entries, removed, chain, .. } = &found;
        session.output.text(&format!("whole: entries {entries}, removed in time {removed}\n"))?;
        session.output.say(format!("the newest is {chain}: keep it elsewhere to notice a cut"));
        return Ok(Exit::Ok);
    }
    let place = found.broken_at.unwrap_or_default();
    let why = found.why.unwrap_or_default();
    let message = format!("the audit log is not as it was written: entry {place}: {why}");
    Err(Failure::new(Exit::Failed, "SF5097", message)
        .hint(format!("The {} entries before it are as they were written.", found.entries)))
}

fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::new(Exit::Bug, "SF5094", format!("an answer cannot be read: {error}"))
    })
}
