//! Promises of maintenance.

use surefoot_core::ids::Digest;

use super::runs::everything;
use super::{Fixture, apply, begin, claimed, ended, row, run_id};
use crate::{Append, Collected, Outcome, Retention, RowChange, RunRow};

pub async fn info_counts(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let mut batch = ended(run_id(1), 5);
    batch.push(begin(row(run_id(2))));
    batch.extend(ended(run_id(3), 6));
    apply(&*store, owner, batch).await;
    store.append_logs(owner, vec![super::aside::line(run_id(1), "a")]).await.unwrap();
    let store = fixture.reopen(store).await;
    let info = store.info().await.unwrap();
    assert_eq!((info.runs, info.records, info.log_lines), (3, 5, 1));
    assert_eq!(info.runs_by_status.get("completed"), Some(&2));
    assert_eq!(info.runs_by_status.get("running"), Some(&1));
}

pub async fn gc_removes_only_old_ended_runs(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let keyed = RunRow { key: Some("k".to_owned()), ..row(run_id(1)) };
    let mut batch = ended(run_id(1), 10);
    batch[0].row = Some(RowChange::Insert(Box::new(keyed.clone())));
    batch[1].logs = vec![super::aside::line(run_id(1), "gone")];
    batch[1].snapshot = Some(vec![1]);
    batch.extend(ended(run_id(2), 20));
    batch.push(begin(row(run_id(3))));
    apply(&*store, owner, batch).await;
    let retention = Retention::before(20, 100);
    let collected = store.gc(&retention).await.unwrap();
    assert_eq!((collected.runs, collected.records, collected.log_lines), (1, 2, 1));
    let store = fixture.reopen(store).await;
    let left: Vec<_> = store.runs(&everything()).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(left, [run_id(3), run_id(2)]);
    assert!(store.load(run_id(1)).await.unwrap().is_empty());
    assert!(store.logs(run_id(1), &super::aside::all_logs()).await.unwrap().is_empty());
    assert!(store.verify().await.unwrap().is_empty());
    let again = RunRow { id: run_id(4), ..keyed };
    let outcomes = store.append(owner, [begin(again)].into()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Applied], "a removed run gives its key back");
}

pub async fn gc_removes_only_the_workflow_and_statuses_asked_for(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let mut batch = ended(run_id(1), 10);
    let other = RunRow { workflow: "other".to_owned(), ..row(run_id(2)) };
    let mut others = ended(run_id(2), 10);
    others[0].row = Some(RowChange::Insert(Box::new(other)));
    batch.extend(others);
    apply(&*store, owner, batch).await;
    let asked = Retention { workflow: Some("other".to_owned()), ..Retention::before(20, 9) };
    let failed = Retention { statuses: vec!["failed".to_owned()], ..asked.clone() };
    assert_eq!(store.gc(&failed).await.unwrap().runs, 0, "it completed");
    let completed = Retention { statuses: vec!["completed".to_owned()], ..asked };
    assert_eq!(store.gc(&completed).await.unwrap().runs, 1);
    let left: Vec<_> = store.runs(&everything()).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(left, [run_id(1)]);
}

pub async fn gc_removes_one_run_alone_and_only_when_it_has_ended(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let mut batch: Vec<_> = (1..=3).flat_map(|it| ended(run_id(it), it)).collect();
    batch.push(begin(row(run_id(4))));
    apply(&*store, owner, batch).await;
    for (run, expected) in [(2, 1), (2, 0), (4, 0), (5, 0)] {
        let collected = store.gc(&Retention::only(run_id(run))).await.unwrap();
        assert_eq!(collected.runs, expected, "{run}");
    }
    let left: Vec<_> = store.runs(&everything()).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(left, [run_id(4), run_id(3), run_id(1)]);
}

pub async fn gc_is_bounded(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    apply(&*store, owner, (1..=5).flat_map(|it| ended(run_id(it), it)).collect()).await;
    let retention = Retention::before(100, 2);
    let mut rounds = Vec::new();
    for _ in 0..4 {
        rounds.push(store.gc(&retention).await.unwrap().runs);
    }
    assert_eq!(rounds, [2, 2, 1, 0]);
    let nothing = Collected { bytes_freed: 0, ..store.gc(&retention).await.unwrap() };
    assert_eq!(nothing, Collected::default());
}

pub async fn gc_keeps_shared_payloads(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let (shared, own) = (Digest::of(b"shared"), Digest::of(b"own"));
    let mut batch = ended(run_id(1), 5);
    batch[0].payloads = vec![(shared, b"shared".to_vec()), (own, b"own".to_vec())];
    let payloads = vec![(shared, b"shared".to_vec())];
    batch.push(Append { payloads, ..begin(row(run_id(2))) });
    apply(&*store, owner, batch).await;
    let collected = store.gc(&Retention::before(100, 9)).await.unwrap();
    assert_eq!((collected.runs, collected.payloads), (1, 1));
    assert_eq!(store.payload(shared).await.unwrap().as_deref(), Some(&b"shared"[..]));
    assert_eq!(store.payload(own).await.unwrap(), None);
}

pub async fn verify_finds_nothing_in_a_whole_store(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let mut batch = ended(run_id(1), 5);
    batch[0].payloads = vec![(Digest::of(b"body"), b"body".to_vec())];
    batch.push(begin(row(run_id(2))));
    apply(&*store, owner, batch).await;
    let store = fixture.reopen(store).await;
    assert_eq!(store.verify().await.unwrap(), []);
}

pub async fn verify_finds_lost_runs(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let rowless = Append::record(run_id(1), 0, b"a".to_vec());
    let ownerless = begin(RunRow { shard: 9, ..row(run_id(2)) });
    apply(&*store, owner, vec![rowless, ownerless]).await;
    let mut found: Vec<_> =
        store.verify().await.unwrap().into_iter().filter_map(|it| it.run).collect();
    found.sort_unstable();
    assert_eq!(found, [run_id(1), run_id(2)]);
}

pub async fn close_is_idempotent(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    apply(&*store, owner, vec![begin(row(run_id(1)))]).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let store = fixture.reopen(store).await;
    assert_eq!(store.load(run_id(1)).await.unwrap().len(), 1);
}
