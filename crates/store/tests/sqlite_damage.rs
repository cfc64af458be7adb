//! Damage to the file is found or does no harm: whatever a damaged store answers is an error or
//! the truth, and it never panics.

#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::Path;

use surefoot_core::ids::Digest;
use surefoot_store::conformance::{begin, ended, row, run_id};
use surefoot_store::{Append, Expect, Item, ItemWrite, Loaded, Mode, RunRow, SqliteStore, Store};

const ROUNDS: u64 = 150;
const RUNS: u64 = 40;
const PAGE: usize = 4_096;

/// What a whole store answers.
#[derive(Debug, PartialEq)]
struct Truth {
    runs: Vec<(Loaded, Option<RunRow>)>,
    payload: Option<Vec<u8>>,
    items: Vec<Item>,
}

fn open(path: &Path) -> surefoot_store::Result<SqliteStore> {
    SqliteStore::open(path, Mode::Owner { program: "damage test".to_owned() })
}

fn payload() -> Vec<u8> {
    (0..20_000u32).flat_map(u32::to_le_bytes).collect()
}

async fn fill(path: &Path) -> Truth {
    let store = open(path).unwrap();
    let owner = store.claim(0).await.unwrap();
    let body = payload();
    for number in 0..RUNS {
        let mut batch = match number % 2 {
            0 => ended(run_id(number), 5),
            _ => vec![begin(row(run_id(number)))],
        };
        let seq = batch.len() as u64;
        for more in seq..seq + 200 {
            let record = format!("record {more} of {number}").repeat(3).into_bytes();
            batch.push(Append::record(run_id(number), more, record));
        }
        batch[0].payloads = vec![(Digest::of(&body), body.clone())];
        store.append(owner, batch.into()).await.unwrap();
    }
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let run = run_id(number);
        runs.push((store.load(run).await.unwrap(), store.run(run).await.unwrap()));
    }
    let put = |it| ItemWrite::put("things", &format!("{it:02}"), Expect::Absent, vec![it; 300]);
    store.write_items((0..RUNS as u8).map(put).collect()).await.unwrap().unwrap();
    let items = store.items("things", None, 100).await.unwrap();
    store.close().await.unwrap();
    Truth { runs, payload: Some(body), items }
}

/// Returns what was found: at opening, by `verify`, or by a read; nothing if there was no harm.
async fn examine(path: &Path, truth: &Truth) -> Option<String> {
    let store = match open(path) {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    let found = match store.verify().await {
        Ok(damage) => damage.first().map(|it| it.what.clone()),
        Err(error) => Some(error.to_string()),
    };
    for (number, (loaded, row)) in (0..RUNS).zip(&truth.runs) {
        let run = run_id(number);
        // A lost row or record is not an error of a read, so `verify` must have told.
        if let Ok(answer) = store.load(run).await
            && answer != *loaded
        {
            assert!(found.is_some(), "run {run} has other records, and nothing was found");
            let whole = [loaded.records.as_slice()];
            assert!(whole[0].starts_with(&answer.records), "run {run} has wrong records");
        }
        if let Ok(answer) = store.run(run).await
            && answer != *row
        {
            assert!(found.is_some() && answer.is_none(), "run {run} has a wrong row: {found:?}");
        }
    }
    if let Ok(answer) = store.payload(Digest::of(&payload())).await
        && answer != truth.payload
    {
        assert!(found.is_some() && answer.is_none(), "the payload is wrong");
    }
    if let Ok(answer) = store.items("things", None, 100).await
        && answer != truth.items
    {
        assert!(found.is_some(), "items are lost, and nothing was found");
        assert!(answer.iter().all(|it| truth.items.contains(it)), "an item is wrong: {found:?}");
    }
    // Closing may fail or not; either way there is no panic.
    drop(store.close().await);
    found
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn spoil(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => {
            bytes[at] ^= 1 << random.below(8);
            format!("one bit at {at}")
        }
        1 => {
            let end = (at + 16).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            format!("16 bytes at {at}")
        }
        2 => {
            let page = at / PAGE * PAGE;
            bytes[page..page + PAGE].fill(0);
            format!("page {}", page / PAGE)
        }
        _ => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
    }
}

#[tokio::test]
async fn damage_is_found_or_harmless() {
    let seed = std::env::var("SUREFOOT_TEST_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}: set SUREFOOT_TEST_SEED to repeat it");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let truth = fill(&path).await;
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(examine(&path, &truth).await, None, "a whole store");
    let whole_again = std::fs::read(&path).unwrap();
    assert_eq!(whole.len(), whole_again.len());
    let mut random = Random(seed);
    let mut found = 0;
    for round in 0..ROUNDS {
        let mut bytes = whole.clone();
        let what = spoil(&mut bytes, &mut random);
        for leftover in ["store.db-wal", "store.db-shm"] {
            drop(std::fs::remove_file(directory.path().join(leftover)));
        }
        std::fs::write(&path, &bytes).unwrap();
        println!("round {round}: {what}");
        found += u64::from(examine(&path, &truth).await.is_some());
    }
    println!("{found} of {ROUNDS} were found, the others did no harm");
    assert!(found > ROUNDS / 3);
}
