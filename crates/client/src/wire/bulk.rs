//! The same change to many runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is done to each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    Pause,
    Resume,
    Cancel,
    Kill,
    Retry,
}

/// Which runs: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BulkFilter {
    pub workflow: Option<String>,
    /// Any of these.
    pub status: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Only runs that were created since this instant.
    pub since: Option<String>,
}

/// Asks for a change of many runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewBulk {
    pub action: BulkAction,
    pub filter: BulkFilter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only says how many it would be, with a few of them.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change of many runs would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkPreview {
    pub count: u64,
    /// The first of them.
    pub sample: Vec<super::Run>,
}

/// A change of many runs that is under way, or done. The runs are those that fitted when it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkJob {
    pub id: String,
    pub action: BulkAction,
    pub reason: Option<String>,
    pub actor: String,
    /// `running`, `done` or `stopped`.
    pub status: String,
    pub total: u64,
    pub done: u64,
    /// How many of those done were refused.
    pub refused: u64,
    pub created_at: String,
}

/// What became of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkItem {
    pub run: String,
    /// `waiting`, `done` or `refused`.
    pub status: String,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
