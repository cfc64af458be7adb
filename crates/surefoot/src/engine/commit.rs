//! What is on its way to the store, and what follows when it has arrived.

use std::sync::Arc;

use surefoot_core::ids::{Digest, RunId};
use surefoot_core::run::{Effect, Record, RunStatus};
use surefoot_store::{Append, LogLine, Outcome, Pending};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::remote::{LeaseError, Settled};
use super::request::{CommandError, RunView, StartError};

/// Decisions that go to the store together.
#[derive(Default)]
pub(super) struct Batch {
    pub appends: Vec<Append>,
    pub followers: Vec<Follower>,
    pub logs: Vec<LogLine>,
    /// Who asked for what was so already. They are told once what made it so is durable.
    pub confirmations: Vec<Reply>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.logs.is_empty() && self.confirmations.is_empty()
    }
}

/// A batch that the store has and has not answered yet. The appends are shared with it, because a
/// store that could not write anything is asked again.
pub(super) struct Committing {
    pub appends: Arc<[Append]>,
    pub followers: Vec<Follower>,
    pub confirmations: Vec<Reply>,
    pub outcome: Pending<Vec<Outcome>>,
    pub tries: u32,
    /// When it was handed over for the first time.
    pub since: Instant,
}

/// What to do when one decision is durable.
pub(super) struct Follower {
    pub run: RunId,
    pub effects: Vec<Effect>,
    pub record: Arc<Record>,
    pub status: RunStatus,
    pub reply: Reply,
}

/// A start is durable.
pub(super) enum Begun {
    /// As it was in its first record.
    New(Box<RunView>),
    /// It was started before with the same key.
    Before(RunId),
}

/// Who waits for the decision.
pub(super) enum Reply {
    Nobody,
    Command(oneshot::Sender<Result<(), CommandError>>),
    Start {
        reply: oneshot::Sender<Result<Begun, StartError>>,
        key: Option<String>,
        body: Option<Digest>,
    },
    /// The result of a worker.
    Settled {
        reply: oneshot::Sender<Result<Settled, LeaseError>>,
        settled: Settled,
    },
    /// An entry of the inbox.
    Inbox(i64),
}
