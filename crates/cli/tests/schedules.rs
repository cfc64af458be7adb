//! `surefoot schedule`: nights on which clocks are changed, and schedules in a store.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::json;
use support::{HELLO, Project};

const NIGHTLY: &str = "
id: nightly
triggers:
  - {cron: '0 2 * * *', timezone: Europe/London}
  - {every: 1h}
tasks: {say: {uses: log, with: {message: '${{ input.day }}'}}}
";

#[test]
fn a_night_is_shown_before_it_comes() {
    let project = Project::new(&[]);
    let next = |cron: &str, zone: &str, from: &str| {
        let arguments =
            ["schedule", "next", "--cron", cron, "--tz", zone, "--from", from, "-n", "3"];
        project.out(&arguments)
    };
    let gap = next("30 1 * * *", "Europe/London", "2027-03-27");
    for line in [
        "2027-03-27T01:30:00+00:00  2027-03-27T01:30:00.000Z",
        "2027-03-28T02:00:00+01:00  2027-03-28T01:00:00.000Z  the clocks went forward",
        "2027-03-29T01:30:00+01:00  2027-03-29T00:30:00.000Z",
    ] {
        assert!(gap.contains(line), "{line}\n{gap}");
    }
    let fold = next("0 1 * * *", "America/New_York", "2027-11-06T12:00:00Z");
    assert!(fold.contains("2027-11-07T01:00:00-04:00  2027-11-07T05:00:00.000Z"), "{fold}");
    assert!(
        fold.contains("2027-11-08T01:00:00-05:00  2027-11-08T06:00:00.000Z  the clocks went back"),
        "{fold}"
    );
    let both = next("0 * * * *", "America/New_York", "2027-11-07T04:30:00Z");
    for slot in ["01:00:00-04:00", "01:00:00-05:00", "02:00:00-05:00"] {
        assert!(both.contains(slot), "{both}");
    }
    let next = project.json(&["schedule", "next", "--every", "1h", "-n", "2", "-o", "json"]);
    assert_eq!(next["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_says_when_its_workflow_starts() {
    let project = Project::new(&[("nightly.surefoot.yaml", NIGHTLY)]);
    let arguments =
        ["schedule", "next", "nightly.surefoot.yaml", "-n", "1", "--from", "2027-07-01"];
    let out = project.out(&arguments);
    for text in ["0 2 * * * Europe/London", "2027-07-01T02:00:00+01:00", "every 1h"] {
        assert!(out.contains(text), "{text}\n{out}");
    }
}

#[test]
fn what_never_fires_is_told_without_a_store() {
    let project = Project::new(&[]);
    let table: [(&[&str], &[&str]); 5] = [
        (&["--cron", "0 0 30 2 *"], &["SF4090", "never fires"]),
        (
            &["--cron", "0 0 * * *", "--tz", "Europe/Londn"],
            &["SF4091", "did you mean `Europe/London`?"],
        ),
        (&["--every", "1ms"], &["SF4092", "shorter than 100ms"]),
        (&["--every", "soon"], &["SF1025"]),
        (&["--every", "1h", "--from", "tomorrow"], &["SF1038"]),
    ];
    for (flags, said) in table {
        let arguments: Vec<&str> = ["schedule", "next"].iter().chain(flags).copied().collect();
        project.fails(&arguments, 2, said);
    }
    project.fails(&["schedule", "ls"], 5, &["SF5010"]);
}

#[test]
fn schedules_are_kept_in_the_store() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    project.out(&["deploy", "hello.surefoot.yaml"]);
    let add = ["schedule", "add", "daily", "hello", "--cron", "0 9 * * *", "--tz", "Europe/London"];
    let added = project.out(&add);
    assert!(added.contains("0 9 * * * Europe/London"), "{added}");
    let listed = project.json(&["schedule", "ls", "-o", "json"]);
    assert_eq!(listed[0]["id"], "daily");
    assert_eq!(listed[0]["actor"], "ada");
    let next = project.out(&["schedule", "next", "daily", "-n", "2"]);
    assert_eq!(next.lines().count(), 3, "{next}");
    assert!(project.out(&["schedule", "pause", "daily"]).contains("paused"));
    assert!(project.out(&["schedule", "ls"]).contains("paused"));
    assert!(!project.out(&["schedule", "resume", "daily"]).contains("paused"));
    let range = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-04T00:00:00Z"];
    let backfill: Vec<&str> = ["schedule", "backfill", "daily", "--dry-run", "-o", "json"]
        .into_iter()
        .chain(range)
        .collect();
    let dry = project.json(&backfill);
    assert_eq!(dry["items"].as_array().unwrap().len(), 3);
    assert_eq!(dry["items"][0]["slot"], json!("2026-01-01T09:00:00.000Z"));
    project.fails(&["schedule", "add", "x", "helo", "--every", "1h"], 5, &["SF4012", "`hello`"]);
    project.fails(&["schedule", "show", "x"], 5, &["SF4012"]);
    project.out(&["schedule", "rm", "daily"]);
    project.fails(&["schedule", "show", "daily"], 5, &["SF4012"]);
}
