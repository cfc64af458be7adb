//! Commands about runs.

use clap::{Args, ValueEnum};

use super::{Picture, Request};

/// Starts a run of a workflow that was deployed, and returns at once.
///
/// The process that owns the store executes it; if none does, `surefoot run --all` will.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot start order -i order_id=o-1 --key o-1")]
pub struct Start {
    pub workflow: String,
    /// The newest version if none is named.
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    #[command(flatten)]
    pub request: Request,
}

/// Lists runs, newest first; or workflows, or tasks that wait for people.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot ls -f 'status:failed workflow:order since:1h'")]
pub struct Ls {
    #[arg(default_value = "runs")]
    pub what: Listing,
    /// Only these: words of status:, workflow:, key:, label.NAME:, since: (a duration).
    #[arg(short, long, value_name = "QUERY")]
    pub filter: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Goes on where a listing before ended.
    #[arg(long, value_name = "RUN")]
    pub cursor: Option<String>,
    /// Shows how it stands, again and again, like `top`: runs, queues, workers. In a pipe, a line for
    /// each change; for machines, the list for each change.
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    Runs,
    Workflows,
    Tasks,
}

/// Shows a run: its status, its tasks and why it is where it is.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot show @latest-failed --errors")]
pub struct Show {
    /// An id or a unique part of its start, @latest, @latest-failed or key:KEY.
    #[arg(default_value = "@latest")]
    pub run: String,
    /// Every event of its journal, one a row.
    #[arg(long)]
    pub history: bool,
    /// Attempts and waits as bars over time.
    #[arg(long)]
    pub timeline: bool,
    /// Its definition as a picture, with the statuses of its tasks.
    #[arg(long, value_name = "PICTURE", num_args = 0..=1, default_missing_value = "ascii")]
    pub graph: Option<Picture>,
    /// Only its input, as JSON.
    #[arg(long)]
    pub input: bool,
    /// Only its output, as JSON.
    #[arg(long)]
    pub output: bool,
    /// What went wrong, in full.
    #[arg(long)]
    pub errors: bool,
    /// Why each task that has not ended is where it is, or one task.
    #[arg(long, value_name = "TASK", num_args = 0..=1)]
    pub why: Option<Option<String>>,
    /// The ways out of the current state of each machine, and why closed ones are closed.
    #[arg(long)]
    pub transitions: bool,
    /// Writes its attempts and waits as a file for ui.perfetto.dev or chrome://tracing; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<std::path::PathBuf>,
}

/// Prints what tasks logged.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot logs @latest pay -f")]
pub struct Logs {
    #[arg(default_value = "@latest")]
    pub run: String,
    /// Only this task.
    pub task: Option<String>,
    /// Goes on as long as the run does.
    #[arg(short, long)]
    pub follow: bool,
    /// Only this attempt.
    #[arg(long)]
    pub attempt: Option<u32>,
    /// Only lines with this text.
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
}

/// Sends a signal to a run, or an event to its machine.
///
/// Without a name it says what is waited for.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot signal @latest submit -d '{\"data_ready\": true}'")]
pub struct Signal {
    pub run: String,
    pub name: Option<String>,
    /// What it brings: JSON, @FILE, or - for standard input.
    #[arg(short, long, value_name = "JSON")]
    pub data: Option<String>,
    #[command(flatten)]
    pub who: Who,
}

// What cancel, kill, pause and resume take.
#[derive(Debug, Args)]
pub struct Verb {
    /// An id or a unique part of its start, @latest, @latest-failed or key:KEY.
    pub run: String,
    #[command(flatten)]
    pub who: Who,
}

/// Who does it, for the audit.
#[derive(Clone, Debug, Args)]
pub struct Who {
    /// Why, for the journal.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who does it. Defaults to `actor` of the configuration, or the user's name.
    #[arg(long = "as", value_name = "NAME")]
    pub actor: Option<String>,
}

/// Runs what failed again, keeping good results.
///
/// With --to, a task and all behind it run again. With --with-input, a new run starts that takes
/// over the results before --to.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot retry @latest-failed --to pay")]
pub struct Retry {
    pub run: String,
    /// Rewinds to this task.
    #[arg(long, visible_alias = "from", value_name = "TASK")]
    pub to: Option<String>,
    /// Starts a new run with this input: JSON, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON")]
    pub with_input: Option<String>,
    #[command(flatten)]
    pub who: Who,
}

/// Skips a task that has not ended.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot skip @latest notify --reason 'told by phone'")]
pub struct Skip {
    pub run: String,
    pub task: String,
    #[command(flatten)]
    pub who: Who,
}

/// Completes a task with a result given by hand.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot set-result @latest pay '{\"charge\": \"c-1\"}'")]
pub struct SetResult {
    pub run: String,
    pub task: String,
    /// JSON, @FILE, or - for standard input.
    pub output: String,
    #[command(flatten)]
    pub who: Who,
}
