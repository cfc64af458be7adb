//! Promises of rows: lists, look-ups, and what finds a run again.

use std::collections::BTreeMap;

use surefoot_core::ids::{Digest, RunId};

use super::{Fixture, apply, begin, change, claimed, ended, row, run_id, update};
use crate::{Activity, Append, Outcome, RowUpdate, RunFilter, RunRow, Store};

/// Returns a filter that lets everything through.
pub(super) fn everything() -> RunFilter {
    RunFilter { limit: 1_000, ..RunFilter::default() }
}

async fn listed(store: &dyn Store, filter: RunFilter) -> Vec<RunId> {
    store.runs(&filter).await.unwrap().into_iter().map(|row| row.id).collect()
}

pub async fn row_is_kept_as_it_was_given(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let full = RunRow {
        key: Some("key \u{1F511} 'quoted' % _".to_owned()),
        key_body: Some(Digest::of(b"body")),
        activity: Activity::Idle { wake_at: Some(77) },
        started_at: Some(1),
        ended_at: Some(2),
        priority: -5,
        parent: Some(run_id(9)),
        concurrency_key: Some("account-1".to_owned()),
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        summary: Some("line".to_owned()),
        done: 2,
        total: u32::MAX,
        ..row(run_id(1))
    };
    let plain = row(run_id(2));
    apply(&*store, owner, vec![begin(full.clone()), begin(plain.clone())]).await;
    let store = fixture.reopen(store).await;
    assert_eq!(store.run(full.id).await.unwrap().as_ref(), Some(&full));
    assert_eq!(store.runs(&everything()).await.unwrap(), [plain, full]);
}

pub async fn row_update_is_seen_at_once(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    apply(&*store, owner, vec![begin(row(run))]).await;
    let end = RowUpdate {
        started_at: Some(10),
        ended_at: Some(20),
        summary: Some("card declined".to_owned()),
        done: 3,
        ..update("failed", Activity::Ended)
    };
    apply(&*store, owner, vec![change(run, 1, end.clone())]).await;
    let mut expected = row(run);
    expected.apply(&end);
    assert_eq!(store.runs(&everything()).await.unwrap(), [expected.clone()]);
    let store = fixture.reopen(store).await;
    assert_eq!(store.run(run).await.unwrap(), Some(expected));
}

pub async fn second_insert_and_lone_update_change_nothing(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    apply(&*store, owner, vec![begin(row(run))]).await;
    let again = RunRow { status: "other".to_owned(), ..row(run) };
    apply(&*store, owner, vec![Append { expected: 1, ..begin(again) }]).await;
    assert_eq!(store.run(run).await.unwrap(), Some(row(run)));
    let lone = change(run_id(2), 0, update("failed", Activity::Ended));
    apply(&*store, owner, vec![lone]).await;
    assert_eq!(store.run(run_id(2)).await.unwrap(), None);
}

pub async fn key_is_taken_once_for_a_workflow(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let keyed = |number, workflow: &str, body: &[u8]| RunRow {
        workflow: workflow.to_owned(),
        key: Some("k".to_owned()),
        key_body: Some(Digest::of(body)),
        ..row(run_id(number))
    };
    let batch = vec![
        begin(keyed(1, "order", b"one")),
        begin(keyed(2, "order", b"two")),
        begin(keyed(3, "refund", b"one")),
    ];
    let duplicate = Outcome::Duplicate { run: run_id(1), body: Some(Digest::of(b"one")) };
    let outcomes = store.append(owner, batch.into()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Applied, duplicate.clone(), Outcome::Applied]);
    let store = fixture.reopen(store).await;
    assert_eq!(store.run(run_id(2)).await.unwrap(), None);
    assert!(store.load(run_id(2)).await.unwrap().is_empty(), "a duplicate writes nothing");
    let late = store.append(owner, [begin(keyed(4, "order", b"three"))].into()).await.unwrap();
    assert_eq!(late, [duplicate]);
    let again = store.append(owner, [begin(keyed(1, "order", b"one"))].into()).await.unwrap();
    assert_eq!(again, [Outcome::Conflict { actual: 1 }], "the same run is no duplicate of itself");
}

pub async fn runs_are_filtered(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let label = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
    let rows = [
        row(run_id(1)),
        RunRow { workflow: "refund".to_owned(), labels: label("blue"), ..row(run_id(2)) },
        RunRow { status: "failed".to_owned(), labels: label("red"), ..row(run_id(3)) },
        RunRow { parent: Some(run_id(1)), key: Some("k".to_owned()), ..row(run_id(4)) },
    ];
    apply(&*store, owner, rows.into_iter().map(begin).collect()).await;
    let statuses = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    let cases: Vec<(RunFilter, &[u64])> = vec![
        (everything(), &[4, 3, 2, 1]),
        (RunFilter { workflow: Some("order".to_owned()), ..everything() }, &[4, 3, 1]),
        (RunFilter { statuses: statuses(&["failed"]), ..everything() }, &[3]),
        (RunFilter { statuses: statuses(&["failed", "running"]), ..everything() }, &[4, 3, 2, 1]),
        (RunFilter { statuses: statuses(&["lost"]), ..everything() }, &[]),
        (RunFilter { key: Some("k".to_owned()), ..everything() }, &[4]),
        (RunFilter { parent: Some(run_id(1)), ..everything() }, &[4]),
        (RunFilter { labels: label("red"), ..everything() }, &[3]),
        (RunFilter { labels: label("re"), ..everything() }, &[]),
        (RunFilter { since: Some(run_id(3).created_ms()), ..everything() }, &[4, 3]),
        (RunFilter { before: Some(run_id(3)), ..everything() }, &[2, 1]),
        (RunFilter { ids: Some((run_id(2), run_id(3))), ..everything() }, &[3, 2]),
        (RunFilter { limit: 2, ..everything() }, &[4, 3]),
        (RunFilter { limit: 0, ..everything() }, &[]),
        (
            RunFilter {
                workflow: Some("order".to_owned()),
                statuses: statuses(&["running"]),
                before: Some(run_id(4)),
                ..everything()
            },
            &[1],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().copied().map(run_id).collect();
        assert_eq!(listed(&*store, filter.clone()).await, expected, "{filter:?}");
    }
}

pub async fn runs_are_paged_newest_first(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    apply(&*store, owner, (1..=25).map(|number| begin(row(run_id(number)))).collect()).await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = listed(&*store, RunFilter { before, limit: 10, ..everything() }).await;
        // A run that begins while somebody pages is newer than the cursor: it shifts nothing.
        apply(&*store, owner, vec![begin(row(run_id(100 + seen.len() as u64)))]).await;
        before = page.last().copied();
        seen.extend(page);
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().map(run_id).collect::<Vec<_>>());
}

pub async fn runs_are_tallied(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let id = |at: u64| RunId::new(at, at.into());
    let of = |at: u64, status: &str, activity: Activity| RunRow {
        status: status.to_owned(),
        activity,
        created_at: at,
        ..row(id(at))
    };
    let end = |at: u64, status: &str, ended_at: u64| RunRow {
        ended_at: Some(ended_at),
        ..of(at, status, Activity::Ended)
    };
    let rows = [
        of(10, "running", Activity::Idle { wake_at: None }),
        of(20, "running", Activity::Active),
        of(5, "paused", Activity::Idle { wake_at: Some(7) }),
        end(30, "completed", 90),
        end(40, "failed", 95),
        end(50, "completed", 60),
    ];
    apply(&*store, owner, rows.into_iter().map(begin).collect()).await;
    let store = fixture.reopen(store).await;
    let counts = |all: &[(&str, u64)]| -> BTreeMap<String, u64> {
        all.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect()
    };
    let tally = store.tally(61).await.unwrap();
    assert_eq!(tally.unended, counts(&[("running", 2), ("paused", 1)]));
    assert_eq!((tally.active, tally.oldest, tally.created), (1, Some(id(5)), 0));
    assert_eq!(tally.ended, counts(&[("completed", 1), ("failed", 1)]));
    assert_eq!(tally.took_ms, [55, 60], "the last to end first");
    let all = store.tally(0).await.unwrap();
    assert_eq!((all.created, all.ended.values().sum::<u64>()), (6, 3));
    let none = store.tally(u64::from(u32::MAX)).await.unwrap();
    assert_eq!((none.created, none.ended, none.took_ms), (0, BTreeMap::new(), Vec::new()));
}

pub async fn ids_are_found_by_prefix(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let ids = [RunId::new(1, 5), RunId::new(1, 6), RunId::new(u64::MAX, 7)];
    apply(&*store, owner, ids.iter().map(|id| begin(row(*id))).collect()).await;
    for id in ids {
        let whole = RunId::prefix_range(&id.to_string());
        assert_eq!(listed(&*store, RunFilter { ids: whole, ..everything() }).await, [id]);
        let prefix = RunId::prefix_range(&id.to_string()[..6]);
        let found = listed(&*store, RunFilter { ids: prefix, ..everything() }).await;
        assert_eq!(found.len(), if id == ids[2] { 1 } else { 2 });
    }
}

pub async fn active_runs_are_paged_oldest_first(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let mut batch: Vec<_> = (1..=5).map(|number| begin(row(run_id(number)))).collect();
    batch.push(begin(RunRow { shard: 1, ..row(run_id(6)) }));
    batch.push(change(run_id(3), 1, update("waiting", Activity::Idle { wake_at: None })));
    batch.extend(ended(run_id(7), 1));
    apply(&*store, owner, batch).await;
    let store = fixture.reopen(store).await;
    let first = store.active(0, None, 3).await.unwrap();
    assert_eq!(first, [run_id(1), run_id(2), run_id(4)]);
    assert_eq!(store.active(0, first.last().copied(), 3).await.unwrap(), [run_id(5)]);
    assert_eq!(store.active(1, None, 3).await.unwrap(), [run_id(6)]);
    assert!(store.active(2, None, 3).await.unwrap().is_empty());
}

pub async fn idle_runs_come_due(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let idle = |wake_at| update("waiting", Activity::Idle { wake_at });
    let mut batch = Vec::new();
    for (number, wake_at) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20))] {
        batch.push(begin(row(run_id(number))));
        batch.push(change(run_id(number), 1, idle(wake_at)));
    }
    apply(&*store, owner, batch).await;
    let store = fixture.reopen(store).await;
    assert!(store.due(0, 9, 10).await.unwrap().is_empty());
    assert_eq!(store.due(0, 20, 10).await.unwrap(), [(10, run_id(2)), (20, run_id(4))]);
    assert_eq!(store.due(0, u64::MAX, 1).await.unwrap(), [(10, run_id(2))], "soonest first");
    assert!(store.due(1, u64::MAX, 1).await.unwrap().is_empty(), "another shard");
    for (after, expected) in [(0, Some(10)), (10, Some(20)), (29, Some(30)), (30, None)] {
        assert_eq!(store.next_wake(0, after).await.unwrap(), expected, "after {after}");
    }
    apply(&*store, owner, vec![change(run_id(2), 2, update("running", Activity::Active))]).await;
    assert_eq!(store.next_wake(0, 0).await.unwrap(), Some(20), "who is awake is not woken");
}

pub async fn end_of_a_child_wakes_its_parent(fixture: &dyn Fixture) {
    for (activity, expected) in [
        (Activity::Idle { wake_at: None }, Activity::Idle { wake_at: Some(0) }),
        (Activity::Idle { wake_at: Some(99) }, Activity::Idle { wake_at: Some(0) }),
        (Activity::Active, Activity::Active),
        (Activity::Ended, Activity::Ended),
    ] {
        let (store, owner) = claimed(fixture).await;
        let (parent, child) = (run_id(1), run_id(2));
        apply(&*store, owner, vec![begin(RunRow { activity, ..row(parent) })]).await;
        let wake = |append| Append { wake: Some(parent), ..append };
        apply(&*store, owner, ended(child, 5).into_iter().map(wake).collect()).await;
        let orphan = Append { wake: Some(run_id(77)), ..begin(row(run_id(3))) };
        apply(&*store, owner, vec![orphan]).await;
        let store = fixture.reopen(store).await;
        assert_eq!(store.run(parent).await.unwrap().unwrap().activity, expected, "{activity:?}");
        let due = store.due(0, 0, 10).await.unwrap();
        assert_eq!(due.len(), usize::from(matches!(activity, Activity::Idle { .. })));
    }
}

pub async fn keyed_runs_are_unended(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let keyed =
        |number| RunRow { concurrency_key: Some("account".to_owned()), ..row(run_id(number)) };
    let batch = vec![
        begin(keyed(2)),
        begin(keyed(1)),
        begin(row(run_id(3))),
        begin(keyed(4)),
        change(run_id(2), 1, update("waiting", Activity::Idle { wake_at: None })),
        change(run_id(4), 1, update("failed", Activity::Ended)),
    ];
    apply(&*store, owner, batch).await;
    let store = fixture.reopen(store).await;
    let found: Vec<_> = store.keyed(0).await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(found, [run_id(1), run_id(2)]);
    assert!(store.keyed(1).await.unwrap().is_empty());
}
