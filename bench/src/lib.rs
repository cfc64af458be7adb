//! Measures the engine on SQLite at full durability, with handlers in the same process and as a
//! server in another one, and in the same run what SQLite does without an engine.
//!
//! | file | holds |
//! |---|---|
//! | `workload` | the definitions that are run |
//! | `closed_loop` | W1 to W4: runs a second and their latency at a number of runs at a time |
//! | `one_run` | W5: one large graph |
//! | `checking` | V1: the check of a whole file |
//! | `over_http` | H1 to H4, R1 to R3: callers of a server in another process, and workers of it |
//! | `reach` | R1/reach: how long a task takes to reach a worker that waits |
//! | `standing` | H5, H6: a server that stands by, with and without many who listen |
//! | `crowd` | S1: schedules that come due in the same second |
//! | `served`, `http` | the processes beside this one, and how they are spoken to |
//! | `waiting` | W6: a store full of runs that wait |
//! | `process` | what the process costs meanwhile |
//! | `row` | one line of the result |

mod checking;
mod closed_loop;
mod crowd;
mod http;
mod one_run;
mod over_http;
mod process;
mod reach;
mod row;
mod served;
mod standing;
mod waiting;
mod workload;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::{Config, Context, Engine, EngineBuilder, TaskError};

pub use row::Row;
pub use served::{HANDLER, WorkerProgram};
pub use workload::Workload;

/// Runs at a time, unless somebody asks for other numbers.
pub const CONCURRENCY: [usize; 4] = [1, 16, 64, 256];
/// Seconds that each row of a number of runs at a time is measured, unless somebody asks for other ones.
pub const SECONDS: f64 = 3.0;
/// Rows that the bare limit is measured with at most: more change nothing but the waiting.
const LIMIT_ROWS_MAX: u64 = 200_000;
/// Rows of one transaction of the bare limit.
const LIMIT_BATCH: usize = 100;
/// Rows that the bare limit is measured with at least: fewer are over before they are timed.
const LIMIT_ROWS_MIN: u64 = 5_000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    pub workloads: Vec<Workload>,
    /// Runs at a time, a row for each (W1 to W4, H1 to H4, R1 to R3).
    pub concurrency: Vec<usize>,
    /// How long each of these rows is measured.
    pub duration: Duration,
    /// Factor on the sizes of W5, W6, H5 and S1.
    pub scale: f64,
    /// Where the stores are made, and removed afterwards. The disk that is measured.
    pub directory: PathBuf,
    /// The program that serves a store, and its arguments but for the store's path. It has the
    /// handler of [`builder`], and says on standard error where it listens.
    pub server: Vec<OsString>,
    /// The programs that are workers of R1 to R3.
    pub workers: Vec<WorkerProgram>,
}

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Open(#[from] surefoot::OpenError),
    #[error(transparent)]
    Deploy(#[from] surefoot::DeployError),
    #[error(transparent)]
    Start(#[from] surefoot::StartError),
    #[error(transparent)]
    Command(#[from] surefoot::CommandError),
    #[error(transparent)]
    Store(#[from] surefoot::store::Error),
    #[error("cannot use the directory {directory}")]
    Directory { directory: PathBuf, source: std::io::Error },
    #[error("what runs in another process cannot be measured: {0}")]
    Remote(String),
    #[error("a run of {workload} was {status}: {reason}")]
    Run { workload: String, status: surefoot::RunStatus, reason: String },
}

/// Measures the workloads one after the other. `progress` is told what is going on, `report` each
/// result as soon as there is one.
pub async fn run(
    options: &Options,
    progress: &mut dyn FnMut(&str),
    report: &mut dyn FnMut(&Row),
) -> Result<(), Error> {
    std::fs::create_dir_all(&options.directory)
        .map_err(|source| Error::Directory { directory: options.directory.clone(), source })?;
    for workload in &options.workloads {
        match workload {
            Workload::W1 | Workload::W2 | Workload::W3 | Workload::W4 => {
                for concurrency in &options.concurrency {
                    progress(&format!("{workload}, {concurrency} at a time"));
                    report(&closed_loop::measure(options, *workload, *concurrency).await?);
                }
            }
            Workload::W5 => {
                for tasks in one_run::SIZES {
                    let tasks = scaled(tasks, options.scale);
                    progress(&format!("{workload}, one run of {tasks} tasks"));
                    report(&one_run::measure(options, tasks).await?);
                }
            }
            Workload::W6 => {
                let runs = scaled(waiting::RUNS, options.scale);
                progress(&format!("{workload}, {runs} waiting runs"));
                waiting::measure(options, runs, progress, report).await?;
            }
            Workload::H1 | Workload::H2 | Workload::H3 | Workload::H4 => {
                for concurrency in &options.concurrency {
                    progress(&format!("{workload}, {concurrency} at a time"));
                    report(&match workload {
                        Workload::H4 => over_http::starts(options, *concurrency).await?,
                        _ => over_http::to_the_end(options, *workload, None, *concurrency).await?,
                    });
                }
            }
            Workload::H5 => {
                let clients = scaled(standing::CLIENTS, options.scale);
                progress(&format!("{workload}, {clients} who listen"));
                report(&standing::listeners(options, clients).await?);
            }
            Workload::H6 => {
                progress("H6, a server that nobody asks");
                report(&standing::idle(options).await?);
            }
            Workload::R1 | Workload::R2 | Workload::R3 => {
                remote(options, *workload, progress, report).await?;
            }
            Workload::S1 => {
                let schedules = scaled(crowd::SCHEDULES, options.scale);
                progress(&format!("{workload}, {schedules} schedules"));
                report(&crowd::measure(options, schedules).await?);
            }
            Workload::V1 => {
                for tasks in checking::SIZES {
                    let tasks = scaled(tasks, options.scale);
                    progress(&format!("{workload}, a definition of {tasks} tasks"));
                    checking::SHARES.iter().for_each(|it| report(&checking::measure(tasks, *it)));
                }
            }
        }
    }
    Ok(())
}

/// Every worker at every number of runs at a time.
async fn remote(
    options: &Options,
    workload: Workload,
    progress: &mut dyn FnMut(&str),
    report: &mut dyn FnMut(&Row),
) -> Result<(), Error> {
    if workload == Workload::R1 {
        progress("R1, a worker that waits");
        report(&reach::measure(options).await?);
    }
    for worker in &options.workers {
        for concurrency in &options.concurrency {
            progress(&format!("{workload}, worker {}, {concurrency} at a time", worker.name));
            let measured =
                over_http::to_the_end(options, workload, Some(worker), *concurrency).await?;
            report(&measured);
        }
    }
    Ok(())
}

fn scaled(size: usize, scale: f64) -> usize {
    ((size as f64 * scale) as usize).max(10)
}

/// A store of its own for one measurement; its files go with it.
struct Scratch {
    path: PathBuf,
}

/// Sets up the engine that is measured: the handler `step`, on a store at a path.
pub fn builder(store: &Path) -> EngineBuilder {
    let config = Config { allow_large: true, ..Config::default() };
    Engine::builder()
        .store(&format!("sqlite:{}", store.display()))
        .config(config)
        .handler("step", async |_: Context, _: Value| Ok::<_, TaskError>(json!({"ok": true})))
}

impl Error {
    fn remote(error: impl std::fmt::Display) -> Error {
        Error::Remote(error.to_string())
    }
}

impl Scratch {
    fn new(options: &Options, name: &str) -> Scratch {
        let scratch =
            Scratch { path: options.directory.join(format!("{name}-{}.db", std::process::id())) };
        scratch.remove();
        scratch
    }

    async fn open(&self) -> Result<Engine, Error> {
        Ok(builder(&self.path).open().await?)
    }

    /// Measures what a plain table takes of rows of this size, in rows a second.
    async fn bare_limit(&self, rows: u64, row_bytes: usize) -> Result<f64, Error> {
        let bare = Scratch { path: self.path.with_extension("bare.db") };
        let rows = rows.clamp(LIMIT_ROWS_MIN, LIMIT_ROWS_MAX);
        let measured = tokio::task::spawn_blocking(move || {
            surefoot::store::bare_limit(&bare.path, rows, row_bytes, LIMIT_BATCH)
        });
        Ok(measured.await.expect("the measurement does not panic")?)
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            // What was never made is not there.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
