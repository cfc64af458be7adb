//! Opens the file: says what is wrong with it before SQLite does, and sets what must be set.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::{Attempt, Failure};
use super::schema::{self, APPLICATION_ID, MIGRATIONS};
use crate::{Error, Result};

/// Older versions can lose committed writes when a checkpoint races a writer.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The log's file is cut back to this when it starts afresh.
const WAL_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Kibibytes of pages that one connection keeps.
const CACHE_KIB: u32 = 16 * 1024;
/// Statements that one connection keeps prepared; there are about fifty.
const STATEMENTS_MAX: usize = 64;

/// Opens a connection to a store that exists, with every setting but the schema's.
pub fn connection(path: &Path) -> Result<Connection> {
    connect(path).map_err(|failure| failure.at(&path.display().to_string()))
}

fn connect(path: &Path) -> Attempt<Connection> {
    // Without CREATE: a file that has vanished is an error, not a new store.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    Ok(connection)
}

pub fn configure(connection: &Connection) -> Attempt<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise some statements are planned anew whenever their parameters are bound, which costs
    // several times what they do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What is replaced or removed is written over: a run that is erased has left nothing behind.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = {WAL_BYTES_MAX};
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA temp_store = MEMORY;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;"
    ))?;
    Ok(())
}

/// Makes sure that a store of the newest schema is at `path`. The caller holds the lock.
pub fn prepare(path: &Path) -> Result<()> {
    check_version();
    let location = path.display().to_string();
    if !path.try_exists().map_err(|error| inaccessible(path, &error))? {
        create(path)?;
    }
    check_file(path)?;
    migrate(path).map_err(|failure| unusable_if_foreign(failure, &location))
}

fn migrate(path: &Path) -> Attempt<()> {
    let mut connection = connect(path)?;
    check_kind(&connection, path)?;
    schema::migrate(&mut connection, &path.display().to_string(), MIGRATIONS)
}

/// Makes sure that the store at `path` can be used without changing it.
pub fn check_existing(path: &Path) -> Result<()> {
    check_version();
    check_file(path)?;
    let location = path.display().to_string();
    check_migrated(path).map_err(|failure| unusable_if_foreign(failure, &location))
}

fn check_migrated(path: &Path) -> Attempt<()> {
    let version = check_kind(&connect(path)?, path)?;
    let newest = schema::newest(MIGRATIONS);
    if version == newest {
        return Ok(());
    }
    Err(Failure::Refused(unusable(
        path.display().to_string(),
        &format!("its schema is {version}, this program needs {newest}"),
        "Start the server or `surefoot run` once: the owner migrates the store.",
    )))
}

fn check_version() {
    let version = rusqlite::version_number();
    assert!(version >= SQLITE_VERSION_MIN, "SQLite {version} is too old: use the bundled one");
}

/// Makes an empty store under another name and moves it into place whole, so that no crash leaves
/// half a store, and an empty file is never mistaken for a new one.
fn create(path: &Path) -> Result<()> {
    let location = path.display().to_string();
    let parent = directory_of(path);
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    remove_if_there(&new).map_err(|error| inaccessible(&new, &error))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&new).map_err(|error| inaccessible(&new, &error))?;
    fill(&new).map_err(|failure| failure.at(&location))?;
    let moved = fs::rename(&new, path).and_then(|()| fs::File::open(&parent)?.sync_all());
    moved.map_err(|error| inaccessible(path, &error))
}

fn fill(path: &Path) -> Attempt<()> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA synchronous = FULL;"
    ))?;
    schema::migrate(&mut connection, &path.display().to_string(), MIGRATIONS)?;
    connection.execute_batch(
        "INSERT INTO meta (name, value) VALUES
            ('instance', lower(hex(randomblob(16)))),
            ('created_at', strftime('%FT%TZ', 'now'))",
    )?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    Ok(())
}

/// Makes the directory that the store and its lock are in.
pub fn prepare_directory(path: &Path) -> Result<()> {
    let directory = directory_of(path);
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory).map_err(|error| inaccessible(&directory, &error))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Names what SQLite would only call "unable to open database file".
fn check_file(path: &Path) -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|it| inaccessible(path, &it))?;
    let bytes = file.metadata().map_err(|error| inaccessible(path, &error))?.len();
    if bytes == 0 {
        return Err(unusable(
            path.display().to_string(),
            "the file is empty, and a store never is",
            "If it was never a store, remove it. Otherwise restore it from a backup.",
        ));
    }
    Ok(())
}

/// Refuses what is not ours and what is newer. Returns the schema's version.
fn check_kind(connection: &Connection, path: &Path) -> Attempt<u32> {
    let location = path.display().to_string();
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(Failure::Refused(unusable(
            location,
            "it is an SQLite database of another program",
            "Name another file for the store.",
        )));
    }
    let (version, newest) = (schema::version(connection)?, schema::newest(MIGRATIONS));
    if version > newest {
        return Err(Failure::Refused(unusable(
            location,
            &format!(
                "a newer version of surefoot made its schema {version}; this one knows {newest}"
            ),
            "Use the newer version. Nothing was changed.",
        )));
    }
    Ok(version)
}

pub fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Returns the name that a store is given when it is made.
pub fn instance(connection: &Connection) -> Attempt<String> {
    let sql = "SELECT value FROM meta WHERE name = 'instance'";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Makes sure that the file is the one that was opened before.
pub fn recognise(connection: &Connection, path: &Path, expected: &str) -> Attempt<()> {
    check_kind(connection, path)?;
    if instance(connection)? == expected {
        return Ok(());
    }
    Err(Failure::Refused(unusable(
        path.display().to_string(),
        "another store was put in its place while it was open",
        "Stop every process that uses it, then restart.",
    )))
}

/// The header is read by the first statement, which fails if there is none.
fn unusable_if_foreign(failure: Failure, location: &str) -> Error {
    match failure {
        Failure::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            not_a_database(location.to_owned())
        }
        other => other.at(location),
    }
}

fn not_a_database(location: String) -> Error {
    unusable(
        location,
        "the file is not an SQLite database, or its header is damaged",
        "Name another file for the store, or restore this one from a backup.",
    )
}

fn inaccessible(path: &Path, error: &std::io::Error) -> Error {
    let location = path.display().to_string();
    let (reason, hint) = match error.kind() {
        ErrorKind::NotFound => (
            "it does not exist",
            "Check the path, or run `surefoot dev` or `surefoot run` to make a store.",
        ),
        ErrorKind::IsADirectory => {
            ("it is a directory", "Name a file, such as store.db inside it.")
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            ("a part of the path is a file", "Check the path.")
        }
        ErrorKind::PermissionDenied => (
            "this user may not write it",
            "Check the owner and the mode of the file and its directory.",
        ),
        ErrorKind::ReadOnlyFilesystem => {
            ("the file system is read-only", "Mount it writable, or name another path.")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            return Error::Unavailable {
                location,
                reason: "the disk is full".to_owned(),
                hint: "Free some space, then start again.".to_owned(),
            };
        }
        _ => return unusable(location, &error.to_string(), "Check the path and the disk."),
    };
    unusable(location, reason, hint)
}

fn unusable(location: String, reason: &str, hint: &str) -> Error {
    Error::Unusable { location, reason: reason.to_owned(), hint: hint.to_owned() }
}

pub fn no_thread(location: &str, error: &std::io::Error) -> Error {
    unusable(
        location.to_owned(),
        &format!("no thread can be started: {error}"),
        "Check the limit of processes and threads of this user.",
    )
}

pub fn closed(location: &str) -> Error {
    Error::Unavailable {
        location: location.to_owned(),
        reason: "it was closed".to_owned(),
        hint: "Open it again.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_planned_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        configure(&connection).unwrap();
        schema::migrate(&mut connection, "test", MIGRATIONS).unwrap();
        let sql = "SELECT max(seq) FROM journal_index WHERE run = ?";
        for run in 0..10u8 {
            let mut statement = connection.prepare_cached(sql).unwrap();
            statement.query_row([[run; 16]], |_| Ok(())).unwrap();
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
