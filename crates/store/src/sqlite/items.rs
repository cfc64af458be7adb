//! Items: reading and writing the table of that name.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum;
use super::failure::{Attempt, Failure};
use super::rows::{loaded, stored};
use crate::item::{self, Item, ItemConflict, ItemWrite};

/// The columns that [`read`] reads.
const COLUMNS: &str = "collection, key, revision, checksum, body";

pub fn find(connection: &Connection, collection: &str, key: &str) -> Attempt<Option<Item>> {
    let sql = format!("SELECT {COLUMNS} FROM items WHERE collection = ? AND key = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([collection, key])?;
    found.next()?.map(read).transpose()
}

pub fn page(
    connection: &Connection,
    collection: &str,
    after: Option<&str>,
    limit: u32,
) -> Attempt<Vec<Item>> {
    // Two statements, each a range of the index; one with `OR` would look at every key.
    let (beyond, after) = after.map_or((">=", ""), |after| (">", after));
    let sql = format!(
        "SELECT {COLUMNS} FROM items WHERE collection = ? AND key {beyond} ? ORDER BY key LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query((collection, after, limit))?;
    let mut page = Vec::new();
    while let Some(row) = found.next()? {
        page.push(read(row)?);
    }
    Ok(page)
}

/// Writes all or, if an expectation does not hold, nothing.
pub fn write(
    connection: &Connection,
    writes: &[ItemWrite],
) -> Attempt<Result<Vec<u64>, ItemConflict>> {
    let planned = item::revisions(writes, |collection, key| revision(connection, collection, key))?;
    if let Ok(revisions) = &planned {
        for (write, revision) in writes.iter().zip(revisions) {
            write_one(connection, write, *revision)?;
        }
    }
    Ok(planned)
}

/// Calls `add` with what is wrong until it returns false.
pub fn verify(connection: &Connection, mut add: impl FnMut(String) -> bool) -> Attempt<()> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM items"))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if let Err(failure) = read(row)
            && !add(failure.reason())
        {
            break;
        }
    }
    Ok(())
}

fn revision(connection: &Connection, collection: &str, key: &str) -> Attempt<Option<u64>> {
    let revision = connection
        .prepare_cached("SELECT revision FROM items WHERE collection = ? AND key = ?")?
        .query_row([collection, key], |row| row.get(0))
        .optional()?;
    Ok(revision.map(loaded))
}

fn write_one(connection: &Connection, write: &ItemWrite, revision: u64) -> Attempt<()> {
    let ItemWrite { collection, key, expect: _, body } = write;
    let Some(body) = body else {
        connection
            .prepare_cached("DELETE FROM items WHERE collection = ? AND key = ?")?
            .execute([collection, key])?;
        return Ok(());
    };
    let revision = stored(revision);
    connection
        .prepare_cached(
            "INSERT INTO items (collection, key, revision, checksum, body)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (collection, key) DO UPDATE SET revision = ?3, checksum = ?4, body = ?5",
        )?
        .execute(params![
            collection,
            key,
            revision,
            checksum(collection, key, revision, body),
            body
        ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Attempt<Item> {
    let (collection, key): (String, String) = (row.get(0)?, row.get(1)?);
    let (revision, expected): (i64, i64) = (row.get(2)?, row.get(3)?);
    let body: Vec<u8> = row.get(4)?;
    if checksum(&collection, &key, revision, &body) != expected {
        return Err(Failure::Damaged(format!("item `{key}` of {collection} fails its checksum")));
    }
    Ok(Item { collection, key, revision: loaded(revision), body })
}

fn checksum(collection: &str, key: &str, revision: i64, body: &[u8]) -> i64 {
    let values = [
        ValueRef::Text(collection.as_bytes()),
        ValueRef::Text(key.as_bytes()),
        ValueRef::Integer(revision),
        ValueRef::Blob(body),
    ];
    checksum::of_values(values.into_iter())
}
