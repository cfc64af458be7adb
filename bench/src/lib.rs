//! Measures the engine on SQLite at full durability, with handlers in the same process, and in the
//! same run what SQLite does without an engine.
//!
//! | file | holds |
//! |---|---|
//! | `workload` | the definitions that are run |
//! | `closed_loop` | W1 to W4: runs a second and their latency at a number of runs at a time |
//! | `one_run` | W5: one large graph |
//! | `checking` | V1: the check of a whole file |
//! | `remote` | R1: one step that a worker in another process executes |
//! | `waiting` | W6: a store full of runs that wait |
//! | `process` | what the process costs meanwhile |
//! | `row` | one line of the result |

mod checking;
mod closed_loop;
mod one_run;
mod process;
mod remote;
mod row;
mod waiting;
mod workload;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::{Config, Context, Engine, EngineBuilder, TaskError};

pub use row::Row;
pub use workload::Workload;

/// Runs at a time, unless somebody asks for other numbers.
pub const CONCURRENCY: [usize; 3] = [1, 16, 256];
/// Seconds that each row of W1 to W4 is measured, unless somebody asks for other ones.
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
    /// Runs at a time, a row for each (W1 to W4).
    pub concurrency: Vec<usize>,
    /// How long each row is measured (W1 to W4).
    pub duration: Duration,
    /// Factor on the sizes of W5 and W6.
    pub scale: f64,
    /// Where the stores are made, and removed afterwards. The disk that is measured.
    pub directory: PathBuf,
    /// The program that is a worker of R1, and its arguments but for `--server URL`.
    pub worker: Vec<OsString>,
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
    #[error("workers cannot be measured: {0}")]
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
            Workload::R1 => {
                progress("R1, a worker that waits");
                report(&remote::dispatch(options).await?);
                for concurrency in &options.concurrency {
                    progress(&format!("R1, {concurrency} at a time"));
                    report(&remote::measure(options, *concurrency).await?);
                }
            }
            Workload::V1 => {
                for tasks in checking::SIZES {
                    let tasks = scaled(tasks, options.scale);
                    progress(&format!("{workload}, a definition of {tasks} tasks"));
                    checking::SHARES.iter().for_each(|it| report(&checking::measure(tasks, *it)));
                }
            }
            Workload::W6 => {
                let runs = scaled(waiting::RUNS, options.scale);
                progress(&format!("{workload}, {runs} waiting runs"));
                waiting::measure(options, runs, progress, report).await?;
            }
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

impl Scratch {
    fn new(options: &Options, name: &str) -> Scratch {
        let scratch =
            Scratch { path: options.directory.join(format!("{name}-{}.db", std::process::id())) };
        scratch.remove();
        scratch
    }

    fn builder(&self) -> EngineBuilder {
        let config = Config { allow_large: true, ..Config::default() };
        Engine::builder()
            .store(&format!("sqlite:{}", self.path.display()))
            .config(config)
            .handler("step", async |_: Context, _: Value| Ok::<_, TaskError>(json!({"ok": true})))
    }

    async fn open(&self) -> Result<Engine, Error> {
        Ok(self.builder().open().await?)
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
