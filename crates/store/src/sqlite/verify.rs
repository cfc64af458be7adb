//! Checks everything in a store that can be checked.

use rusqlite::Connection;
use surefoot_core::ids::{Digest, RunId};

use super::checksum;
use super::failure::Attempt;
use super::items as item_rows;
use super::rows::{self, DEFINITION_COLUMNS, RUN_COLUMNS, loaded, run_id};
use crate::Damage;

/// Findings of one kind that are listed; a file that is damaged all over has thousands.
const FINDINGS_MAX: usize = 100;

const RESTORE: &str = "Restore the store from a backup.";

/// Adds what it finds; an error is a finding as well.
type Check = fn(&Connection, &mut Vec<Damage>) -> Attempt<()>;

pub fn verify(connection: &Connection) -> Vec<Damage> {
    let mut findings = Vec::new();
    let checks: [Check; 11] = [
        file,
        records,
        gaps,
        index,
        rows,
        rows_without_journal,
        journals_without_row,
        payloads,
        definitions,
        items,
        unclaimed,
    ];
    for check in checks {
        let mut found = Vec::new();
        // A check that cannot go on has found damage too, and the others may find more.
        if let Err(failure) = check(connection, &mut found) {
            found.push(damage(failure.reason(), None));
        }
        findings.extend(found);
    }
    findings
}

fn damage(what: String, run: Option<RunId>) -> Damage {
    Damage { what, run, hint: RESTORE.to_owned() }
}

/// Adds a finding, and says whether to look for more.
fn add(found: &mut Vec<Damage>, what: String, run: Option<RunId>) -> bool {
    found.push(damage(what, run));
    found.len() < FINDINGS_MAX
}

fn file(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = format!("PRAGMA integrity_check({FINDINGS_MAX})");
    let mut statement = connection.prepare(&sql)?;
    let mut lines = statement.query([])?;
    while let Some(row) = lines.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.push(damage(format!("the file: {line}"), None));
        }
    }
    Ok(())
}

fn records(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let mut statement = connection.prepare("SELECT run, seq, checksum, body FROM journal")?;
    let mut records = statement.query([])?;
    while let Some(row) = records.next()? {
        let (run, seq) = (run_id(row, 0)?, loaded(row.get(1)?));
        let body = row.get_ref(3)?.as_blob().unwrap_or_default();
        if row.get::<_, i64>(2)? != checksum::of_record(run, seq, body)
            && !add(found, format!("record {seq} fails its checksum"), Some(run))
        {
            break;
        }
    }
    Ok(())
}

fn gaps(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let mut statement = connection.prepare(
        "SELECT run, count(*), max(seq) + 1, min(seq) FROM journal GROUP BY run
         HAVING count(*) <> max(seq) + 1 OR min(seq) <> 0",
    )?;
    let mut gaps = statement.query([])?;
    while let Some(row) = gaps.next()? {
        let (there, expected): (i64, i64) = (row.get(1)?, row.get(2)?);
        let what = format!("the journal has gaps: {there} records of {expected}");
        if !add(found, what, Some(run_id(row, 0)?)) {
            break;
        }
    }
    Ok(())
}

/// A record without its entry would not be found, and neither would one with a wrong entry.
fn index(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = "SELECT DISTINCT entry.run
               FROM journal_index AS entry LEFT JOIN journal ON journal.pos = entry.pos
               WHERE (journal.run, journal.seq) IS NOT (entry.run, entry.seq)";
    each_run(connection, sql, "the index does not match the journal", found)?;
    // With every entry right, as many entries as records are one for each.
    let (entries, records): (i64, i64) = connection.query_row(
        "SELECT (SELECT count(*) FROM journal_index),
                (SELECT count(*) FROM journal WHERE pos <= (SELECT pos FROM indexed))",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if entries != records {
        add(found, format!("the index has {entries} entries for {records} records"), None);
    }
    Ok(())
}

fn rows(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let mut statement = connection.prepare(&format!("SELECT {RUN_COLUMNS} FROM runs"))?;
    let mut runs = statement.query([])?;
    while let Some(row) = runs.next()? {
        if let Err(failure) = rows::run_row(row)
            && !add(found, failure.reason(), run_id(row, 0).ok())
        {
            break;
        }
    }
    Ok(())
}

fn rows_without_journal(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = "SELECT id FROM runs WHERE id NOT IN (SELECT run FROM journal WHERE seq = 0)";
    each_run(connection, sql, "the run has a row and no journal", found)
}

/// An unended run is loaded through its row.
fn journals_without_row(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = "SELECT run FROM journal WHERE seq = 0
               AND NOT EXISTS (SELECT 1 FROM runs WHERE id = run)";
    each_run(connection, sql, "the run has a journal and no row: nothing will wake it", found)
}

fn payloads(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let mut statement = connection.prepare("SELECT hash, body FROM payloads")?;
    let mut payloads = statement.query([])?;
    while let Some(row) = payloads.next()? {
        let hash = rows::digest(row, 0)?;
        if Digest::of(row.get_ref(1)?.as_blob().unwrap_or_default()) != hash
            && !add(found, format!("payload {hash} has another content"), None)
        {
            break;
        }
    }
    let sql = "SELECT DISTINCT run FROM payload_refs
               WHERE NOT EXISTS (SELECT 1 FROM payloads WHERE hash = payload_refs.hash)";
    each_run(connection, sql, "a payload of the run is missing", found)
}

fn definitions(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = format!("SELECT {DEFINITION_COLUMNS} FROM definitions");
    let mut statement = connection.prepare(&sql)?;
    let mut definitions = statement.query([])?;
    while let Some(row) = definitions.next()? {
        if let Err(failure) = rows::definition_row(row) {
            found.push(damage(failure.reason(), None));
        }
    }
    Ok(())
}

fn items(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    item_rows::verify(connection, |what| add(found, what, None))
}

/// Whoever claims a shard loads its runs; nobody loads those of a shard that is never claimed.
fn unclaimed(connection: &Connection, found: &mut Vec<Damage>) -> Attempt<()> {
    let sql = "SELECT id FROM runs WHERE activity < 2
               AND NOT EXISTS (SELECT 1 FROM shards WHERE shard = runs.shard)";
    each_run(connection, sql, "the run's shard has no owner: nothing will wake it", found)
}

fn each_run(
    connection: &Connection,
    sql: &str,
    what: &str,
    found: &mut Vec<Damage>,
) -> Attempt<()> {
    let mut statement = connection.prepare(sql)?;
    let mut runs = statement.query([])?;
    while let Some(row) = runs.next()? {
        if !add(found, what.to_owned(), Some(run_id(row, 0)?)) {
            break;
        }
    }
    Ok(())
}
