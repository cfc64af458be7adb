//! Commands for whoever writes workflows.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Writes a workflow to start from, with a test, a schema for editors and a README.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot init order shop")]
pub struct Init {
    /// What to start from; see --list.
    #[arg(default_value = "hello")]
    pub template: String,
    /// Where to write it. Defaults to a new directory named after the template.
    pub directory: Option<PathBuf>,
    /// Lists the templates.
    #[arg(long)]
    pub list: bool,
}

/// Checks definitions and reports every problem of every file.
///
/// Without files, every *.surefoot.yaml below the current directory is checked. What can be wrong in
/// some execution is shown with the steps that lead there. A *.bpmn (BPMN 2.0) or *.pnml file is
/// proved able to end, or refuted by a run. Exits with 3 if a definition is rejected.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    surefoot check order.surefoot.yaml --prove\n  \
    surefoot check order.surefoot.yaml --explain pay\n  \
    surefoot check order.surefoot.yaml --against 1.0.0\n  \
    surefoot check --verify-certificate proofs/*.json\n  \
    surefoot check --format sarif > surefoot.sarif")]
pub struct Check {
    pub files: Vec<PathBuf>,
    /// Takes warnings for errors; with --prove also what could not be proved.
    #[arg(long)]
    pub strict: bool,
    /// How problems are written.
    #[arg(long, default_value = "human")]
    pub format: Report,
    /// Lists every property: proved, refuted or unknown, with bounds and assumptions.
    #[arg(long)]
    pub prove: bool,
    /// Says in words when a task or state runs, and what its failure does.
    #[arg(long, value_name = "TASK")]
    pub explain: Option<String>,
    /// Compares with an older definition: a file, or a version in the project's store. Says for each
    /// task and state whether runs that stand there could go on with this one.
    #[arg(long, value_name = "VERSION|FILE")]
    pub against: Option<String>,
    /// Writes each execution that refutes something to a file that `run --replay-counterexample`
    /// takes.
    #[arg(long, value_name = "DIR")]
    pub save_counterexamples: Option<PathBuf>,
    /// Writes what shows the proofs, one file each: contradictions, executions, orders and exits.
    #[arg(long, value_name = "DIR")]
    pub save_certificates: Option<PathBuf>,
    /// Checks such files, with a checker that shares no code with the verifier, against the named
    /// definitions or those below the current directory.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["prove", "explain", "against", "graph", "save_counterexamples", "save_certificates"]
    )]
    pub verify_certificate: Vec<PathBuf>,
    /// Draws the definitions as well, with marks on what was refuted.
    #[arg(long, value_name = "PICTURE")]
    pub graph: Option<Picture>,
    /// Allows definitions of generated size: 64 MiB, 100,000 tasks.
    #[arg(long)]
    pub large: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    Human,
    Json,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    Ascii,
    Mermaid,
    Dot,
    Svg,
}

/// Draws a definition.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot graph order.surefoot.yaml --format svg > order.svg")]
pub struct Graph {
    pub file: PathBuf,
    /// The workflow, if the file has several.
    pub workflow: Option<String>,
    #[arg(long, default_value = "ascii")]
    pub format: Picture,
    /// Allows definitions of generated size: 64 MiB, 100,000 tasks.
    #[arg(long)]
    pub large: bool,
}

/// Runs a workflow in this process, durably, and waits for its end.
///
/// The run is kept in the store as it goes: after Ctrl-C or a crash, `--resume` goes on with it.
/// Exits with 0 if it completed, 1 if it failed, 9 if it was cancelled.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  surefoot run order.surefoot.yaml -i order_id=o-1 -i 'items=[1,2]'"
)]
pub struct Run {
    /// The definition. Defaults to the only *.surefoot.yaml here.
    pub file: Option<PathBuf>,
    /// The workflow, if the file has several.
    pub workflow: Option<String>,
    #[command(flatten)]
    pub request: Request,
    /// Goes on with everything in the store until only waits are left.
    #[arg(long, conflicts_with_all = ["file", "resume"])]
    pub all: bool,
    /// Goes on with this run instead of starting one.
    #[arg(long, value_name = "RUN", conflicts_with = "file")]
    pub resume: Option<String>,
    /// Answers a handler or kind with this output instead of executing it.
    #[arg(long, value_name = "NAME=JSON")]
    pub mock: Vec<String>,
    /// Prints what would run, in order, and runs nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Makes the execution that a check wrote down, step by step, and touches nothing outside.
    ///
    /// Exits with 0 if what the file expects happens, else with 1.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "resume", "mock", "dry_run"])]
    pub replay_counterexample: Option<PathBuf>,
    /// Stops waiting after this time, such as 30s; the run is kept. Exits with 8.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Stops when nothing but waits for people, signals or distant times is left. Exits with 8.
    #[arg(long)]
    pub until_idle: bool,
    /// Allows definitions of generated size: 64 MiB, 100,000 tasks.
    #[arg(long)]
    pub large: bool,
}

/// Tries definitions out: the cases of *.surefoot-test.yaml, on a virtual clock.
///
/// Nothing sleeps and nothing outside is touched. Exits with 1 if a case fails.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot test --crash-everywhere --junit report.xml")]
pub struct Test {
    pub files: Vec<PathBuf>,
    /// Only cases whose name has this text.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Repeats each case with a crash at every place of its journal.
    #[arg(long)]
    pub crash_everywhere: bool,
    /// Writes a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// What a run is started with.
#[derive(Debug, Args)]
pub struct Request {
    /// A field of the input. The value is JSON if it reads as JSON, else text; dots nest.
    #[arg(short = 'i', value_name = "NAME=VALUE")]
    pub fields: Vec<String>,
    /// The whole input: JSON, a file, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub input: Option<String>,
    /// Starting twice with one key starts once.
    #[arg(long)]
    pub key: Option<String>,
    /// A label to find the run by.
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Higher goes first.
    #[arg(long, allow_negative_numbers = true)]
    pub priority: Option<i32>,
}

/// Converts a definition from elsewhere and lists what was changed: WfCommons, or *.bpmn.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  surefoot convert montage.json --time-scale 0.001 --to montage.surefoot.yaml"
)]
pub struct Convert {
    pub file: PathBuf,
    /// What the file is.
    #[arg(long, default_value = "auto")]
    pub from: ConvertFrom,
    /// Makes runtimes shorter or longer: 0.001 makes a second of 1000.
    #[arg(long, default_value_t = 1.0)]
    pub time_scale: f64,
    /// What tasks become.
    #[arg(long, default_value = "wait")]
    pub kind: ConvertTo,
    /// Writes the definition here instead of to standard output.
    #[arg(long = "to", value_name = "FILE")]
    pub to_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConvertFrom {
    Auto,
    Wfcommons,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConvertTo {
    /// A wait as long as the task ran.
    Wait,
    /// Nothing, at once.
    Transform,
}
