//! Makes and migrates the schema: numbered, forward only, each step in one transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use surefoot_core::ids::Digest;

use super::failure::{Attempt, Failure};
use crate::Error;

/// "SRFT": what `file` and SQLite itself see in the header.
pub const APPLICATION_ID: i32 = 0x5352_4654;

/// One step. The text of a released step never changes: its checksum is kept in each store.
pub struct Migration {
    pub version: u32,
    pub sql: &'static str,
}

pub const MIGRATIONS: &[Migration] = &[Migration { version: 1, sql: include_str!("schema_1.sql") }];

/// Returns the schema that this program writes.
pub fn newest(migrations: &[Migration]) -> u32 {
    migrations.last().map_or(0, |it| it.version)
}

pub fn version(connection: &Connection) -> Attempt<u32> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings an older store to the newest schema. A step that fails leaves the store as it was.
pub fn migrate(
    connection: &mut Connection,
    location: &str,
    migrations: &[Migration],
) -> Attempt<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            version INTEGER PRIMARY KEY, checksum BLOB NOT NULL, applied_at TEXT NOT NULL) STRICT",
    )?;
    for migration in migrations {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read inside the transaction: another process may have been here in the meantime.
        if migration.version <= version(&transaction)? {
            same_text(&transaction, location, migration)?;
            continue;
        }
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO migrations (version, checksum, applied_at)
             VALUES (?, ?, strftime('%FT%TZ', 'now'))",
            params![migration.version, Digest::of(migration.sql.as_bytes()).as_bytes()],
        )?;
        transaction.pragma_update(None, "user_version", migration.version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn same_text(connection: &Connection, location: &str, migration: &Migration) -> Attempt<()> {
    let checksum: Option<[u8; 32]> = connection
        .query_row(
            "SELECT checksum FROM migrations WHERE version = ?",
            [migration.version],
            |row| row.get(0),
        )
        .optional()?;
    if checksum == Some(*Digest::of(migration.sql.as_bytes()).as_bytes()) {
        return Ok(());
    }
    Err(Failure::Refused(Error::Unusable {
        location: location.to_owned(),
        reason: format!("its schema {} was made by another program text", migration.version),
        hint: "Use a released version of surefoot; a development version may have made this store."
            .to_owned(),
    }))
}
