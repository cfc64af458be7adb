//! Tokens: who may call.

use serde::{Deserialize, Serialize};

/// What a caller may do; each role but the worker's includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes tasks and reports results; sees nothing else.
    Worker,
    /// Looks.
    Viewer,
    /// Starts and controls runs, decides what waits for people.
    Operator,
    /// Changes definitions and schedules.
    Deployer,
    /// Everything.
    Admin,
}

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Who acts, as the history and the audit log name them.
    pub name: String,
    pub role: Role,
    /// Only workflows of these namespaces; of all if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Groups whose approvals the holder may decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Only for workers: the capabilities that they may offer; all if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// An instant in RFC 3339; never if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeToken {
    /// Shown this once.
    pub token: String,
    pub name: String,
    pub role: Role,
}

/// A token as it is listed: never its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub namespaces: Option<Vec<String>>,
    pub groups: Vec<String>,
    pub capabilities: Option<Vec<String>>,
    pub created_at: String,
    pub created_by: String,
    pub expires_at: Option<String>,
}
