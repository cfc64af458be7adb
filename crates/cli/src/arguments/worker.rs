//! Commands about processes that execute tasks for a server.

use clap::{Args, Subcommand};

/// Executes tasks of a server in this process: with commands, or with built-in kinds.
///
/// A command gets the task's input as JSON on standard input and writes its output as JSON to
/// standard output. Exit code 0 is success, 65 is a failure that no other attempt can cure, any
/// other may be tried again. SUREFOOT_IDEMPOTENCY_KEY, SUREFOOT_RUN, SUREFOOT_TASK and
/// SUREFOOT_ATTEMPT say what it works on, TRACEPARENT and TRACESTATE where in a trace. The first
/// SIGTERM or Ctrl-C takes nothing new and lets tasks end.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  surefoot worker --server http://127.0.0.1:7070 --command pay='python3 pay.py'"
)]
pub struct Worker {
    #[command(subcommand)]
    pub action: Option<WorkerAction>,
    /// Tasks that are executed at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub slots: u32,
    /// How people see it.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Something to tell workers apart by.
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// The program (with its arguments) that executes the tasks that `use` a name. No shell reads
    /// it; quotes keep words together.
    #[arg(long, value_name = "NAME=ARGV")]
    pub command: Vec<String>,
    /// Built-in kinds that the server leaves to workers (`server.worker_kinds`).
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    pub capabilities: Vec<String>,
    /// Offers the handlers of the conformance run.
    #[arg(long)]
    pub conformance: bool,
}

#[derive(Debug, Subcommand)]
pub enum WorkerAction {
    /// Lists the workers of a server and what they execute.
    Ls,
    /// Gives a worker no more tasks: it finishes what it has, and goes.
    Drain {
        /// Its id; a part of it that is unique is enough.
        id: String,
    },
    Conformance(Conformance),
}

/// Holds a worker in any language to the protocol.
///
/// The worker under test has to be running, with the handlers that docs/worker-conformance.md
/// lists. Prints a line for each check; exits with 1 if one fails.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot worker conformance http://127.0.0.1:7070")]
pub struct Conformance {
    /// The server that the worker is connected to; otherwise that of --server.
    pub url: Option<String>,
    /// Seconds to wait for the worker.
    #[arg(long, default_value_t = 30)]
    pub wait: u64,
    /// Seconds of the long task: more than a lease.
    #[arg(long, default_value_t = 15)]
    pub long: u64,
    /// Leaves the worker running at the end.
    #[arg(long)]
    pub no_drain: bool,
}
