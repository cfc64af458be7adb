//! How long each part of the verifier took. The core has no clock: whoever wants to know lends one.

use std::time::Duration;

use super::finding::Proofs;

/// Tells the time since some moment in the past. Nothing is decided by it.
pub type Clock = fn() -> Duration;

/// A part of the verifier, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub name: &'static str,
    pub took: Duration,
}

/// Runs while the parts follow each other.
pub(super) struct Watch {
    clock: Option<Clock>,
    since: Duration,
}

impl Watch {
    pub fn start(clock: Option<Clock>) -> Watch {
        Watch { clock, since: clock.map_or(Duration::ZERO, |it| it()) }
    }

    /// Notes that a part has ended.
    pub fn lap(&mut self, name: &'static str, proofs: &mut Proofs) {
        let Some(clock) = self.clock else { return };
        let now = clock();
        proofs.stages.push(Stage { name, took: now.saturating_sub(self.since) });
        self.since = now;
    }
}
