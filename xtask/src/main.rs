//! Chores of the repository. `cargo xtask ci` runs what continuous integration runs;
//! `cargo xtask tidy` runs the project's own rules, which are tests in `xtask/tests/tidy`.

#![expect(clippy::print_stderr, reason = "a chore talks to its terminal")]

use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask CHORE

  ci      runs what continuous integration runs, without installing anything
  tidy    checks the rules that the compiler does not know";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next();
    match (chore.as_deref(), arguments.next()) {
        (Some("ci"), None) => run(Command::new("bash").args([".ci/run", "--no-install"])),
        (Some("tidy"), None) => {
            run(Command::new(env!("CARGO")).args(["test", "--package", "xtask", "--test", "tidy"]))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command at the root of the repository.
fn run(command: &mut Command) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    match command.current_dir(root).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot run {}: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    }
}
