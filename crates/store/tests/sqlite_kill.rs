//! A process that is killed loses nothing that it was answered. The child is this test binary
//! again: [`child_appends_until_it_is_killed`] does nothing unless it is told a path.

#![cfg(all(feature = "sqlite", unix))]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use surefoot_store::conformance::{begin, row, run_id};
use surefoot_store::{Append, Expect, Item, ItemWrite, Mode, Outcome, SqliteStore, Store};

const CHILD: &str = "SUREFOOT_TEST_KILL_PATH";
const ROUNDS: u64 = 20;
const RUNS: u64 = 16;
/// A round ends after so many answers at most.
const ANSWERS_MAX: u64 = 2_000;

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Mode::Owner { program: "kill test".to_owned() }).unwrap()
}

fn record(run: u64, seq: u64) -> Vec<u8> {
    format!("{run} {seq} {}", "x".repeat((run * 31 + seq * 7) as usize % 3_000)).into_bytes()
}

/// Two items that are always written together.
fn items(run: u64, seq: u64) -> Vec<ItemWrite> {
    let put = |name: &str| {
        ItemWrite::put("kill", &format!("{name} {run}"), Expect::Anything, record(run, seq))
    };
    vec![put("one"), put("two")]
}

async fn item(store: &SqliteStore, name: &str, run: u64) -> Option<Item> {
    store.item("kill", &format!("{name} {run}")).await.unwrap()
}

#[tokio::test]
async fn child_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Arc::new(open(Path::new(&path)));
    let owner = store.claim(0).await.unwrap();
    let tasks: Vec<_> = (0..RUNS)
        .map(|run| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let from = store.load(run_id(run)).await.unwrap().len();
                for seq in from.. {
                    let plain = Append::record(run_id(run), seq, record(run, seq));
                    let append = match seq {
                        0 => Append { record: record(run, 0), ..begin(row(run_id(run))) },
                        _ => plain,
                    };
                    let outcomes = store.append(owner, [append].into()).await.unwrap();
                    assert_eq!(outcomes, [Outcome::Applied]);
                    store.write_items(items(run, seq)).await.unwrap().unwrap();
                    let mut stdout = std::io::stdout().lock();
                    writeln!(stdout, "acked {run} {seq}").unwrap();
                    stdout.flush().unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Lets a child work until it was answered `answers` times, kills it, and returns for each run
/// how many records it was told to be durable.
fn round(path: &Path, answers: u64) -> HashMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acked = HashMap::new();
    let mut seen = 0;
    // What was written before the kill is still in the pipe, and counts.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        // The test harness writes its own text before the first answer, on the same line.
        let Some((_, numbers)) = line.split_once("acked ") else { continue };
        // The last line may be cut off by the kill.
        let Some((Ok(run), Ok(seq))) =
            numbers.split_once(' ').map(|(run, seq)| (run.parse::<u64>(), seq.parse::<u64>()))
        else {
            continue;
        };
        let count = acked.entry(run).or_insert(0);
        *count = seq.max(*count);
        seen += 1;
        if seen == answers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen >= answers, "the child ended by itself after {seen} answers");
    acked
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_answered() {
    let seed = std::env::var("SUREFOOT_TEST_SEED").ok().and_then(|it| it.parse().ok());
    let mut state: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {state}: set SUREFOOT_TEST_SEED to repeat it");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    for number in 0..ROUNDS {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let answers = 1 + (state >> 33) % ANSWERS_MAX;
        let acked = round(&path, answers);
        let store = open(&path);
        assert_eq!(store.verify().await.unwrap(), [], "round {number}");
        for run in 0..RUNS {
            let (one, two) = (item(&store, "one", run).await, item(&store, "two", run).await);
            let newest = acked.get(&run).copied();
            assert!(one.is_some() || newest.is_none(), "round {number}: run {run} lost its items");
            let parts = |it: Item| (it.revision, it.body);
            assert_eq!(one.clone().map(parts), two.map(parts), "round {number}: half a write");
            if let Some((newest, item)) = newest.zip(one) {
                let written = (newest..=newest + 1).map(|seq| record(run, seq));
                assert!(
                    written.into_iter().any(|it| it == item.body),
                    "round {number}: item {run}"
                );
            }
        }
        for (run, newest) in acked {
            let records = store.load(run_id(run)).await.unwrap().records;
            assert!(records.len() as u64 > newest, "round {number}: run {run} lost {newest}");
            for (seq, found) in records.iter().enumerate() {
                assert!(*found == record(run, seq as u64), "round {number}: {run}/{seq} differs");
            }
        }
        store.close().await.unwrap();
    }
}
