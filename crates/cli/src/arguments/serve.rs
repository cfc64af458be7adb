//! Commands that serve, and that bring definitions to a server.

use std::path::PathBuf;

use clap::Args;

/// Serves the definitions below a directory, and deploys them whenever a file is saved.
///
/// A file that does not pass the checks changes nothing: the version before stays. Runs are kept in
/// `./.surefoot` between restarts.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot dev --port 7070")]
pub struct Dev {
    /// Where the definitions are.
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// On this machine alone. 0 takes a free one.
    #[arg(long, default_value_t = 7070)]
    pub port: u16,
    /// Begins with an empty store and forgets it at the end.
    #[arg(long)]
    pub fresh: bool,
    /// Deploys once, at the start.
    #[arg(long)]
    pub no_reload: bool,
}

/// Serves a store: the HTTP interface, the engine, its schedules.
///
/// Settings are those of surefoot.toml. The first SIGTERM or Ctrl-C takes no more requests and lets
/// attempts end; the second stops at once. What was cut off runs again at the next start.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  surefoot server --print-config > surefoot.toml && surefoot server"
)]
pub struct Server {
    /// Over `server.listen`: an address and a port.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Prints a commented surefoot.toml and ends.
    #[arg(long)]
    pub print_config: bool,
    /// Says whether the configuration is valid and ends.
    #[arg(long)]
    pub check_config: bool,
}

/// Checks definitions and brings them to the store or server.
///
/// Shows what changes, what the check says, and which runs stay on the version that they have.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  surefoot deploy order.surefoot.yaml --dry-run")]
pub struct Deploy {
    /// Files or directories.
    #[arg(required_unless_present = "activate")]
    pub paths: Vec<PathBuf>,
    /// Makes a version that was deployed before the one that new runs take.
    #[arg(long, value_name = "WORKFLOW@VERSION", conflicts_with_all = ["paths", "dry_run", "draft"])]
    pub activate: Option<String>,
    /// Says what would happen, and keeps nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Other content under a version that exists gets a suffix instead of being refused.
    #[arg(long)]
    pub draft: bool,
}
