//! Why an attempt failed: the value that conditions see as `error`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In expressions: `error.type`, `error.message`, `error.status`, `error.details`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct TaskError {
    /// A short name in snake case that conditions can test, such as `timeout` or `http_status`.
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    /// False if another attempt cannot help (bad parameters, a refused file).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub retryable: bool,
    /// The HTTP status or exit code, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// The server asked to wait this long (`Retry-After`), in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// More, for people: a response body, the last lines of stderr.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl TaskError {
    /// An error that another attempt may cure.
    pub fn new(kind: &str, message: impl Into<String>) -> TaskError {
        TaskError {
            kind: kind.to_owned(),
            message: message.into(),
            retryable: true,
            status: None,
            retry_after_ms: None,
            details: Value::Null,
        }
    }

    /// An error that no further attempt can cure.
    pub fn fatal(kind: &str, message: impl Into<String>) -> TaskError {
        TaskError { retryable: false, ..TaskError::new(kind, message) }
    }
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}
