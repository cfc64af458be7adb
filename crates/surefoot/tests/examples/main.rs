//! The examples, run through the real engine with real parts: servers on sockets, databases and
//! files on disk, programs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod data;
mod people;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod trips;
mod work;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use support::examples::all_examples;
use surefoot::RunStatus;
use surefoot::core::check::{CheckContext, check_source};
use surefoot::core::editor_schema::editor_schema;
use surefoot::core::schema::Schema;
use surefoot::core::source::{Problem, ReadOptions, Severity, read};

/// What an example gets to finish what it began when its engine stops.
const GRACE: Duration = Duration::from_secs(5);

#[test]
fn the_list_has_every_folder_and_every_folder_a_readme() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert!(entry.path().join("README.md").exists(), "{:?}", entry.path());
            found.insert(entry.file_name().into_string().unwrap());
        }
    }
    let listed: BTreeSet<String> = all_examples().iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn every_example_passes_the_check_without_a_warning() {
    for example in all_examples() {
        let documents = check_source(example.source.as_bytes(), &CheckContext::default());
        let is_alarm = |it: &&Problem| it.severity != Severity::Note;
        let problems = documents.iter().flat_map(|it| &it.problems);
        let problems: Vec<_> = problems.filter(is_alarm).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", example.name);
        assert_eq!(documents.len(), 1, "{}", example.name);
    }
}

#[test]
fn every_example_is_what_editors_expect() {
    let schema = Schema::compile(&editor_schema()).unwrap();
    for example in all_examples() {
        let first = example.source.lines().next().unwrap();
        let modeline = "# yaml-language-server: $schema=../../schema/surefoot.schema.json";
        assert_eq!(first, modeline, "{}", example.name);
        let reading = read(example.source.as_bytes(), &ReadOptions::default());
        assert_eq!(schema.check(&reading.documents[0].to_value()), Ok(()), "{}", example.name);
    }
}

#[tokio::test]
async fn every_example_ends_as_told_even_if_each_task_fails_once() {
    for example in all_examples() {
        let kit = example.kit();
        for outcome in [kit.run().await, kit.fail_each_task_once().await] {
            let outcome = outcome.unwrap();
            assert_eq!(outcome.status, RunStatus::Completed, "{}: {outcome:?}", example.name);
            assert_eq!(outcome.output, example.output, "{}", example.name);
            assert_eq!(outcome.refused, [""; 0], "{}", example.name);
        }
    }
}

#[tokio::test]
async fn every_example_ends_as_told_if_each_task_runs_twice() {
    for example in all_examples() {
        let outcome = example.kit().repeat_each_task().await.unwrap();
        assert_eq!(outcome.output, example.output, "{}", example.name);
    }
}

#[tokio::test]
async fn every_example_survives_a_crash_at_every_place() {
    let mut broken = Vec::new();
    for example in all_examples() {
        if let Err(error) = example.kit().crash_everywhere().await {
            broken.push(format!("{}: {error}", example.name));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
