//! Makes and migrates the schema: numbered, forward only, each step in one transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use surefoot_core::ids::Digest;

use super::failure::{Attempt, Failure};
use crate::Error;

/// "SRFT": what `file` and SQLite itself see in the header of a store, and how others tell it from
/// their databases.
pub const APPLICATION_ID: i32 = 0x5352_4654;

/// One step. The text of a released step never changes: its checksum is kept in each store.
#[derive(Clone, Copy)]
pub struct Migration {
    pub version: u32,
    pub sql: &'static str,
}

pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("schema_1.sql") },
    Migration { version: 2, sql: include_str!("schema_2.sql") },
];

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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const NEXT: &str =
        "ALTER TABLE runs ADD COLUMN note TEXT; CREATE INDEX runs_note ON runs (note);";

    /// Returns all steps and one more.
    fn steps(sql: &'static str) -> Vec<Migration> {
        let next = Migration { version: newest(MIGRATIONS) + 1, sql };
        MIGRATIONS.iter().copied().chain([next]).collect()
    }

    /// A store of some schema with a definition in it.
    fn old(migrations: &[Migration]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, "test", migrations).unwrap();
        connection
            .execute_batch(
                "INSERT INTO definitions VALUES (1, x'00', 'order', '1', 'text', 5, 'me', 0)",
            )
            .unwrap();
        connection
    }

    fn schema_text(connection: &Connection) -> String {
        let sql = "SELECT group_concat(sql, ';') FROM sqlite_schema";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn migrating_keeps_rows_and_counts_up() {
        let steps = steps(NEXT);
        for schema in 1..=MIGRATIONS.len() {
            let mut connection = old(&MIGRATIONS[..schema]);
            for _ in 0..2 {
                migrate(&mut connection, "test", &steps).unwrap();
                assert_eq!(version(&connection).unwrap(), newest(&steps));
            }
            let sql = "SELECT count(*) FROM definitions";
            let rows: u32 = connection.query_row(sql, [], |it| it.get(0)).unwrap();
            assert_eq!(rows, 1, "schema {schema}");
            assert!(schema_text(&connection).contains("runs_note"), "schema {schema}");
        }
    }

    /// Stops the last step after each of its statements in turn.
    #[test]
    fn a_step_that_fails_leaves_the_store_as_it_was() {
        for sql in [
            "this is not SQL",
            "ALTER TABLE runs ADD COLUMN note TEXT; this is not SQL",
            "DELETE FROM definitions; CREATE TABLE runs (id INTEGER)",
        ] {
            let mut connection = old(MIGRATIONS);
            let before = schema_text(&connection);
            migrate(&mut connection, "test", &steps(sql)).unwrap_err();
            assert_eq!(version(&connection).unwrap(), newest(MIGRATIONS), "{sql}");
            assert_eq!(schema_text(&connection), before, "{sql}");
            migrate(&mut connection, "test", &steps(NEXT)).unwrap();
        }
    }

    #[test]
    fn a_step_whose_text_has_changed_is_refused() {
        let mut connection = old(MIGRATIONS);
        let steps = [Migration { version: 1, sql: "SELECT 1" }];
        let failure = migrate(&mut connection, "test", &steps).unwrap_err();
        assert!(failure.reason().contains("schema 1"));
    }

    /// A released schema never changes; a change is a new step. Update the hash only before the
    /// first release.
    #[test]
    fn released_steps_are_frozen() {
        let hashes: Vec<_> = MIGRATIONS
            .iter()
            .map(|it| Digest::of(it.sql.as_bytes()).to_string()[..16].to_owned())
            .collect();
        assert_eq!(hashes, ["38ffc2b5b9557250", "9cdc21d0eca4716b"]);
    }
}
