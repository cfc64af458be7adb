//! Errors, as RFC 9457 has them.

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success (`application/problem+json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Names the kind of problem; `/errors/SF4012` on the server explains it.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// Such as `SF4012`; `surefoot help SF4012` explains it.
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Each fault in what was sent, where there may be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// Versions of the worker protocol that the server speaks, where it does not speak the one
    /// that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported: Vec<u32>,
}

/// One fault in what was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body; empty for the whole.
    pub pointer: String,
    pub message: String,
}
