//! `surefoot demo`, run as its users run it: the engine in it really dies.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn surefoot(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_surefoot"))
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .env_remove("SUREFOOT_STORE")
        .output()
        .unwrap()
}

/// Runs the command, which must succeed, and returns what it printed.
#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = surefoot(folder, arguments);
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}\n{err}");
    (out, err)
}

#[test]
fn an_order_is_run_and_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = succeeds(folder.path(), &["demo"]);
    for part in ["charge ch_1: 42.00", "cup: 5 before, 4 after", "tea: 10 before, 8 after"] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(err.contains("completed  pay"), "{err}");
    let shown = out.lines().find_map(|it| it.strip_prefix("Look at it   surefoot ")).unwrap();
    let (shown, _) = succeeds(folder.path(), &shown.split(' ').collect::<Vec<_>>());
    assert!(shown.contains("order_processing"), "{shown}");
}

/// Kills the engine at a moment, and returns the evidence.
#[track_caller]
fn crash(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let all = [&["demo", "-o", "json"], arguments].concat();
    let (out, err) = succeeds(folder.path(), &all);
    let evidence: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(evidence["proved"], true, "{evidence:#}\n{err}");
    assert_eq!(evidence["crash"]["signal"], 9);
    assert_eq!(evidence["crash"]["run"], evidence["run"], "the same run went on");
    assert_eq!(evidence["status"], "completed");
    assert_eq!(evidence["charges"].as_array().unwrap().len(), 1);
    assert_eq!(evidence["stock_after"], serde_json::json!({"cup": 4, "tea": 8}));
    evidence
}

#[test]
fn a_finished_payment_is_not_asked_for_again() {
    for arguments in [&["--crash"][..], &["--crash-at", "reserve"], &["--crash-at", "notify"]] {
        let evidence = crash(arguments);
        assert_eq!(evidence["charge_requests"], 1, "{arguments:?}");
        assert_eq!(evidence["pay_attempts"], 1, "{arguments:?}");
    }
    crash(&["--crash-at", "validate"]);
}

#[test]
fn a_payment_that_was_cut_off_is_asked_for_again_with_the_same_key() {
    let evidence = crash(&["--crash-during"]);
    assert_eq!((&evidence["charge_requests"], &evidence["pay_attempts"]), (&2.into(), &2.into()));
}

#[test]
fn the_proof_is_told_in_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = succeeds(folder.path(), &["demo", "--crash"]);
    assert!(out.contains("killed by signal 9, once `pay` was durable"), "{out}");
    assert!(out.contains("payment ran once: yes") && !out.contains("refuted"), "{out}");
    assert!(err.contains("what the store has: validate completed, approve skipped, pay completed"));
    let after = err.split("another engine opens the store:").nth(1).unwrap();
    assert!(!after.contains("dispatched pay"), "{after}");
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["demo", "--crash", "--store", "memory:"][..], 2),
        (&["demo", "--crash-at", "dinner"], 2),
        (&["demo", "--crash-at", "pay", "--crash-during"], 2),
    ] {
        let output = surefoot(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
