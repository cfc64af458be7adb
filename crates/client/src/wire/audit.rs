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
