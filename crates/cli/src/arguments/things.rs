//! Commands about everything else.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::Who;

/// Tasks that wait for people.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot task approve @latest --comment 'looks right'")]
pub struct Task {
    #[command(subcommand)]
    pub action: TaskAction,
}

#[derive(Debug, Subcommand)]
pub enum TaskAction {
    /// Lists the tasks that wait for people.
    Ls,
    /// Shows what is asked, and who has voted.
    Show { run: String, task: Option<String> },
    /// Approves.
    Approve(Vote),
    /// Rejects.
    Reject(Vote),
}

#[derive(Debug, Args)]
pub struct Vote {
    pub run: String,
    /// The task, if several wait.
    pub task: Option<String>,
    /// What is asked for by a form: JSON, @FILE, or - for standard input.
    #[arg(short, long, value_name = "JSON")]
    pub data: Option<String>,
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// A group that the voter belongs to.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    #[command(flatten)]
    pub who: Who,
}

/// The store of this project.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot store backup before-upgrade.db")]
pub struct Store {
    #[command(subcommand)]
    pub action: StoreAction,
}

#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Says where it is, how large, and what it holds.
    Info,
    /// Checks everything that can be checked. Exits with 1 if something is wrong.
    Verify,
    /// Copies a consistent image while runs go on.
    Backup { path: PathBuf },
    /// Removes runs that ended long ago.
    Gc {
        /// Runs that ended longer ago than this go.
        #[arg(long, default_value = "30d", value_name = "DURATION")]
        older_than: String,
        /// Says how many would go, and removes nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Settings: from flags, SUREFOOT_* variables, surefoot.toml and the user's configuration.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot config explain limits.slots")]
pub struct Config {
    #[command(subcommand)]
    pub action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Prints the value that holds.
    Get { key: String },
    /// Writes a value into ./surefoot.toml, or the user's configuration with --user.
    Set {
        key: String,
        value: String,
        #[arg(long)]
        user: bool,
    },
    /// Says which source set a key, and which it overrode.
    Explain { key: String },
    /// Prints every setting and where it comes from.
    Show,
}

/// Measures the engine on this machine's disk, beside what SQLite does without an engine.
///
/// W1: 1 step. W2: 10 in sequence. W3: 100 parallel and a join. W4: 1,000 tasks in 10 layers, each
/// needing 2 of the layer before. W5: one graph of up to 100,000 tasks. W6: 1,000,000 runs that
/// wait for a signal. Every step is synced to disk.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot bench W1 W2 --concurrency 256 --seconds 3")]
pub struct Bench {
    /// Which to measure; all if none is named.
    #[arg(value_name = "W1 … W6")]
    pub workloads: Vec<surefoot_bench::Workload>,
    /// Runs at a time, a row for each (W1 to W4). [default: 1 16 256]
    #[arg(long, value_name = "N", num_args = 1.., value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub concurrency: Vec<u32>,
    /// How long each row of W1 to W4 is measured.
    #[arg(long, default_value_t = surefoot_bench::SECONDS)]
    pub seconds: f64,
    /// Factor on the sizes of W5 and W6.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// One JSON line a row.
    #[arg(long)]
    pub json: bool,
    /// Where the stores are made; the disk that is measured. [default: beside the project's store]
    #[arg(long, value_name = "DIR")]
    pub directory: Option<std::path::PathBuf>,
}

/// Writes a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot completions bash --install")]
pub struct Completions {
    pub shell: Shell,
    /// Writes it where the shell looks for it.
    #[arg(long)]
    pub install: bool,
}

/// Explains a code, or a command.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot help SF1020")]
pub struct Help {
    /// A code such as SF1020, or the name of a command.
    pub topic: Option<String>,
}
