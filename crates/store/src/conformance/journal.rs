//! Promises of records and owners.

use std::sync::Arc;

use super::{Fixture, apply, begin, claimed, row, run_id};
use crate::{Append, Error, Loaded, Outcome, Owner};

pub async fn unknown_run_is_empty(fixture: &dyn Fixture) {
    let (store, _) = claimed(fixture).await;
    assert_eq!(store.load(run_id(1)).await.unwrap(), Loaded::default());
    assert!(store.records(run_id(1), 0, 10).await.unwrap().is_empty());
    assert_eq!(store.run(run_id(1)).await.unwrap(), None);
}

pub async fn append_needs_the_expected_count(fixture: &dyn Fixture) {
    let (mut store, owner) = claimed(fixture).await;
    let run = run_id(1);
    for (expected, outcome) in [
        (1, Outcome::Conflict { actual: 0 }),
        (0, Outcome::Applied),
        (0, Outcome::Conflict { actual: 1 }),
        (2, Outcome::Conflict { actual: 1 }),
        (1, Outcome::Applied),
        (u64::MAX, Outcome::Conflict { actual: 2 }),
    ] {
        let append = Append::record(run, expected, vec![expected as u8]);
        assert_eq!(store.append(owner, [append].into()).await.unwrap(), [outcome], "at {expected}");
        store = fixture.reopen(store).await;
    }
    assert_eq!(store.load(run).await.unwrap().records, [[0], [1]]);
}

pub async fn refused_append_writes_nothing(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    apply(&*store, owner, vec![begin(row(run))]).await;
    let entry = store.post(run, b"stop".to_vec(), 5).await.unwrap();
    let hash = surefoot_core::ids::Digest::of(b"large");
    let late = Append {
        row: Some(crate::RowChange::Update(super::update("failed", crate::Activity::Ended))),
        logs: vec![super::aside::line(run, "late")],
        snapshot: Some(b"late".to_vec()),
        payloads: vec![(hash, b"large".to_vec())],
        answered: vec![entry],
        ..Append::record(run, 0, b"late".to_vec())
    };
    let outcomes = store.append(owner, [late].into()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Conflict { actual: 1 }]);
    let store = fixture.reopen(store).await;
    let loaded = store.load(run).await.unwrap();
    assert_eq!(loaded, Loaded { snapshot: None, records: vec![b"begin".to_vec()] });
    assert_eq!(store.run(run).await.unwrap(), Some(row(run)));
    assert_eq!(store.payload(hash).await.unwrap(), None);
    assert_eq!(store.answered(entry).await.unwrap(), None);
    assert!(store.logs(run, &super::aside::all_logs()).await.unwrap().is_empty());
}

pub async fn decisions_of_a_batch_are_independent(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let (one, two) = (run_id(1), run_id(2));
    let batch = vec![
        Append::record(one, 0, b"a".to_vec()),
        Append::record(two, 7, b"b".to_vec()),
        Append::record(one, 1, b"c".to_vec()),
    ];
    let outcomes = store.append(owner, batch.into()).await.unwrap();
    assert_eq!(
        outcomes,
        [Outcome::Applied, Outcome::Conflict { actual: 0 }, Outcome::Applied],
        "the second refuses itself alone, the third sees the first"
    );
    assert_eq!(store.load(one).await.unwrap().len(), 2);
    assert!(store.load(two).await.unwrap().is_empty());
}

pub async fn batches_keep_the_order_of_calls(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    let calls: Vec<_> = (0..200u64)
        .map(|seq| store.append(owner, [Append::record(run, seq, vec![seq as u8])].into()))
        .collect();
    // Awaited backwards: only the calls have an order.
    for call in calls.into_iter().rev() {
        assert_eq!(call.await.unwrap(), [Outcome::Applied]);
    }
    let records = store.load(run).await.unwrap().records;
    assert_eq!(records, (0..200u8).map(|seq| vec![seq]).collect::<Vec<_>>());
}

pub async fn dropped_append_is_carried_out(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    drop(store.append(owner, [Append::record(run_id(1), 0, b"a".to_vec())].into()));
    apply(&*store, owner, vec![Append::record(run_id(1), 1, b"b".to_vec())]).await;
}

pub async fn one_of_racing_writers_wins(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    for expected in 0..20 {
        let racers: Vec<_> = (0..8u8)
            .map(|racer| {
                let store = Arc::clone(&store);
                let append = Append::record(run, expected, vec![racer]);
                tokio::spawn(async move { store.append(owner, [append].into()).await })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            match racer.await.unwrap().unwrap()[..] {
                [Outcome::Applied] => winners += 1,
                [Outcome::Conflict { actual }] => assert_eq!(actual, expected + 1),
                ref other => panic!("unexpected outcome: {other:?}"),
            }
        }
        assert_eq!(winners, 1, "at record {expected}");
    }
    assert_eq!(store.load(run).await.unwrap().len(), 20);
}

pub async fn claim_fences_the_owner_before(fixture: &dyn Fixture) {
    let (store, old) = claimed(fixture).await;
    let new = store.claim(0).await.unwrap();
    let store = fixture.reopen(store).await;
    let append = || vec![Append::record(run_id(1), 0, b"a".to_vec())];
    let refused = store.append(old, append().into()).await;
    let Err(Error::Fenced { shard: 0, held, actual }) = refused else {
        panic!("an old owner wrote: {refused:?}")
    };
    assert_eq!((held, actual), (old.epoch, new.epoch));
    let stranger = Owner { epoch: new.epoch + 1, ..new };
    assert!(matches!(store.append(stranger, append().into()).await, Err(Error::Fenced { .. })));
    assert!(store.load(run_id(1)).await.unwrap().is_empty());
    apply(&*store, new, append()).await;
}

pub async fn epochs_grow_for_ever(fixture: &dyn Fixture) {
    let (mut store, mut owner) = claimed(fixture).await;
    for _ in 0..3 {
        store = fixture.reopen(store).await;
        let next = store.claim(0).await.unwrap();
        assert!(next.epoch > owner.epoch);
        owner = next;
    }
}

pub async fn shards_do_not_share_epochs(fixture: &dyn Fixture) {
    let (store, zero) = claimed(fixture).await;
    let one = store.claim(1).await.unwrap();
    assert_eq!(one.shard, 1);
    apply(&*store, zero, vec![Append::record(run_id(1), 0, b"a".to_vec())]).await;
    apply(&*store, one, vec![Append::record(run_id(2), 0, b"a".to_vec())]).await;
    let unclaimed = Owner { shard: 2, epoch: 1 };
    let refused = store.append(unclaimed, [Append::record(run_id(3), 0, vec![])].into()).await;
    assert!(matches!(refused, Err(Error::Fenced { shard: 2, actual: 0, .. })), "{refused:?}");
}

pub async fn appended_records_survive(fixture: &dyn Fixture) {
    let (mut store, owner) = claimed(fixture).await;
    for seq in 0..5u64 {
        for run in 1..4 {
            let record = format!("{run}/{seq}").into_bytes();
            apply(&*store, owner, vec![Append::record(run_id(run), seq, record)]).await;
        }
        store = fixture.reopen(store).await;
    }
    for run in 1..4 {
        let expected: Vec<_> = (0..5).map(|seq| format!("{run}/{seq}").into_bytes()).collect();
        assert_eq!(store.load(run_id(run)).await.unwrap().records, expected);
    }
}

pub async fn newest_snapshot_shortens_the_load(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    for seq in 0..7u64 {
        let snapshot = (seq == 1 || seq == 4).then(|| vec![seq as u8]);
        let append = Append { snapshot, ..Append::record(run, seq, vec![seq as u8]) };
        apply(&*store, owner, vec![append]).await;
    }
    let store = fixture.reopen(store).await;
    let loaded = store.load(run).await.unwrap();
    assert_eq!(loaded.snapshot, Some((5, vec![4])));
    assert_eq!(loaded.records, [[5], [6]]);
    assert_eq!(loaded.len(), 7);
    assert_eq!(store.records(run, 0, 100).await.unwrap().len(), 7, "the journal stays whole");
}

pub async fn records_are_paged(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    let batch = (0..10u64).map(|seq| Append::record(run, seq, vec![seq as u8])).collect();
    apply(&*store, owner, batch).await;
    for (from, limit, expected) in [
        (0, 3, vec![0u8, 1, 2]),
        (8, 5, vec![8, 9]),
        (10, 5, vec![]),
        (99, 5, vec![]),
        (4, 0, vec![]),
    ] {
        let page = store.records(run, from, limit).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|seq| vec![seq]).collect();
        assert_eq!(page, expected, "from {from}, at most {limit}");
    }
}

pub async fn any_bytes_are_a_record(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    let records = [vec![], vec![0], vec![0xFF; 3], b"\0nul\0".to_vec(), vec![7; 300_000]];
    for (seq, record) in records.iter().enumerate() {
        apply(&*store, owner, vec![Append::record(run, seq as u64, record.clone())]).await;
    }
    let store = fixture.reopen(store).await;
    assert_eq!(store.load(run).await.unwrap().records, records);
}
