//! How it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How it stands with the runs that the caller may see, and with the workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    pub at: String,
    /// Runs that have not ended, by status.
    pub runs: BTreeMap<String, u64>,
    /// Those of them that only wait: for a person, a signal, a time, a sub-run.
    pub waiting: u64,
    /// The oldest run that has not ended, and when it was created.
    pub oldest: Option<String>,
    pub oldest_at: Option<String>,
    /// How far back `started`, `ended` and the durations look.
    pub window_seconds: u64,
    pub started: u64,
    /// By status.
    pub ended: BTreeMap<String, u64>,
    /// From creation to end, of the last of those that have ended, in milliseconds.
    pub took_ms_p50: Option<u64>,
    pub took_ms_p95: Option<u64>,
    /// Attempts that the server's own process makes at once, makes now, and would make.
    pub slots: u64,
    pub slots_taken: u64,
    pub slots_wanted: u64,
    /// What waits for workers, by capability.
    pub queues: Vec<QueueState>,
    /// By state: `connected`, `draining`, `lost`.
    pub workers: BTreeMap<String, u64>,
    /// Tasks that connected workers take at once, and those that they have.
    pub worker_slots: u64,
    pub worker_slots_taken: u64,
    pub store_bytes: u64,
}

/// How it stands with what one kind of worker executes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueState {
    /// The capability.
    pub queue: String,
    pub waiting: u64,
    pub oldest_seconds: f64,
    pub running: u64,
    pub workers: u32,
}
