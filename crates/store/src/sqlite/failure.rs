//! What goes wrong inside SQLite, told as the errors of the store.

use rusqlite::ErrorCode;

use crate::Error;

/// Why a job or a read did not succeed, before the store's location is known.
#[derive(Debug)]
pub enum Failure {
    /// Refused before anything was written: the transaction goes on without it.
    Refused(Error),
    /// What was read contradicts itself.
    Damaged(String),
    Sqlite(rusqlite::Error),
}

pub type Attempt<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl Failure {
    /// Whether the surroundings are to blame and not the request: another try now, or a smaller
    /// one, would fail as well.
    pub fn is_environmental(&self) -> bool {
        let Failure::Sqlite(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
            )
        )
    }

    /// Whether a statement outside of a transaction may have happened although it failed.
    pub fn is_unknown(&self) -> bool {
        let Failure::Sqlite(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
    }

    pub fn reason(self) -> String {
        match self {
            Failure::Refused(error) => error.to_string(),
            Failure::Damaged(reason) => reason,
            Failure::Sqlite(error) => error.to_string(),
        }
    }

    pub fn at(self, location: &str) -> Error {
        match self {
            Failure::Refused(error) => error,
            Failure::Damaged(reason) => Error::Damaged { location: location.to_owned(), reason },
            Failure::Sqlite(error) => classify(location, &error),
        }
    }
}

pub fn classify(location: &str, error: &rusqlite::Error) -> Error {
    let location = location.to_owned();
    let unavailable = |location, reason: &str, hint: &str| Error::Unavailable {
        location,
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => unavailable(
            location,
            "the disk is full",
            "Free some space or run `surefoot store gc`; writes go on by themselves. Reads still work.",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => unavailable(
            location,
            "another process holds the file's write lock",
            "Look for a program that keeps a transaction open, such as an sqlite3 shell.",
        ),
        Some(ErrorCode::ReadOnly) => unavailable(
            location,
            "the file or its file system is read-only",
            "Check the permissions of the file and its directory, and that the mount is writable.",
        ),
        Some(ErrorCode::OperationInterrupted) => unavailable(
            location,
            "the read took too long and was stopped",
            "Ask for fewer rows, or narrow the filter.",
        ),
        Some(ErrorCode::CannotOpen) => unavailable(
            location,
            "the file cannot be opened",
            "Check that it was not moved, and the permissions of its directory.",
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Damaged { location, reason: error.to_string() }
        }
        Some(_) => unavailable(
            location,
            &error.to_string(),
            "Check the disk and the system's log, then restart.",
        ),
        // Not from SQLite itself: a value of another type than the schema says.
        None => Error::Damaged { location, reason: error.to_string() },
    }
}
