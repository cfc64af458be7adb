//! Subscriptions: lifecycle events that are sent out as CloudEvents.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for events to be sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutSubscription {
    /// Where events are sent: `http` or `https`.
    pub url: String,
    /// Such as `run.failed` or `task.*`; all if it is empty.
    #[serde(default)]
    pub types: Vec<String>,
    /// Ids of workflows; all that the caller may see if it is empty.
    #[serde(default)]
    pub workflows: Vec<String>,
    /// Signs what is sent. One is made up if it is missing and there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subscription {
    pub id: String,
    pub url: String,
    pub types: Vec<String>,
    pub workflows: Vec<String>,
    pub created_at: String,
    pub created_by: String,
    /// Shown only when it was just made up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// One event on its way to one receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    pub id: String,
    /// `pending`, `delivered` or `failed`.
    pub status: String,
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<String>,
    /// What the last attempt was answered, or why there was no answer.
    pub last_answer: Option<String>,
    pub created_at: String,
    pub delivered_at: Option<String>,
    /// The CloudEvent.
    pub event: Value,
}
