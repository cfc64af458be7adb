//! Promises to who follows: the order of records and of log lines over all runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::aside::line;
use super::{Fixture, apply, begin, claimed, ended, row, run_id};
use crate::{Append, JOURNAL_PAGE_BYTES_MAX, JournalEntry, Outcome, Retention, Store};

const WRITERS: u64 = 8;
const RECORDS: u64 = 60;
/// Small, so that a follower reads many pages.
const PAGE: u32 = 7;

/// Reads until there is nothing more.
async fn followed(store: &dyn Store, mut after: i64, limit: u32) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    loop {
        let page = store.journal(after, limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return entries };
        after = last.position;
        entries.extend(page);
    }
}

async fn ends(store: &dyn Store) -> (i64, i64) {
    (store.journal_end().await.unwrap(), store.logs_end().await.unwrap())
}

/// Writers of many runs, in batches of their own and committed together, and a reader that follows
/// meanwhile: it has seen everything, once, in the order that the journal keeps.
pub async fn a_follower_misses_no_record(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let follower = tokio::spawn({
        let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
        async move {
            let mut seen: Vec<JournalEntry> = Vec::new();
            loop {
                // Read before the page: what was written before it was set is in the page.
                let is_last = is_done.load(Ordering::SeqCst);
                let after = seen.last().map_or(0, |it| it.position);
                let page = followed(&*store, after, PAGE).await;
                if is_last && page.is_empty() {
                    return seen;
                }
                seen.extend(page);
                tokio::task::yield_now().await;
            }
        }
    });
    let writers: Vec<_> = (1..=WRITERS)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let run = run_id(number);
                for seq in (0..RECORDS).step_by(3) {
                    // The second one is refused and must not leave a hole that is filled later.
                    let batch = [seq, seq + 9, seq + 1, seq + 2]
                        .map(|seq| Append::record(run, seq, format!("{number} {seq}").into()));
                    let outcomes = store.append(owner, batch.into()).await.unwrap();
                    assert!(matches!(outcomes[1], Outcome::Conflict { .. }));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    is_done.store(true, Ordering::SeqCst);
    let seen = follower.await.unwrap();
    assert!(seen.is_sorted_by(|one, two| one.position < two.position));
    let store = fixture.reopen(store).await;
    assert_eq!(seen, followed(&*store, 0, 1_000).await);
    assert_eq!(store.journal_end().await.unwrap(), seen.last().unwrap().position);
    assert_eq!(seen.len() as u64, WRITERS * RECORDS);
    let mut next: HashMap<_, u64> = HashMap::new();
    for entry in seen {
        let seq = next.entry(entry.run).or_default();
        assert_eq!(entry.seq, *seq, "the records of a run keep their order");
        let number = entry.run.created_ms() - run_id(0).created_ms();
        assert_eq!(entry.record, format!("{number} {seq}").into_bytes());
        *seq += 1;
    }
}

pub async fn journal_is_paged(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    assert_eq!((ends(&*store).await, store.journal(0, 10).await.unwrap()), ((0, 0), vec![]));
    let large = vec![7; JOURNAL_PAGE_BYTES_MAX / 2];
    let batch = (0..5).map(|seq| Append::record(run_id(1), seq, large.clone())).collect();
    apply(&*store, owner, batch).await;
    let page = store.journal(0, 10).await.unwrap();
    assert_eq!(page.len(), 2, "a page of large records ends early");
    assert_eq!(followed(&*store, 0, 10).await.len(), 5);
    let third = followed(&*store, page[1].position, 1).await;
    assert_eq!(third.iter().map(|it| it.seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(store.journal(0, 0).await.unwrap().is_empty());
    assert!(store.journal(i64::MAX, 10).await.unwrap().is_empty());
    assert_eq!(store.journal(i64::MIN, 1).await.unwrap()[0].seq, 0);
}

pub async fn logs_of_all_runs_are_followed(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let (one, two) = (run_id(1), run_id(2));
    let logs = vec![line(one, "a"), line(two, "b")];
    apply(&*store, owner, vec![Append { logs, ..begin(row(one)) }]).await;
    store.append_logs(owner, vec![line(one, "c")]).await.unwrap();
    let store = fixture.reopen(store).await;
    let all = store.all_logs(0, 10).await.unwrap();
    let lines: Vec<_> = all.iter().map(|it| it.line.clone()).collect();
    assert_eq!(lines, [line(one, "a"), line(two, "b"), line(one, "c")]);
    assert!(all.is_sorted_by(|one, two| one.position < two.position));
    assert_eq!(store.logs_end().await.unwrap(), all[2].position);
    assert_eq!(store.all_logs(all[0].position, 1).await.unwrap(), [all[1].clone()]);
    assert!(store.all_logs(all[2].position, 10).await.unwrap().is_empty());
}

/// A position that gc has freed would hide what is written there from whoever has read past it.
pub async fn gc_gives_no_position_again(fixture: &dyn Fixture) {
    let (mut store, owner) = claimed(fixture).await;
    assert_eq!(store.journal_removed().await.unwrap(), 0);
    for number in 1..=4 {
        let before = ends(&*store).await;
        let mut batch = ended(run_id(number), 5);
        batch[1].logs = vec![line(run_id(number), "gone")];
        apply(&*store, owner, batch).await;
        assert_eq!(store.journal(before.0, 10).await.unwrap().len(), 2, "run {number}");
        assert_eq!(store.all_logs(before.1, 10).await.unwrap().len(), 1, "run {number}");
        let after = ends(&*store).await;
        // Everything goes: no row is left to tell where it ended.
        assert_eq!(store.gc(&Retention::before(10, 10)).await.unwrap().runs, 1);
        assert!(store.journal(0, 10).await.unwrap().is_empty());
        assert!(store.all_logs(0, 10).await.unwrap().is_empty());
        if number % 2 == 0 {
            store = fixture.reopen(store).await;
        }
        assert_eq!(ends(&*store).await, after, "run {number}");
        assert_eq!(store.journal_removed().await.unwrap(), after.0, "run {number}");
    }
}
