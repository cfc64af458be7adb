//! Text of others on a terminal: it moves no cursor, changes no title, and looks like no line that
//! it is not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::{Value, json};
use support::Project;

/// A line of its own, a cleared screen, a title, a colour by one byte, and a turned direction.
const HOSTILE: &str = "a\r\nFORGED\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}b";

const SOURCE: &str = "
id: hostile
tasks:
  say: {uses: log, with: {message: '${{ input.text }}'}}
  keep: {needs: [say], uses: transform, with: {text: '${{ input.text }}'}}
  bad: {needs: [keep], uses: fail, with: {message: '${{ input.text }}'}}
";

const WAITS: &str = "
id: waits
tasks:
  ask: {uses: approval, with: {prompt: '${{ input.text }}'}}
output: '${{ input.text }}'
";

/// What of a text a terminal would do more with than show it. Colours are our own.
fn harm(text: &str) -> String {
    let mut plain = String::new();
    for (at, part) in text.split("\u{1b}[").enumerate() {
        let rest = part.trim_start_matches(|it: char| it.is_ascii_digit() || it == ';');
        match rest.strip_prefix('m') {
            Some(rest) if at > 0 => plain.push_str(rest),
            _ if at > 0 => plain.push_str(&["\u{1b}[", part].concat()),
            _ => plain.push_str(part),
        }
    }
    plain.chars().filter(|it| it.is_control() && *it != '\n' || *it == '\u{202e}').collect()
}

#[track_caller]
fn check(project: &Project, arguments: &[&str], code: i32) {
    let done = project.run(&[arguments, &["--color", "always"]].concat());
    assert_eq!(done.code, code, "{arguments:?}: {}{}", done.out, done.err);
    let text = done.out + &done.err;
    assert_eq!(harm(&text), "", "{arguments:?}: {text:?}");
    let forged = text.lines().find(|it| it.starts_with("FORGED"));
    assert_eq!(forged, None, "{arguments:?}: {text:?}");
}

#[test]
fn what_others_wrote_moves_no_cursor_and_forges_no_line() {
    let project = Project::new(&[("hostile.surefoot.yaml", SOURCE), ("waits.yaml", WAITS)]);
    project.write("input.json", &json!({"text": HOSTILE}).to_string());
    let run = |file| ["run", file, "--input", "input.json"];
    check(&project, &run("hostile.surefoot.yaml"), 1);
    for arguments in [
        &["show"][..],
        &["show", "--history"],
        &["show", "--timeline"],
        &["show", "--errors"],
        &["show", "--why", "bad"],
        &["show", "--input"],
        &["show", "--graph"],
        &["show", "-o", "json"],
        &["show", "-o", "yaml"],
        &["logs"],
        &["logs", "-o", "json"],
        &["ls"],
        &["ls", "-o", "wide"],
        &["ls", "-o", "jsonl"],
    ] {
        check(&project, arguments, 0);
    }
    let shown: Value = project.json(&["show", "--input", "-o", "json"]);
    assert_eq!(shown["text"], HOSTILE, "machines read what was sent");

    check(&project, &[&run("waits.yaml")[..], &["--until-idle"]].concat(), 8);
    check(&project, &["task", "ls"], 0);
    check(&project, &["cancel", "@latest", "--reason", HOSTILE, "--as", HOSTILE], 0);
    check(&project, &["show", "--history"], 0);
    check(&project, &["signal", "@latest", HOSTILE], 6);
    check(&project, &["show", &HOSTILE.replace('\n', "")], 5);
}
