//! Runs from start to end, and what is done to them in between.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::json;
use support::{ASK, FAILS, HELLO, Project};

const INTERRUPT: i32 = 2;

fn hello() -> Project {
    Project::new(&[("hello.surefoot.yaml", HELLO)])
}

fn ask() -> Project {
    Project::new(&[("ask.surefoot.yaml", ASK)])
}

#[test]
fn the_output_goes_to_standard_output_and_the_story_to_standard_error() {
    let done = hello().run(&["run", "-i", "name=Ada"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let output: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(output, json!({"text": "Hello, Ada!"}));
    for word in ["created", "completed  compose", "ended", "2 completed", "completed after"] {
        assert!(done.err.contains(word), "{word}: {}", done.err);
    }
    assert!(!done.err.contains("\x1b["), "no colours in a pipe");
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let done = hello().run(&["run", "-q", "-o", "json"]);
    assert_eq!(done.err, "");
    let value: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(value["status"], "completed");
}

#[test]
fn a_failed_run_exits_with_1_and_says_what_to_try() {
    let project = Project::new(&[("fails.surefoot.yaml", FAILS)]);
    project.fails(&["run"], 1, &["`bad` failed: no luck", "surefoot retry"]);
    let show = project.json(&["show", "@latest-failed", "-o", "json"]);
    assert_eq!(show["tasks"][1]["error"]["message"], "no luck");
    assert!(project.out(&["show", "--errors"]).contains("no luck"));
    let why = project.out(&["show", "--why", "bad"]);
    assert!(why.contains("it failed: no luck"), "{why}");
    project.fails(&["show", "--why", "bed"], 5, &["SF5035", "did you mean `bad`?"]);
}

/// What a check writes: paid, and not refunded.
const COUNTEREXAMPLE: &str = r#"{
    "format": 1, "workflow": "shop", "code": "SF2402", "property": "what is paid is refunded",
    "definition": "HASH",
    "answers": {"ship": [{"fail": {"type": "no_stock", "message": "nothing left"}}]},
    "expected": {"not_undone": {"task": "pay"}}
}"#;

const SHOP: &str = "
id: shop
tasks:
  pay: {uses: http, with: {url: 'https://pay.example/', method: POST}}
  ship: {needs: [pay], uses: ship, retry: 2}
";

#[test]
fn a_counterexample_is_replayed() {
    let project = Project::new(&[("shop.surefoot.yaml", SHOP)]);
    let replay = ["run", "--replay-counterexample", "found.json"];
    project.write("found.json", &COUNTEREXAMPLE.replace("HASH", &"0".repeat(64)));
    project.fails(&replay, 2, &["SF5049", "another content of the definition"]);
    // Who is told that a hash does not fit is told the one that does.
    let told = project.run(&replay).err;
    let (_, hash) = told.split_once("and this is ").unwrap();
    let file = COUNTEREXAMPLE.replace("HASH", &hash[..64]);
    project.write("found.json", &file);
    let done = project.run(&replay);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("ship L5 failed, 2 of 2 attempts"), "{}", done.out);
    assert!(
        done.err.contains("reproduced: that `pay` completes and is not undone"),
        "{}",
        done.err
    );
    let value = project.json(&["run", "--replay-counterexample", "found.json", "-o", "json"]);
    assert_eq!((&value["reproduced"], &value["status"]), (&json!(true), &json!("failed")));
    project.write("found.json", &file.replace("\"fail\": {", "\"complete\": {"));
    let done = project.run(&replay);
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("not reproduced: that `pay`"), "{}", done.err);
    project.write("found.json", &file.replace(r#""format": 1"#, r#""format": 9"#));
    project.fails(&replay, 2, &["SF5049", "its format is 9"]);
    project.write("found.json", &file);
    project.write("shop.surefoot.yaml", &SHOP.replace("retry: 2", "retry: 3"));
    project.fails(&replay, 2, &["SF5049", "another content of the definition"]);
}

#[test]
fn inputs_are_read_from_everywhere() {
    let project = hello();
    project.write("input.json", r#"{"name": "file"}"#);
    let text = |arguments: &[&str]| project.out(arguments);
    assert!(text(&["run", "-q", "--input", "input.json"]).contains("Hello, file!"));
    assert!(text(&["run", "-q", "--input", r#"{"name": "json"}"#]).contains("Hello, json!"));
    let over = ["run", "-q", "--input", "@input.json", "-i", "name=field"];
    assert!(text(&over).contains("Hello, field!"));
    let done = project.run_with_input(&["run", "-q", "--input", "-"], r#"{"name": "pipe"}"#);
    assert!(done.out.contains("Hello, pipe!"), "{}", done.err);
}

#[test]
fn bad_inputs_are_usage_errors() {
    let project = hello();
    project.fails(&["run", "--input", "{bad"], 2, &["SF5004", "is not JSON"]);
    project.fails(&["run", "--input", "@none.json"], 5, &["SF5003", "does not exist"]);
    project.fails(&["run", "--input", "-"], 2, &["standard input is empty"]);
    project.fails(&["run", "-i", "name"], 2, &["expected name=value"]);
    project.fails(&["run", "--timeout", "5"], 2, &["no unit"]);
    project.fails(&["run", "--mock", "sya=1"], 2, &["SF5046", "did you mean `say`?"]);
    project.fails(&["run", "none.yaml"], 5, &["SF5003"]);
    assert!(
        !project.path().join(".surefoot/store.db").exists() || project.run(&["ls"]).out.is_empty()
    );
}

#[test]
fn a_file_may_hold_several_workflows() {
    let both = format!("# two\n---{HELLO}---{FAILS}");
    let project = Project::new(&[("both.surefoot.yaml", both.as_str())]);
    project.fails(&["run"], 5, &["SF5041", "Name one of them: hello, fails."]);
    project.fails(&["run", "both.surefoot.yaml", "helo"], 5, &["did you mean `hello`?"]);
    assert_eq!(project.run(&["run", "both.surefoot.yaml", "hello"]).code, 0);
    assert_eq!(project.run(&["run", "both.surefoot.yaml", "fails"]).code, 1);
}

#[test]
fn one_key_starts_one_run() {
    let project = hello();
    project.out(&["run", "--key", "k-1", "-i", "name=a"]);
    project.out(&["run", "--key", "k-1", "-i", "name=a"]);
    let runs = project.json(&["ls", "-o", "json"]);
    assert_eq!(runs.as_array().unwrap().len(), 1);
    project.fails(&["run", "--key", "k-1", "-i", "name=b"], 6, &["SF5044"]);
    assert!(project.out(&["show", "key:k-1"]).contains("completed"));
}

#[test]
fn a_dry_run_runs_nothing() {
    let project = hello();
    assert!(project.out(&["run", "--dry-run"]).contains("compose"));
    project.fails(&["ls"], 5, &["SF5010"]);
}

#[test]
fn a_run_that_waits_is_kept_answered_and_resumed() {
    let project = ask();
    let done = project.run(&["run", "--until-idle"]);
    done.failed(&["run"], 8, &["SF5047", "surefoot task approve", "Go on?", "run --resume"]);
    assert!(project.out(&["task", "ls"]).contains("Go on?"));
    assert!(project.out(&["signal", "@latest"]).contains("paid"));
    project.out(&["task", "approve", "@latest", "--comment", "fine", "--as", "grace"]);
    project.fails(&["task", "approve", "@latest"], 6, &[]);
    project.fails(&["signal", "@latest", "payd"], 6, &["SF5036", "did you mean `paid`?"]);
    project.out(&["signal", "@latest", "paid", "-d", "{\"n\": 1}"]);
    assert_eq!(project.run(&["run", "--resume", "@latest"]).code, 0);
    let history = project.out(&["show", "--history"]);
    assert!(history.contains("grace approved"), "{history}");
    assert!(history.contains("paid by ada"), "{history}");
}

#[test]
fn a_run_that_has_ended_refuses_what_makes_no_sense() {
    let project = hello();
    project.out(&["run"]);
    for command in [
        vec!["signal", "@latest", "x"],
        vec!["cancel", "@latest"],
        vec!["pause", "@latest"],
        vec!["retry", "@latest"],
        vec!["task", "approve", "@latest"],
    ] {
        let done = project.run(&command);
        assert_eq!(done.code, 6, "{command:?}: {}", done.err);
        assert!(done.err.contains("completed") && done.err.contains("hint"), "{}", done.err);
    }
}

#[test]
fn a_failed_run_is_retried_rewound_skipped_and_forked() {
    let project = Project::new(&[("fails.surefoot.yaml", FAILS)]);
    assert_eq!(project.run(&["run"]).code, 1);
    project.out(&["retry", "@latest"]);
    project.out(&["retry", "@latest", "--to", "good"]);
    project.fails(&["retry", "@latest", "--to", "goood"], 5, &["SF5035"]);
    let set = project.run(&["set-result", "@latest", "bad", "{\"by\": \"hand\"}"]);
    assert!(set.err.contains("take it in with `surefoot retry"), "{}", set.err);
    project.out(&["retry", "@latest"]);
    assert!(project.out(&["show"]).starts_with("completed"));
    project.out(&["retry", "@latest", "--with-input", "{}", "--to", "bad"]);
    assert_eq!(project.json(&["ls", "-o", "json"]).as_array().unwrap().len(), 2);
}

#[test]
fn cancelled_runs_exit_with_9() {
    let project = ask();
    project.run(&["run", "--until-idle"]);
    project.out(&["cancel", "@latest", "--reason", "wrong order"]);
    project.out(&["cancel", "@latest"]);
    assert_eq!(project.run(&["run", "--resume", "@latest"]).code, 9);
    assert!(project.out(&["show", "--history"]).contains("wrong order"));
}

#[test]
fn the_owner_of_a_store_is_asked_by_others() {
    let project = ask();
    let owner = project.background(&["run", "--no-progress"], "running");
    let pid = owner.id().to_string();
    let locked = project.run(&["run"]);
    locked.failed(&["run"], 6, &["SF5011", "in use by process", &pid]);
    project.fails(&["signal", "@latest", "nope"], 6, &["not available"]);
    project.out(&["task", "approve", "@latest", "ask"]);
    project.fails(&["task", "approve", "@latest", "ask"], 6, &["completed"]);
    project.fails(&["start", "aks"], 5, &["SF5041", "did you mean `ask`?"]);
    let run = project.out(&["start", "ask", "--key", "second"]);
    project.out(&["kill", run.trim(), "--yes"]);
    let first = project.out(&["ls", "-f", "status:running", "-o", "name"]);
    project.out(&["signal", first.trim(), "paid"]);
    let done = owner.wait();
    assert_eq!(done.code, 0, "{}", done.err);
}

#[test]
fn ctrl_c_keeps_the_run() {
    let project = ask();
    let owner = project.background(&["run"], "running");
    owner.signal(INTERRUPT);
    let done = owner.wait();
    assert_eq!(done.code, 130, "{}", done.err);
    assert!(done.err.contains("run --resume"), "{}", done.err);
    assert!(project.out(&["ls"]).contains("running"));
}

#[test]
fn a_killed_process_leaves_a_run_that_goes_on() {
    let project = ask();
    drop(project.background(&["run"], "running"));
    project.out(&["task", "approve", "@latest", "ask"]);
    project.out(&["signal", "@latest", "paid"]);
    project.out(&["run", "--all"]);
    assert!(project.out(&["show"]).starts_with("completed"));
}

#[test]
fn runs_are_named_by_prefix_and_nickname() {
    let project = hello();
    project.out(&["run"]);
    project.out(&["run"]);
    project.fails(&["show", "7ZZZ"], 5, &["SF5031", "surefoot ls"]);
    project.fails(&["show", "01"], 2, &["SF5032", "Matching"]);
    let id = project.out(&["ls", "-o", "name", "--limit", "1"]);
    assert!(project.out(&["show", &id.trim().to_lowercase()]).contains(id.trim()));
    project.fails(&["show", "@latest-failed"], 5, &["SF5031"]);
}

#[test]
fn lists_filter_and_page() {
    let project = hello();
    project.out(&["run", "--label", "region=eu"]);
    project.out(&["run"]);
    let count =
        |query: &str| project.json(&["ls", "-o", "json", "-f", query]).as_array().unwrap().len();
    assert_eq!(count("status:completed"), 2);
    assert_eq!(count("label.region:eu since:1h workflow:hello"), 1);
    assert_eq!(count("status:failed"), 0);
    project.fails(&["ls", "-f", "status:faild"], 2, &["did you mean `failed`?"]);
    project.fails(&["ls", "-f", "statsu:failed"], 2, &["did you mean `status`?"]);
    let first = project.out(&["ls", "-o", "name", "--limit", "1"]);
    let second = project.out(&["ls", "-o", "name", "--cursor", first.trim()]);
    assert_ne!(first, second);
    assert!(project.out(&["ls", "workflows"]).contains("hello"));
    assert!(project.out(&["ls", "-o", "yaml"]).starts_with("- "));
    assert_eq!(project.out(&["ls", "-o", "jsonl"]).lines().count(), 2);
}

#[test]
fn one_run_is_shown_from_every_side() {
    let project = hello();
    project.out(&["run", "-i", "name=Ada"]);
    let cases = [
        ("--history", "completed"),
        ("--timeline", "0"),
        ("--graph", "✓ compose"),
        ("--input", "Ada"),
        ("--output", "Hello, Ada!"),
        ("--transitions", ""),
        ("--errors", ""),
    ];
    for (flag, text) in cases {
        assert!(project.out(&["show", "@latest", flag]).contains(text), "{flag}");
    }
    assert!(project.out(&["logs"]).contains("say Hello, Ada!"));
    assert!(project.out(&["logs", "@latest", "say", "-f"]).contains("Hello"));
    assert_eq!(project.out(&["logs", "@latest", "--grep", "nothing"]), "");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let project = hello();
    project.out(&["run"]);
    let mut child = project.command(&["show", "--history", "-o", "jsonl"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn the_time_for_waiting_can_be_limited() {
    let project = ask();
    project.fails(&["run", "--timeout", "10ms"], 8, &["SF5047", "still going on", "--resume"]);
}
