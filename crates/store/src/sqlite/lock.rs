//! The lock that keeps a second owner away from a store. The kernel gives it back when the process
//! ends, however it ends, so there is no stale lock to remove by hand.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What the lock file says about its holder.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    program: String,
    since: String,
}

impl Lock {
    pub fn take(database: &Path, program: &str) -> Result<Lock> {
        let path = lock_path(database);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked_by(database, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
        }
        // The lock is held whatever the file says; on a full disk it says nothing.
        if let Err(error) = describe(&mut file, program) {
            tracing::warn!(path = %path.display(), %error, "cannot write the lock's holder");
        }
        Ok(Lock { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn describe(file: &mut File, program: &str) -> std::io::Result<()> {
    let holder = Holder { pid: std::process::id(), program: program.to_owned(), since: now() };
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(&holder)?)
}

/// Returns the time as RFC 3339. SQLite knows the calendar already.
fn now() -> String {
    Connection::open_in_memory()
        .and_then(|it| it.query_row("SELECT strftime('%FT%TZ', 'now')", [], |row| row.get(0)))
        .unwrap_or_default()
}

fn locked_by(database: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    let holder = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    let Holder { pid, program, since } = holder.unwrap_or(Holder {
        pid: 0,
        program: "unknown".to_owned(),
        since: "an unknown time".to_owned(),
    });
    Error::Locked { location: database.display().to_string(), pid, program, since }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::Unusable {
        location: path.display().to_string(),
        reason: format!("the lock file cannot be taken: {error}"),
        hint: "Check the permissions of the directory, and that its file system supports locks."
            .to_owned(),
    }
}
