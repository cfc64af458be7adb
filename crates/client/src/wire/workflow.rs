//! Definitions: checked, kept, shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that a check says about a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// `error`, `warning` or `note`.
    pub severity: String,
    pub code: String,
    pub message: String,
    pub help: Option<String>,
    pub line: u32,
    pub column: u32,
    /// What happens, step by step, where that is known.
    pub trace: Vec<String>,
}

/// A property that the verifier looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proof {
    pub code: String,
    pub property: String,
    /// What it is about; empty for the whole.
    pub subject: String,
    /// `proved`, `refuted` or `unknown`.
    pub verdict: String,
}

/// The answer to a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checked {
    /// Whether the source could be deployed.
    pub accepted: bool,
    pub workflow: Option<String>,
    pub version: Option<String>,
    pub hash: Option<String>,
    pub findings: Vec<Finding>,
    pub proofs: Vec<Proof>,
    /// The graph as Mermaid text; nothing if the source was refused.
    pub graph: Option<String>,
}

/// One version of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workflow {
    pub workflow: String,
    pub version: String,
    /// Hash of the source; the `ETag`.
    pub hash: String,
    pub created_at: String,
    pub actor: String,
    /// Whether new runs take this version unless they name another.
    pub active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A JSON Schema; nothing if any input is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// A version that was deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployed {
    pub workflow: String,
    pub version: String,
    pub hash: String,
    /// Whether this content was there before.
    pub unchanged: bool,
    /// Warnings and notes.
    pub findings: Vec<Finding>,
    /// Tasks that came, went or changed since the version before.
    pub changes: Vec<String>,
    /// Runs of earlier versions that have not ended; they stay on theirs.
    pub staying: Vec<Staying>,
}

/// What differs between two versions of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionDiff {
    pub workflow: String,
    pub from: String,
    pub to: String,
    /// A line for each task that came (`+`), went (`-`), changed (`~`) or does something else (`!`).
    pub changes: Vec<String>,
    /// By task or state of the older version, what keeps a run that stands there from going on with
    /// the newer one. Runs keep their version; this is for who moves one by a fork.
    pub stuck: std::collections::BTreeMap<String, Vec<String>>,
}

/// Runs that stay on an earlier version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Staying {
    pub version: String,
    pub runs: u64,
}

/// Counts of the runs of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowStatistics {
    pub workflow: String,
    pub by_status: std::collections::BTreeMap<String, u64>,
    /// Of the last ended runs, in milliseconds.
    pub took_ms_p50: Option<u64>,
    pub took_ms_p95: Option<u64>,
    /// How many runs the figures are of.
    pub sample: u64,
}
