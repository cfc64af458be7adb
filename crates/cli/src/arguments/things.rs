//! Commands about everything else.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;
use surefoot_bench::{SECONDS, Workload};

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
    /// Removes a run that has ended, and its sub-runs, so that nothing of them can be read any more.
    Erase {
        /// An id, a prefix of one, `@latest`, or `key:KEY`.
        run: String,
    },
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

/// Measures this program on this machine, beside the bare limit of its disk.
///
/// Stores are made in `.surefoot/bench`, or in the directory that `--store` names, and removed
/// afterwards.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot bench W1 W2 --concurrency 1 --concurrency 256")]
pub struct Bench {
    /// W1 (one step) to W6 (a million waiting runs), H1 to H6 (a server), R1 to R3 (workers in other processes), S1 (schedules), V1 (checks); all of them by default.
    pub workloads: Vec<Workload>,
    /// Runs at a time, a row for each. 1, 16, 64 and 256 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: Vec<u16>,
    /// How long each row of a number of runs at a time is measured.
    #[arg(long, default_value_t = SECONDS)]
    pub seconds: f64,
    /// Factor on the sizes of W5, W6, H5 and S1.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Another worker for R1 to R3, beside this program: what the rows call it, and the program
    /// with its arguments. It has the handler `conformance.echo`, and SUREFOOT_SERVER says where
    /// the server is. No shell reads it; quotes keep words together.
    #[arg(long, value_name = "NAME=ARGV")]
    pub worker: Vec<String>,
    /// One line of JSON for each row; as `-o jsonl`.
    #[arg(long)]
    pub json: bool,
    /// Is the server that is measured, over the store at this path.
    #[arg(long, value_name = "PATH", hide = true)]
    pub serve: Option<PathBuf>,
}

/// Tokens: who may call a server.
///
/// With --server the server makes them; without, the project's own store does.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot token create ada --role operator --group finance")]
pub struct Token {
    #[command(subcommand)]
    pub action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Makes a token. Its text is shown this once.
    Create {
        name: String,
        /// viewer, operator, deployer, admin or worker.
        #[arg(long)]
        role: String,
        /// Only workflows whose id begins with it and a dot; `default` is those without a dot.
        #[arg(long, value_name = "NAME")]
        namespace: Vec<String>,
        /// A group whose approvals the holder may decide.
        #[arg(long, value_name = "NAME")]
        group: Vec<String>,
        /// For workers: what they may offer.
        #[arg(long, value_name = "NAME")]
        capability: Vec<String>,
        /// When it ends: an instant in RFC 3339.
        #[arg(long, value_name = "INSTANT")]
        expires_at: Option<String>,
    },
    /// Lists tokens, never their texts.
    Ls,
    /// Forgets a token: from then on it is refused.
    Revoke { name: String },
}

/// Shows who asked a server for which change, newest first.
///
/// With --server the server tells it; without, the project's own store does.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  surefoot audit --limit 20 -o json"
)]
pub struct Audit {
    #[command(subcommand)]
    pub action: Option<AuditAction>,
    /// At most so many entries.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Goes on where a listing before ended.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Checks that no entry was changed, taken out or put in. Exits with 1 if one was, and names it.
    #[command(after_help = "Example:\n  surefoot audit check")]
    Check,
}

/// Secrets that the store keeps, sealed: `secrets.NAME` of definitions.
///
/// With --server the server keeps them; without, the project's own store does. No command shows a
/// value.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot secret set payments < token.txt")]
pub struct Secret {
    #[command(subcommand)]
    pub action: SecretAction,
}

#[derive(Debug, Subcommand)]
pub enum SecretAction {
    /// Keeps a secret. Its value comes from standard input or a file, never from the arguments.
    Set {
        name: String,
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Lists names, when they were set and by whom; never values.
    List,
    /// Forgets a secret.
    Remove { name: String },
    /// Seals every secret with the key of a file, which is made if there is none.
    RotateKey { file: PathBuf },
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
