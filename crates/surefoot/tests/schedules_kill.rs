//! A process with a schedule of ten slots a second is killed again and again: no slot is lost, and
//! none runs twice.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the parent reads what the victim prints")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use surefoot::schedules::Schedules;
use surefoot::store::RunFilter;
use surefoot::{Engine, Update};
use tokio_util::sync::CancellationToken;

/// Names the folder of the victim's store.
const VICTIM: &str = "SUREFOOT_TEST_SCHEDULES_VICTIM";
const PERIOD_MS: u64 = 100;
const KILLS: u64 = 15;

const SOURCE: &str = "{id: tick, triggers: {every: 100ms, catch_up: all, overlap: allow}, \
     tasks: {t: {uses: transform, with: {value: 1}}}}";

async fn open(folder: &Path) -> Engine {
    let url = format!("sqlite:{}", folder.join("runs.db").display());
    Engine::builder().store(&url).open().await.unwrap()
}

/// Keeps the schedule and says of each run that it has ended. Does nothing on its own.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    let engine = open(Path::new(&folder)).await;
    engine.deploy(SOURCE).await.unwrap();
    let mut updates = engine.subscribe();
    let schedules = Schedules::open(&engine).await.unwrap();
    tokio::spawn(async move { schedules.keep(CancellationToken::new()).await });
    while let Ok(update) = updates.recv().await {
        if matches!(update, Update::Record { status, .. } if status.is_terminal()) {
            println!("ended");
        }
    }
}

/// Starts the victim, lets so many runs end, and kills it.
fn kill_after(folder: &Path, ends: u64) {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--nocapture"])
        .env(VICTIM, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut ended = 0;
    for line in lines {
        if line.ends_with("ended") {
            ended += 1;
            if ended == ends {
                child.kill().unwrap();
            }
        }
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the victim was to be killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slot_is_lost_or_doubled_by_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..KILLS {
        kill_after(folder.path(), 1 + round * 7 % 5);
    }
    let engine = open(folder.path()).await;
    let schedules = Schedules::open(&engine).await.unwrap();
    // Whatever was cut off or missed until now comes now.
    schedules.look().await;
    engine.idle().await;
    let cursor = schedules.get("tick:1").await.unwrap().position.cursor;
    let filter = RunFilter { limit: 1_000_000, ..RunFilter::default() };
    let rows = engine.store().runs(&filter).await.unwrap();
    let slots: Vec<u64> = rows
        .iter()
        .map(|it| {
            let slot = it.key.as_ref().unwrap().strip_prefix("schedule:tick:1:").unwrap();
            slot.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64
        })
        .collect();
    let distinct: BTreeSet<u64> = slots.iter().copied().collect();
    assert_eq!(distinct.len(), slots.len(), "a slot ran twice");
    let first = *distinct.first().unwrap();
    let expected = (first..=cursor).step_by(PERIOD_MS as usize).collect();
    assert_eq!(distinct, expected, "a slot was lost");
    assert!(rows.iter().all(|it| it.status == "completed"));
    println!("{} slots over {KILLS} kills", slots.len());
    engine.stop(Duration::from_secs(10)).await.unwrap();
}
