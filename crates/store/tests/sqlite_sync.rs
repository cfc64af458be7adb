//! A sync that fails leaves the outcome unknown: the store says so, opens the file again, and
//! never believes the next sync for it. The child is this test binary with a library loaded before
//! the system's, made from `tools/failing_sync.c` with the system's C compiler.

#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use surefoot_store::conformance::{begin, row, run_id};
use surefoot_store::{Append, Error, Mode, Outcome, SqliteStore, Store};

const CHILD: &str = "SUREFOOT_TEST_SYNC_PATH";
/// Records that the child tries to append.
const RECORDS: usize = 40;

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Mode::Owner { program: "sync test".to_owned() }).unwrap()
}

/// Appends and prints what became of each; after an unknown outcome it looks and decides again,
/// the way an engine does.
#[tokio::test]
async fn child_appends_while_syncs_fail() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&path));
    let mut owner = store.claim(0).await.unwrap();
    for _ in 0..RECORDS {
        let seq = store.load(run_id(1)).await.unwrap().len();
        let append = match seq {
            0 => begin(row(run_id(1))),
            _ => Append::record(run_id(1), seq, b"change".to_vec()),
        };
        match store.append(owner, [append].into()).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, [Outcome::Applied]);
                println!("\nacked {seq}");
            }
            Err(Error::Unknown { .. }) => {
                println!("\nunknown {seq}");
                match store.claim(0).await {
                    Ok(next) => owner = next,
                    Err(error) => println!("\nclaim {error}"),
                }
            }
            Err(Error::Unavailable { reason, .. }) => println!("\nunavailable {reason}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(store.verify().await.unwrap(), []);
    store.close().await.unwrap();
    println!("\nclosed");
}

fn library(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/failing_sync.c");
    let library = directory.join("failing_sync.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("building SQLite needed a C compiler as well");
    assert!(compiled.success());
    library
}

/// Runs the child with failing syncs and returns what it printed.
async fn check(library: &Path, plan: &str, verdict: impl Fn(&[String])) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    // Made beforehand, so that the child's syncs are those of its commits.
    open(&path).close().await.unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_while_syncs_fail", "--nocapture"])
        .env(CHILD, &path)
        .env("LD_PRELOAD", library)
        .env("FAILING_SYNC", plan)
        .env("FAILING_SYNC_PATH", "store.db")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{plan}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    verdict(&lines);
    let store = open(&path);
    assert_eq!(store.verify().await.unwrap(), [], "{plan}");
    let records = store.load(run_id(1)).await.unwrap().len();
    for seq in lines.iter().filter_map(|line| line.strip_prefix("acked ")) {
        assert!(seq.parse::<u64>().unwrap() < records, "{plan}: record {seq} was lost: {text}");
    }
}

fn count(lines: &[String], start: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(start)).count()
}

#[tokio::test]
async fn a_failed_sync_is_an_unknown_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path());
    for after in [3, 10, 17] {
        check(&library, &format!("{after}:1"), |lines| {
            assert_eq!(count(lines, "unknown"), 1, "{lines:?}");
            assert_eq!(count(lines, "acked"), RECORDS - 1, "writes go on: {lines:?}");
        })
        .await;
    }
    check(&library, "10:1000000", |lines| {
        assert!(count(lines, "unknown") >= 1, "{lines:?}");
        assert!(count(lines, "unavailable") > 10, "only reads go on: {lines:?}");
        assert_eq!(count(lines, "closed"), 1, "{lines:?}");
    })
    .await;
}
