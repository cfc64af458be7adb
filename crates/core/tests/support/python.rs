//! Oracles in Python, where there is one that has their package.

#![allow(clippy::disallowed_types, reason = "an oracle is a program of its own")]
#![allow(clippy::print_stderr, reason = "what was skipped, loudly")]

use std::process::{Child, Command, Stdio};

/// Starts a script of `xtask/oracles`, or says loudly why it cannot be. `SUREFOOT_PYTHON` names the
/// Python that has `z3-solver`.
pub fn start(script: &str) -> Option<Child> {
    let python = std::env::var("SUREFOOT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import z3"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|it| it.success()) {
        let why = format!("python3 with z3-solver is not there, so {script} cannot run");
        assert!(std::env::var_os("SUREFOOT_REQUIRE_ALL").is_none(), "{why}");
        eprintln!("SKIPPED: {why}");
        return None;
    }
    let path = format!("{}/../../xtask/oracles/{script}", env!("CARGO_MANIFEST_DIR"));
    let process =
        Command::new(python).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    Some(process.unwrap())
}
