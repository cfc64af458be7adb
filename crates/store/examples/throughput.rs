//! Measures durable appends a second at a number of concurrent runs, beside the bare limit.
//! `cargo run --release -p surefoot-store --example throughput -- [runs at once] [rows for each] [rows of one run]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::sync::Arc;
use std::time::Instant;

use surefoot_store::conformance::run_id;
use surefoot_store::{Append, Mode, Outcome, SqliteStore, Store, bare_limit};

const RECORD_BYTES: usize = 200;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|it| it.parse::<u64>().unwrap());
    let runs = arguments.next().unwrap_or(256);
    let rows = arguments.next().unwrap_or(2_000);
    let steps = arguments.next().unwrap_or(10);
    let directory = tempfile::tempdir_in(".").unwrap();
    let limit = bare_limit(&directory.path().join("bare.db"), 500_000, RECORD_BYTES, 100).unwrap();
    println!("bare limit, batches of 100: {limit:.0} rows/s");

    let path = directory.path().join("store.db");
    let mode = Mode::Owner { program: "throughput".to_owned() };
    let store = Arc::new(SqliteStore::open(&path, mode).unwrap());
    let owner = store.claim(0).await.unwrap();
    let start = Instant::now();
    let tasks: Vec<_> = (0..runs)
        .map(|run| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for row in 0..rows {
                    // Each finished run is followed by a newer one.
                    let id = run_id(row / steps * runs + run);
                    let append = Append::record(id, row % steps, vec![b'x'; RECORD_BYTES]);
                    let outcomes = store.append(owner, [append].into()).await.unwrap();
                    assert_eq!(outcomes, [Outcome::Applied]);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let total = (runs * rows) as f64;
    let written = written_bytes();
    println!("{runs} runs: {:.0} appends/s", total / seconds);
    println!(
        "{:.0} bytes written to files a row, bare limit's rows included",
        written as f64 / total
    );
    println!("log {} bytes", store.info().await.unwrap().wal_bytes);
    store.close().await.unwrap();
}

/// Returns the bytes that this process has handed to the kernel, as Linux counts them.
fn written_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|it| it.parse().ok()).unwrap_or_default()
}
