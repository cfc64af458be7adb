//! What every backend must hold: each promise of [`Store`] is one function, and
//! [`conformance_suite!`](crate::conformance_suite) makes each of them one test, so that a backend
//! that fails says which promise it breaks.

#![expect(clippy::unwrap_used, reason = "a broken promise is a panic")]

mod aside;
mod care;
mod following;
mod items;
mod journal;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use surefoot_core::ids::{Digest, RunId};

pub use aside::*;
pub use care::*;
pub use following::*;
pub use items::*;
pub use journal::*;
pub use runs::*;

use crate::row::*;
use crate::{Owner, Store};

/// A backend under test.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Returns an empty store.
    async fn fresh(&self) -> Arc<dyn Store>;
    /// Closes a store and opens again what it kept. A backend that keeps nothing returns it as is.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

/// Makes a test of each promise. Takes an expression that makes a [`Fixture`].
#[macro_export]
macro_rules! conformance_suite {
    ($fixture:expr) => {
        $crate::conformance_suite! { $fixture;
            unknown_run_is_empty
            append_needs_the_expected_count
            refused_append_writes_nothing
            decisions_of_a_batch_are_independent
            batches_keep_the_order_of_calls
            dropped_append_is_carried_out
            one_of_racing_writers_wins
            claim_fences_the_owner_before
            epochs_grow_for_ever
            shards_do_not_share_epochs
            appended_records_survive
            newest_snapshot_shortens_the_load
            records_are_paged
            any_bytes_are_a_record
            row_is_kept_as_it_was_given
            row_update_is_seen_at_once
            second_insert_and_lone_update_change_nothing
            key_is_taken_once_for_a_workflow
            runs_are_filtered
            runs_are_paged_newest_first
            runs_are_tallied
            ids_are_found_by_prefix
            active_runs_are_paged_oldest_first
            idle_runs_come_due
            end_of_a_child_wakes_its_parent
            keyed_runs_are_unended
            version_names_one_definition
            definitions_come_newest_first
            payloads_are_kept_once
            logs_are_followed
            logs_are_fenced
            inbox_is_answered_once
            decision_answers_the_inbox
            items_are_kept_as_given
            items_are_guarded_by_what_is_expected
            items_are_written_together_or_not_at_all
            item_writes_keep_their_order
            one_of_racing_item_writers_wins
            items_are_paged_by_key
            items_have_limits
            a_follower_misses_no_record
            journal_is_paged
            logs_of_all_runs_are_followed
            gc_gives_no_position_again
            info_counts
            gc_removes_only_old_ended_runs
            gc_removes_only_the_workflow_and_statuses_asked_for
            gc_removes_one_run_alone_and_only_when_it_has_ended
            gc_is_bounded
            gc_keeps_shared_payloads
            verify_finds_nothing_in_a_whole_store
            verify_finds_lost_runs
            close_is_idempotent
        }
    };
    ($fixture:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::conformance::$promise(&$fixture).await;
            }
        )*
    };
}

/// Returns an id that is newer the larger `number` is.
pub fn run_id(number: u64) -> RunId {
    RunId::new(1_700_000_000_000 + number, u128::from(number))
}

/// Returns the row of a run that has just begun.
pub fn row(run: RunId) -> RunRow {
    RunRow {
        id: run,
        shard: 0,
        workflow: "order".to_owned(),
        version: "1".to_owned(),
        definition: Digest::of(b"order"),
        key: None,
        key_body: None,
        status: "running".to_owned(),
        activity: Activity::Active,
        created_at: run.created_ms(),
        started_at: None,
        ended_at: None,
        priority: 0,
        actor: "test".to_owned(),
        parent: None,
        concurrency_key: None,
        labels: BTreeMap::new(),
        summary: None,
        done: 0,
        total: 3,
    }
}

pub fn update(status: &str, activity: Activity) -> RowUpdate {
    RowUpdate {
        status: status.to_owned(),
        activity,
        started_at: None,
        ended_at: None,
        summary: None,
        done: 0,
        total: 3,
    }
}

/// Returns the first append of a run.
pub fn begin(row: RunRow) -> Append {
    let change = RowChange::Insert(Box::new(row.clone()));
    Append { row: Some(change), ..Append::record(row.id, 0, b"begin".to_vec()) }
}

/// Returns an append that changes the run's row.
pub fn change(run: RunId, expected: u64, update: RowUpdate) -> Append {
    Append {
        row: Some(RowChange::Update(update)),
        ..Append::record(run, expected, b"change".to_vec())
    }
}

/// Returns the appends of a run that begins and ends.
pub fn ended(run: RunId, ended_at: u64) -> Vec<Append> {
    let end = RowUpdate { ended_at: Some(ended_at), ..update("completed", Activity::Ended) };
    vec![begin(row(run)), change(run, 1, end)]
}

async fn claimed(fixture: &dyn Fixture) -> (Arc<dyn Store>, Owner) {
    let store = fixture.fresh().await;
    let owner = store.claim(0).await.unwrap();
    (store, owner)
}

/// Appends what must be applied.
async fn apply(store: &dyn Store, owner: Owner, batch: Vec<Append>) {
    let expected = vec![Outcome::Applied; batch.len()];
    assert_eq!(store.append(owner, batch.into()).await.unwrap(), expected);
}
