//! `surefoot bench`: what this program does on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use surefoot_bench::{CONCURRENCY, Error, Options, Row, WorkerProgram, Workload};
use surefoot_server::ServerConfig;

use super::server::{self, Served};
use super::worker;
use crate::arguments::{Bench, Format};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::session::{Session, wait_on_all_cores};

/// Where the server that is measured listens: wherever there is room.
const LISTEN: &str = "127.0.0.1:0";

pub fn bench(session: &Session, arguments: Bench) -> Result<Exit> {
    if let Some(store) = &arguments.serve {
        return wait_on_all_cores(serve(session, store));
    }
    let options = options(session, &arguments)?;
    let for_people = session.output.is_for_people() && !arguments.json;
    if for_people {
        session.output.text(&format!("{}\n", Row::header()))?;
    }
    let mut printed = Ok(());
    let mut progress = |text: &str| session.output.say(text);
    let mut report = |row: &Row| {
        let print = || match () {
            () if for_people => session.output.text(&format!("{row}\n")),
            () if session.output.format == Format::Name => {
                session.output.text(&format!("{}\n", row.workload))
            }
            () => session.output.text(&format!("{}\n", json!(row))),
        };
        if printed.is_ok() {
            printed = print();
        }
    };
    wait_on_all_cores(async {
        surefoot_bench::run(&options, &mut progress, &mut report).await.map_err(failure)
    })?;
    printed?;
    Ok(Exit::Ok)
}

fn options(session: &Session, arguments: &Bench) -> Result<Options> {
    let is_number = |it: f64| it.is_finite() && it > 0.0;
    if !is_number(arguments.seconds) || !is_number(arguments.scale) {
        let message = "--seconds and --scale must be greater than 0";
        return Err(Failure::new(Exit::Usage, "SF5071", message));
    }
    let concurrency: Vec<usize> = arguments.concurrency.iter().map(|it| (*it).into()).collect();
    let all = |given: &[Workload]| match given {
        [] => Workload::ALL.to_vec(),
        some => some.to_vec(),
    };
    Ok(Options {
        workloads: all(&arguments.workloads),
        concurrency: if concurrency.is_empty() { CONCURRENCY.to_vec() } else { concurrency },
        duration: Duration::from_secs_f64(arguments.seconds),
        scale: arguments.scale,
        directory: session
            .global
            .store
            .as_ref()
            .map_or_else(|| PathBuf::from(".surefoot/bench"), PathBuf::from),
        server: itself(&["bench", "--serve"]),
        workers: workers(&arguments.worker)?,
    })
}

/// `surefoot server` with the settings that it has by default, and a handler for the steps.
async fn serve(session: &Session, store: &Path) -> Result<Exit> {
    let (engine, metrics) = server::engine(session, surefoot_bench::builder(store)).await?;
    let config = ServerConfig { listen: LISTEN.to_owned(), ..ServerConfig::default() };
    let served = Served::open(engine, config, metrics).await?;
    session.output.say(format!("serves on http://{}", served.address()?));
    served.until_stopped(session).await
}

/// This very program as a worker, and those that are named.
fn workers(named: &[String]) -> Result<Vec<WorkerProgram>> {
    let own = ["worker", "--quiet", "--conformance", "--slots", "256"];
    let mut all = vec![WorkerProgram { name: "rust".to_owned(), argv: itself(&own) }];
    for given in named {
        let (name, argv) = worker::command(given, "--worker")?;
        all.push(WorkerProgram { name, argv: argv.into_iter().map(OsString::from).collect() });
    }
    Ok(all)
}

fn itself(arguments: &[&str]) -> Vec<OsString> {
    let program = std::env::current_exe().map(PathBuf::into_os_string);
    program.into_iter().chain(arguments.iter().map(OsString::from)).collect()
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Open(error) => error.into(),
        Error::Start(error) => error.into(),
        Error::Command(error) => error.into(),
        Error::Store(error) => error.into(),
        Error::Directory { directory, source } => {
            let message = format!("cannot use the directory {}: {source}", directory.display());
            Failure::new(Exit::Usage, "SF5071", message)
                .hint("Name a directory on the disk that you mean with --store.")
        }
        Error::Remote(_) => Failure::new(Exit::Unreachable, "SF5071", error.to_string()),
        // The workloads are this program's own.
        Error::Deploy(_) | Error::Run { .. } => {
            Failure::new(Exit::Bug, "SF5071", format!("a workload has failed: {error}"))
        }
    }
}
