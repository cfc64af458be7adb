//! The audit log.

use serde::{Deserialize, Serialize};

/// One change that somebody asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    pub at: String,
    pub actor: String,
    /// The method and the route, such as `POST /v1/runs/{id}/cancel`.
    pub action: String,
    /// The path that was called.
    pub target: String,
    pub reason: Option<String>,
    /// `accepted` or `refused`.
    pub outcome: String,
    pub status: u16,
    pub request_id: String,
    /// A hash over this entry and the `chain` of the one before it.
    pub chain: String,
}

/// Whether the log is as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditCheck {
    pub intact: bool,
    /// Entries that follow from each other.
    pub entries: u64,
    /// Entries that were removed because their time was over.
    pub removed: u64,
    /// The hash of the last entry that was looked at.
    pub chain: String,
    /// The number of the first entry that does not follow; the first one ever has 0.
    pub broken_at: Option<u64>,
    pub why: Option<String>,
}
