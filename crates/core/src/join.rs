//! When a task with needs runs: the truth table, and nothing else.
//!
//! | join | runs when | is skipped when |
//! |---|---|---|
//! | `all_success` | all completed | all ended and one did not complete |
//! | `none_failed` | all ended, none failed, at least one completed | all ended otherwise |
//! | `any_success` | the first completes | all ended and none completed |
//! | `any_failed` | all ended and at least one failed | all ended and none failed |
//! | `all_done` | all ended | never |
//!
//! A join decides only from needs that have ended and never changes its mind. So the outcome of a
//! graph does not depend on the order in which its tasks happen to end.

use serde::{Deserialize, Serialize};

use crate::definition::Join;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

/// The needs of one task, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Needs that have not ended.
    pub waiting: u32,
    pub completed: u32,
    /// A cancelled need counts as failed: it did not do its work.
    pub failed: u32,
    pub skipped: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wait,
    Run,
    Skip(SkipCause),
}

/// Why a task was skipped. `decide` gives the first four; the others are the engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// A need failed or was cancelled.
    UpstreamFailed,
    /// A need was skipped, and none failed.
    UpstreamSkipped,
    /// `any_success`, and no need completed.
    NoSuccess,
    /// `any_failed`, and no need failed.
    NoFailure,
    /// Its `if` was false.
    Condition,
    /// The graph around it failed or was cancelled before it could start.
    Stopped,
    /// Somebody asked for it.
    ByHand,
}

impl Tally {
    /// Returns the tally of `needs` needs before any has ended.
    pub fn new(needs: u32) -> Tally {
        Tally { waiting: needs, ..Tally::default() }
    }

    /// Counts one need that has ended.
    pub fn record(&mut self, outcome: Outcome) {
        debug_assert!(self.waiting > 0, "more needs ended than there are");
        self.waiting = self.waiting.saturating_sub(1);
        match outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::Failed | Outcome::Cancelled => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    fn total(&self) -> u32 {
        self.waiting + self.completed + self.failed + self.skipped
    }
}

/// Says whether a task whose needs stand as `tally` may run.
pub fn decide(join: Join, tally: &Tally) -> Verdict {
    if tally.total() == 0 {
        // Without needs there is nothing to wait for, whatever the join.
        return Verdict::Run;
    }
    if join == Join::AnySuccess && tally.completed > 0 {
        return Verdict::Run;
    }
    if tally.waiting > 0 {
        return Verdict::Wait;
    }
    let upstream =
        if tally.failed > 0 { SkipCause::UpstreamFailed } else { SkipCause::UpstreamSkipped };
    let (runs, otherwise) = match join {
        Join::AllSuccess => (tally.failed == 0 && tally.skipped == 0, upstream),
        Join::NoneFailed => (tally.failed == 0 && tally.completed > 0, upstream),
        Join::AnySuccess => (tally.completed > 0, SkipCause::NoSuccess),
        Join::AnyFailed => (tally.failed > 0, SkipCause::NoFailure),
        Join::AllDone => (true, upstream),
    };
    if runs { Verdict::Run } else { Verdict::Skip(otherwise) }
}

/// Says whether a dependent with this join takes care of a failed need, so that the failure does
/// not fail the run.
pub fn accepts_failure(join: Join) -> bool {
    matches!(join, Join::AnyFailed | Join::AllDone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOINS: [Join; 5] =
        [Join::AllSuccess, Join::NoneFailed, Join::AnySuccess, Join::AnyFailed, Join::AllDone];
    const ENDS: [Option<Outcome>; 5] = [
        None,
        Some(Outcome::Completed),
        Some(Outcome::Failed),
        Some(Outcome::Skipped),
        Some(Outcome::Cancelled),
    ];

    /// The table of the design, read over a list of needs instead of counts.
    fn reference(join: Join, needs: &[Option<Outcome>]) -> Verdict {
        use Outcome::{Cancelled, Completed, Failed};
        let any = |wanted: Outcome| needs.contains(&Some(wanted));
        let failed = any(Failed) || any(Cancelled);
        let ended = needs.iter().all(Option::is_some);
        let upstream = Verdict::Skip(if failed {
            SkipCause::UpstreamFailed
        } else {
            SkipCause::UpstreamSkipped
        });
        match join {
            _ if needs.is_empty() => Verdict::Run,
            Join::AnySuccess if any(Completed) => Verdict::Run,
            _ if !ended => Verdict::Wait,
            Join::AnySuccess => Verdict::Skip(SkipCause::NoSuccess),
            Join::AllSuccess if needs.iter().all(|it| *it == Some(Completed)) => Verdict::Run,
            Join::AllSuccess => upstream,
            Join::NoneFailed if !failed && any(Completed) => Verdict::Run,
            Join::NoneFailed => upstream,
            Join::AnyFailed if failed => Verdict::Run,
            Join::AnyFailed => Verdict::Skip(SkipCause::NoFailure),
            Join::AllDone => Verdict::Run,
        }
    }

    fn tally(needs: &[Option<Outcome>]) -> Tally {
        let mut tally = Tally::new(needs.len() as u32);
        needs.iter().flatten().for_each(|it| tally.record(*it));
        tally
    }

    #[test]
    fn every_row_up_to_four_needs_is_as_the_table_says() {
        let mut rows = 0;
        for join in JOINS {
            for len in 0..=4u32 {
                for row in 0..5usize.pow(len) {
                    let needs: Vec<_> =
                        (0..len).map(|place| ENDS[row / 5usize.pow(place) % 5]).collect();
                    assert_eq!(
                        decide(join, &tally(&needs)),
                        reference(join, &needs),
                        "{join:?} {needs:?}"
                    );
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 5 * (1 + 5 + 25 + 125 + 625));
    }

    proptest! {
        #[test]
        fn a_join_never_changes_its_mind(
            join in proptest::sample::select(&JOINS[..]),
            ends in proptest::collection::vec(0..4usize, 0..40),
        ) {
            let mut tally = Tally::new(ends.len() as u32);
            let mut verdict = decide(join, &tally);
            for end in &ends {
                tally.record(ENDS[end + 1].expect("only the first is open"));
                let next = decide(join, &tally);
                prop_assert!(verdict == Verdict::Wait || verdict == next);
                verdict = next;
            }
            prop_assert_ne!(verdict, Verdict::Wait, "all ended, so it is decided");
        }

        #[test]
        fn the_order_in_which_needs_end_does_not_matter(
            join in proptest::sample::select(&JOINS[..]),
            ends in proptest::collection::vec(0..4usize, 0..12).prop_shuffle(),
        ) {
            let needs: Vec<_> = ends.iter().map(|it| ENDS[it + 1]).collect();
            let mut sorted = ends.clone();
            sorted.sort_unstable();
            let sorted: Vec<_> = sorted.iter().map(|it| ENDS[it + 1]).collect();
            prop_assert_eq!(decide(join, &tally(&needs)), decide(join, &tally(&sorted)));
        }
    }
}
