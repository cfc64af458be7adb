//! Names what a database refused. Messages are the database's own, which hold no parameters; the
//! details that may quote a row are left out.

use serde_json::{Map, Value, json};
use surefoot_core::task_error::TaskError;
use tokio_postgres::error::{DbError, ErrorPosition};

use super::marks::Statement;
use crate::kinds::bounded::cancelled;

pub(super) fn several() -> TaskError {
    TaskError::fatal("sql_multi", "`query` holds several statements: list them under `statements`")
}

/// Whoever could write there could make any history, and read what every run was given.
pub(super) fn store() -> TaskError {
    let message = "the database is a store of runs, which tasks may neither read nor change";
    TaskError::fatal("sql_denied", message)
}

pub(super) fn wrong_marks(wanted: usize, given: usize) -> TaskError {
    TaskError::fatal("sql_binds", format!("the statement has {wanted} marks, but {given} values"))
}

/// An error that is worth another attempt if `retryable`.
fn named(kind: &str, retryable: bool, message: &str, details: Value) -> TaskError {
    TaskError { retryable, details, ..TaskError::new(kind, message) }
}

/// The database cannot be reached, or has ended the session.
pub(super) const CONNECTION: &str = "sql_connection";

pub(super) fn postgres(error: &tokio_postgres::Error, statement: Option<&Statement>) -> TaskError {
    let Some(refusal) = error.as_db_error() else {
        return not_from_the_server(error);
    };
    let code = refusal.code().code();
    let details = details(refusal, statement);
    let (kind, retryable) = match (code, &code[..2]) {
        ("57014", _) => return cancelled(),
        ("42601", _) if statement.is_some_and(|it| it.has_more) => return several(),
        ("42601", _) => ("sql_syntax", false),
        ("42P01", _) => ("sql_missing_table", false),
        ("42501", _) | (_, "28") => ("sql_auth", false),
        (_, "42") => ("sql_invalid", false),
        ("3D000", _) => ("sql_database", false),
        ("25006", _) => ("sql_denied", false),
        (_, "23") => ("sql_constraint", false),
        (_, "22") => ("sql_data", false),
        ("40001", _) => ("sql_serialization", true),
        ("40P01", _) => ("sql_deadlock", true),
        ("55P03", _) => ("sql_locked", true),
        ("57P01" | "57P02" | "57P03" | "53300", _) | (_, "08") => (CONNECTION, true),
        _ => ("sql_error", true),
    };
    named(kind, retryable, refusal.message(), details)
}

fn details(refusal: &DbError, statement: Option<&Statement>) -> Value {
    let mut details = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), value);
        }
    };
    set("code", Some(refusal.code().code().into()));
    set("constraint", refusal.constraint().map(Value::from));
    set("table", refusal.table().map(Value::from));
    set("column", refusal.column().map(Value::from));
    set("hint", refusal.hint().map(Value::from));
    if let (Some(ErrorPosition::Original(position)), Some(statement)) =
        (refusal.position(), statement)
    {
        // The server counts characters from 1.
        let nth = (*position as usize).saturating_sub(1);
        let offset =
            statement.sql.char_indices().nth(nth).map_or(statement.sql.len(), |(at, _)| at);
        set("position", Some(statement.position(offset).into()));
    }
    Value::Object(details)
}

fn not_from_the_server(error: &tokio_postgres::Error) -> TaskError {
    let cause = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
    let message = format!("{error}{cause}");
    // What a value cannot be turned into shows no earlier than when it is bound or read.
    if message.contains("serializ") {
        return named("sql_data", false, &message, Value::Null);
    }
    named(CONNECTION, true, &message, Value::Null)
}

pub(super) fn sqlite(error: &rusqlite::Error, statement: Option<&Statement>) -> TaskError {
    use rusqlite::ErrorCode;
    if let rusqlite::Error::MultipleStatement = error {
        return several();
    }
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, Some(text)) => (Some(code), text.clone()),
        rusqlite::Error::SqliteFailure(code, None) => (Some(code), error.to_string()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error), msg.clone()),
        other => (None, other.to_string()),
    };
    let mut details = json!({});
    if let rusqlite::Error::SqlInputError { offset, .. } = error
        && let (Some(statement), Ok(offset)) = (statement, usize::try_from(*offset))
    {
        details["position"] = statement.position(offset).into();
    }
    let Some(code) = code else {
        return named("sql_data", false, &message, Value::Null);
    };
    details["code"] = code.extended_code.into();
    let (kind, retryable) = match code.code {
        ErrorCode::OperationInterrupted => return cancelled(),
        ErrorCode::ConstraintViolation => ("sql_constraint", false),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ("sql_locked", true),
        ErrorCode::TooBig | ErrorCode::TypeMismatch => ("sql_data", false),
        ErrorCode::ReadOnly => ("sql_denied", false),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            ("sql_auth", false)
        }
        ErrorCode::CannotOpen => (CONNECTION, true),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => ("sql_corrupt", false),
        ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory => {
            ("sql_storage", true)
        }
        _ if message.starts_with("no such table") => ("sql_missing_table", false),
        _ if message.contains("syntax error") || message.contains("incomplete input") => {
            ("sql_syntax", false)
        }
        _ if message.contains("too many attached") => ("sql_denied", false),
        // All other complaints about a statement's text.
        ErrorCode::Unknown => ("sql_invalid", false),
        _ => ("sql_error", true),
    };
    named(kind, retryable, &message, details)
}
