//! The kind `shell` with real processes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{context, failed};
use surefoot::kinds::{Context, Kind, ShellConfig, ShellKind, TaskError};

fn kind() -> ShellKind {
    ShellKind::new(ShellConfig { enabled: true, ..ShellConfig::default() })
}

async fn run(with: Value) -> Result<Value, TaskError> {
    kind().run(&context("sh"), with).await
}

#[tokio::test]
async fn a_program_gives_its_output() {
    let output = run(json!({"argv": ["printf", "%s|", "a b", "$HOME", "`id`"]})).await.unwrap();
    let expected = json!({
        "exit_code": 0, "stdout": "a b|$HOME|`id`|", "stderr": "",
        "stdout_truncated": false, "stderr_truncated": false,
    });
    assert_eq!(output, expected);
    for (with, key, expected) in [
        (json!({"script": "echo out; echo err >&2"}), "stderr", json!("err\n")),
        (json!({"script": "cat", "stdin": "text"}), "stdout", json!("text")),
        (
            json!({"script": "cat", "stdin": {"a": 1}, "output": {"parse": "json"}}),
            "json",
            json!({"a": 1}),
        ),
        (
            json!({"script": "echo a; echo b", "output": {"parse": "lines"}}),
            "lines",
            json!(["a", "b"]),
        ),
        (json!({"script": "exit 3", "ok_exit_codes": [0, 3]}), "exit_code", json!(3)),
        (
            json!({"script": "echo \"$V\"", "env": {"V": "$(id) `id`"}}),
            "stdout",
            json!("$(id) `id`\n"),
        ),
        (json!({"script": "printf '\\377'"}), "stdout", json!("\u{fffd}")),
        (json!({"argv": ["true"], "stdin": "x".repeat(1_000_000)}), "exit_code", json!(0)),
        (json!({"script": "echo 123456", "max_output_bytes": 3}), "stdout", json!("123")),
        (json!({"script": "echo 123456", "max_output_bytes": 3}), "stdout_truncated", json!(true)),
        (json!({"script": "pwd", "cwd": "/"}), "stdout", json!("/\n")),
    ] {
        let output = run(with.clone()).await.unwrap();
        assert_eq!(output[key], expected, "{with}");
    }
}

#[tokio::test]
async fn a_program_sees_little_of_our_environment() {
    let output = run(json!({"argv": ["env"], "env": {"N": 5}})).await.unwrap();
    let mut names: Vec<&str> =
        output["stdout"].as_str().unwrap().lines().filter_map(|it| it.split('=').next()).collect();
    names.retain(|it| !["PATH", "HOME", "LANG", "TZ"].contains(it));
    names.sort_unstable();
    let ours = ["SUREFOOT_ATTEMPT", "SUREFOOT_IDEMPOTENCY_KEY", "SUREFOOT_RUN", "SUREFOOT_TASK"];
    assert_eq!(names, [&["N"][..], &ours].concat());
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there was something to hide");
    let inherit = vec!["CARGO_MANIFEST_DIR".to_owned()];
    let open = ShellKind::new(ShellConfig { enabled: true, inherit, ..ShellConfig::default() });
    let with = json!({"script": "test -n \"$CARGO_MANIFEST_DIR\"; echo $SUREFOOT_IDEMPOTENCY_KEY"});
    assert_eq!(open.run(&context("sh"), with).await.unwrap()["stdout"], "key-of-sh\n");
}

#[tokio::test]
async fn a_program_is_told_where_in_a_trace_it_stands() {
    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let script = "echo ${TRACEPARENT-none} ${TRACESTATE-none}";
    for (place, state, env, expected) in [
        ("", "", json!({}), "none none".to_owned()),
        (PLACE, "", json!({}), format!("{PLACE} none")),
        (PLACE, "a=1,b=2", json!({}), format!("{PLACE} a=1,b=2")),
        (PLACE, "a=1", json!({"TRACEPARENT": "own"}), "own none".to_owned()),
        (PLACE, "a=1", json!({"TRACESTATE": "own=1"}), format!("{PLACE} own=1")),
    ] {
        let context = context("sh").with_traceparent(place).with_tracestate(state);
        let with = json!({"script": script, "env": env});
        let output = kind().run(&context, with.clone()).await.unwrap();
        assert_eq!(output["stdout"], format!("{expected}\n"), "{with}");
    }
}

#[tokio::test]
async fn every_failure_has_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (with, kind, retryable) in [
        (json!({"argv": ["no-such-program"]}), "shell_not_found", false),
        (json!({"argv": [plain]}), "shell_denied", false),
        (json!({"script": "echo $UNSET_VARIABLE"}), "shell_exit", true),
        (json!({"script": "false; echo not reached"}), "shell_exit", true),
        (json!({"script": "kill -9 $$"}), "shell_killed", true),
        (json!({"script": "echo {", "output": {"parse": "json"}}), "invalid_json", true),
        (
            json!({"script": "echo 1234", "output": {"parse": "json"}, "max_output_bytes": 2}),
            "shell_output_limit",
            false,
        ),
        (json!({"argv": ["yes"]}), "shell_output_limit", false),
        (json!({"argv": ["true"], "cwd": "/no/such/directory"}), "bad_parameters", false),
        (json!({"argv": ["true"], "cwd": plain}), "bad_parameters", false),
        (json!({"argv": ["true"], "env": {"A=B": "c"}}), "bad_parameters", false),
        (json!({"argv": ["a\0b"]}), "bad_parameters", false),
        (json!({"argv": ["true", "x".repeat(1 << 20)]}), "bad_parameters", false),
        (json!({"argv": ["true"], "script": "true"}), "bad_parameters", false),
        (json!({}), "bad_parameters", false),
    ] {
        failed(run(with).await, kind, retryable);
    }
    let error =
        failed(run(json!({"script": "echo a >&2; echo b >&2; exit 7"})).await, "shell_exit", true);
    assert_eq!((error.status, &error.details), (Some(7), &json!({"stderr": "a\nb"})));
    let off = ShellKind::new(ShellConfig::default());
    failed(off.run(&context("sh"), json!({"argv": ["true"]})).await, "shell_denied", false);
}

#[tokio::test]
async fn a_directory_outside_the_roots_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink("/", root.join("out")).unwrap();
    let config = ShellConfig {
        enabled: true,
        directory: root.clone(),
        roots: vec![root.clone()],
        ..ShellConfig::default()
    };
    let kind = ShellKind::new(config);
    for cwd in ["..", "/", "out"] {
        let found = kind.run(&context("sh"), json!({"argv": ["pwd"], "cwd": cwd})).await;
        failed(found, "shell_denied", false);
    }
    let output = kind.run(&context("sh"), json!({"argv": ["pwd"]})).await.unwrap();
    let expected = format!("{}\n", root.canonicalize().unwrap().display());
    assert_eq!(output["stdout"], expected);
}

#[tokio::test]
async fn lines_are_logged_as_they_come() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let context = Context::for_test("sh", move |level, text| {
        log.lock().unwrap().push(format!("{level}: {text}"));
    });
    let with = json!({"script": "echo a; echo b; printf c"});
    kind().run(&context, with).await.unwrap();
    assert_eq!(*lines.lock().unwrap(), ["stdout: a", "stdout: b", "stdout: c"]);
    lines.lock().unwrap().clear();
    let with = json!({"script": "head -c 20000 /dev/zero | tr '\\0' x"});
    kind().run(&context, with).await.unwrap();
    let lengths: Vec<usize> =
        lines.lock().unwrap().iter().map(|it| it.len() - "stdout: ".len()).collect();
    assert_eq!(lengths.iter().sum::<usize>(), 20_000);
    assert!(lengths.iter().all(|it| *it <= 8 * 1024), "{lengths:?}");
}

/// Waits until the processes whose numbers a script wrote are there, and returns them.
async fn pids(file: &Path, count: usize) -> Vec<String> {
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() == count {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until none of the processes runs; a dead one that its parent has not noted counts as gone.
async fn gone(pids: &[String]) {
    for pid in pids {
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(") ").next().and_then(|it| it.chars().next());
            if matches!(state, None | Some('Z' | 'X')) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A script that starts a child of its own, and does not heed SIGTERM if `stubborn`.
fn family(file: &Path, stubborn: bool, last: &str) -> Value {
    let trap = if stubborn { "trap '' TERM;" } else { "" };
    json!({
        "script": format!("{trap} sleep 1000 & echo $! >> \"$PIDS\"; echo $$ >> \"$PIDS\"; {last}"),
        "env": {"PIDS": file},
    })
}

#[tokio::test]
async fn no_process_outlives_its_attempt() {
    for (name, stubborn) in [("polite", false), ("stubborn", true)] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        let context = context("sh");
        let attempt = context.clone();
        let with = family(&file, stubborn, "wait");
        let config = ShellConfig { enabled: true, kill_grace_ms: 50, ..ShellConfig::default() };
        let call = tokio::spawn(async move { ShellKind::new(config).run(&attempt, with).await });
        let pids = pids(&file, 2).await;
        context.cancel_for_test();
        failed(call.await.unwrap(), "cancelled", true);
        gone(&pids).await;
    }
}

#[tokio::test]
async fn dropping_the_future_kills_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let with = family(&file, true, "wait");
    let call = tokio::spawn(async move { run(with).await });
    let pids = pids(&file, 2).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    gone(&pids).await;
}

#[tokio::test]
async fn what_a_script_leaves_in_the_background_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let output = run(family(&file, true, "echo done")).await.unwrap();
    assert_eq!(output["stdout"], "done\n");
    gone(&pids(&file, 2).await).await;
}
