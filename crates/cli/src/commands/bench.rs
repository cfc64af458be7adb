//! `surefoot bench`: the workloads, on this machine.

use std::path::PathBuf;
use std::time::Duration;

use surefoot_bench::{CONCURRENCY, Options, Row, Workload};

use crate::arguments::Bench;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::session::{Session, wait_on_all_cores};

/// A row is not measured for longer than this.
const SECONDS_MAX: f64 = 3600.0;
const SCALE_MAX: f64 = 10.0;

pub fn bench(session: &Session, arguments: Bench) -> Result<Exit> {
    check("--seconds", arguments.seconds, SECONDS_MAX)?;
    check("--scale", arguments.scale, SCALE_MAX)?;
    let options = Options {
        workloads: or(arguments.workloads, &Workload::ALL),
        concurrency: or(
            arguments.concurrency.iter().map(|it| *it as usize).collect(),
            &CONCURRENCY,
        ),
        duration: Duration::from_secs_f64(arguments.seconds),
        scale: arguments.scale,
        directory: arguments.directory.unwrap_or_else(|| beside_the_store(session)),
    };
    let json = arguments.json || !session.output.is_for_people();
    if !json {
        session.output.text(&format!("{}\n", Row::header()))?;
    }
    let mut lost = None;
    let mut progress = |text: &str| session.output.say(text);
    let mut report = |row: &Row| {
        let line = if json { serde_json::json!(row).to_string() } else { row.to_string() };
        if let Err(failure) = session.output.text(&format!("{line}\n")) {
            lost = Some(failure);
        }
    };
    let measured = surefoot_bench::run(&options, &mut progress, &mut report);
    wait_on_all_cores(async {
        measured.await.map_err(|error| {
            Failure::new(Exit::Bug, "SF5091", error.to_string())
                .hint("The stores need a directory that can be written and has room.")
        })
    })?;
    lost.map_or(Ok(Exit::Ok), Err)
}

fn or<T: Clone>(given: Vec<T>, default: &[T]) -> Vec<T> {
    if given.is_empty() { default.to_vec() } else { given }
}

fn check(flag: &str, value: f64, most: f64) -> Result<()> {
    if value > 0.0 && value <= most {
        return Ok(());
    }
    let message = format!("`{flag} {value}` is out of range");
    Err(Failure::new(Exit::Usage, "SF5004", message)
        .hint(format!("Give a number above 0 and at most {most}.")))
}

fn beside_the_store(session: &Session) -> PathBuf {
    let store = session.store_path();
    let folder = store.as_deref().and_then(|it| it.parent());
    folder.map_or_else(|| PathBuf::from(".surefoot"), PathBuf::from).join("bench")
}
