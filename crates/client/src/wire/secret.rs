//! Secrets that a server keeps, sealed. Their values go in and never come out.

use serde::{Deserialize, Serialize};

/// Sets a secret.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// At most 16 KiB. Shown nowhere, and blotted out of what tasks give back.
    pub value: String,
}

impl std::fmt::Debug for PutSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PutSecret")
    }
}

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Secret {
    /// As definitions have it: `secrets.NAME`.
    pub name: String,
    pub set_at: String,
    pub set_by: String,
    /// The id of the key that it is sealed with.
    pub key: String,
}
