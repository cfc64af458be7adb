//! What may be typed. Help texts are the manual: each command says what it does and shows one
//! example.

mod author;
mod runs;
mod schedule;
mod serve;
mod things;
mod worker;

use anstream::ColorChoice;
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use crate::demo::Demo;
pub use author::*;
pub use runs::*;
pub use schedule::*;
pub use serve::*;
pub use things::*;
pub use worker::*;

const STYLES: Styles = Styles::styled()
    .header(crate::output::style::HEADING)
    .usage(crate::output::style::HEADING)
    .literal(crate::output::style::NAME)
    .error(crate::output::style::ERROR);

const AFTER: &str = "\
First steps:
  surefoot demo --crash              an order that is killed in the middle, and paid once
  surefoot init hello && cd hello    a workflow, a test and a README
  surefoot check                     prove it before it runs
  surefoot run                       run it; the run survives crashes

Explain a code that a message shows: surefoot help SF1020";

/// A durable workflow engine: definitions are checked before they run, every step is journalled.
#[derive(Debug, Parser)]
#[command(
    name = "surefoot",
    version,
    styles = STYLES,
    after_help = AFTER,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results are written to standard output.
    #[arg(
        id = "output_format",
        short = 'o',
        long = "output-format",
        global = true,
        value_name = "FORMAT"
    )]
    pub format: Option<Format>,
    /// Says less: results and errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Says more on standard error; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours. NO_COLOR and CLICOLOR_FORCE are heeded.
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<Colour>,
    /// The store: a file that keeps runs, or `memory:`.
    #[arg(long, global = true, value_name = "PATH")]
    pub store: Option<String>,
    /// A server, such as http://127.0.0.1:7070: commands talk to it instead of to the store. The
    /// token is taken from SUREFOOT_TOKEN.
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// A `[profile.NAME]` of the configuration.
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// Answers yes to every question.
    #[arg(long, global = true)]
    pub yes: bool,
    /// Draws no progress.
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// How times are written.
    #[arg(long, global = true, value_name = "STYLE")]
    pub time: Option<TimeStyle>,
}

impl Global {
    /// The colours of messages before the configuration is read.
    pub fn colour(&self) -> ColorChoice {
        match self.color {
            Some(Colour::Always) => ColorChoice::Always,
            Some(Colour::Never) => ColorChoice::Never,
            Some(Colour::Auto) | None => ColorChoice::Auto,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Wide,
    Json,
    Jsonl,
    Yaml,
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimeStyle {
    Relative,
    Iso,
    Local,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    // Author.
    Init(Init),
    Check(Check),
    Run(Run),
    Test(Test),
    Graph(Graph),
    Convert(Convert),
    Demo(Demo),
    // Serve.
    Dev(Dev),
    Server(Server),
    Deploy(Deploy),
    Worker(Worker),
    // Runs.
    Start(Start),
    #[command(visible_alias = "list")]
    Ls(Ls),
    Show(Show),
    Logs(Logs),
    Signal(Signal),
    /// Ends a run, with compensation and `finally`.
    #[command(after_help = "Example:\n  surefoot cancel @latest --reason 'wrong order'")]
    Cancel(Verb),
    /// Ends a run at once, without compensation and `finally`.
    #[command(after_help = "Example:\n  surefoot kill 01M7ZY86MJ --yes")]
    Kill(Verb),
    /// Starts nothing new in a run; what runs may end.
    #[command(after_help = "Example:\n  surefoot pause @latest")]
    Pause(Verb),
    /// Goes on with a paused run.
    #[command(after_help = "Example:\n  surefoot resume @latest")]
    Resume(Verb),
    Retry(Retry),
    Skip(Skip),
    SetResult(SetResult),
    // Things.
    Task(Task),
    Schedule(Schedule),
    Store(Store),
    Token(Token),
    Secret(Secret),
    Audit(Audit),
    Config(Config),
    Bench(Bench),
    Completions(Completions),
    Help(Help),
}
