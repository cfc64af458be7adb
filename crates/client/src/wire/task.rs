//! Tasks that wait for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An approval that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HumanTask {
    /// The run and the task's path, joined by `:`.
    pub id: String,
    pub run: String,
    pub workflow: String,
    pub task: String,
    pub prompt: String,
    /// Who may decide; anybody if both are empty.
    pub users: Vec<String>,
    pub groups: Vec<String>,
    /// How many have to agree.
    pub quorum: u32,
    /// A JSON Schema of the data that a decision brings.
    pub form: Option<Value>,
    pub votes: Vec<Vote>,
    pub since: String,
    /// When its time-out decides.
    pub due: Option<String>,
    /// When further people are asked.
    #[serde(default)]
    pub escalates_at: Option<String>,
    /// When that happened last; who had taken the task on before holds up nobody any more.
    #[serde(default)]
    pub escalated_at: Option<String>,
    /// Who has taken it on.
    pub claimed_by: Option<String>,
    /// Grows with every claim; the `ETag`.
    pub revision: u64,
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Vote {
    pub actor: String,
    pub approve: bool,
    pub comment: Option<String>,
    pub at: String,
}

/// Decides an approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Decision {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What the form asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Hands a task to somebody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reassign {
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Asks for a link that decides one task once, without a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Who decides with it, as the history will name them.
    pub actor: String,
    /// An instant in RFC 3339; a week from now if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A link that decides one task once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Link {
    /// The path on this server: whoever has it may decide.
    pub path: String,
    pub actor: String,
    pub expires_at: String,
}
