//! Graphs of other systems in, definitions out that parse without a problem.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::{Value, json};
use surefoot_core::convert::{ConvertKind, ConvertOptions, wfcommons};
use surefoot_core::definition::Composite;
use surefoot_core::parse::parse_source;
use surefoot_core::source::ReadOptions;

const OPTIONS: ConvertOptions = ConvertOptions { time_scale: 0.001, kind: ConvertKind::Wait };

/// Converts and parses; returns each task with its needs, and the notes.
fn convert(value: &Value) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let converted = wfcommons(value, &OPTIONS).unwrap();
    let parsed = parse_source(converted.definition_yaml.as_bytes(), &ReadOptions { large: true });
    assert_eq!(parsed.problems, [], "{}", converted.definition_yaml);
    let Composite::Graph(graph) = &parsed.definitions[0].body else { panic!("a graph") };
    let tasks = graph
        .tasks
        .iter()
        .map(|it| (it.id.value.clone(), it.needs.iter().map(|need| need.value.clone()).collect()));
    (tasks.collect(), converted.notes)
}

fn check(value: Value, tasks: &[(&str, &[&str])], notes: &[&str]) {
    let (found, found_notes) = convert(&value);
    let expected: Vec<(String, Vec<String>)> = tasks
        .iter()
        .map(|(id, needs)| ((*id).to_owned(), needs.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(found_notes, notes);
}

fn refused(value: Value, expected: &str) {
    let problems = wfcommons(&value, &OPTIONS).unwrap_err();
    assert!(problems[0].message.contains(expected), "{problems:?}");
    assert!(problems[0].help.is_some(), "{problems:?}");
}

#[test]
fn three_shapes_of_graphs_are_read() {
    let plain = json!({"name": "diamond", "tasks": [
        {"id": "a", "deps": [], "runtime_s": 2.0}, {"id": "b", "deps": ["a"]},
        {"id": "c", "deps": ["a", "a"]}, {"id": "d", "deps": ["b", "c"], "runtime_s": 1.0}]});
    check(
        plain,
        &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])],
        &["2 tasks have no run time, and do not wait"],
    );
    let new = json!({"name": "w", "workflow": {
        "specification": {"tasks": [
            {"id": "1", "name": "x", "parents": [], "children": ["2"]},
            {"id": "2", "name": "y", "parents": ["1"], "children": []}]},
        "execution": {"tasks": [
            {"id": "1", "runtimeInSeconds": 3.5}, {"id": "2", "runtimeInSeconds": 0}]}}});
    check(
        new,
        &[("_1", &[]), ("_2", &["_1"])],
        &["the task `1` is called `_1`", "the task `2` is called `_2`"],
    );
    let old = json!({"name": "w", "workflow": {"tasks": [
        {"name": "x", "id": "ID1", "parents": [], "children": ["y"], "runtime": 1},
        {"name": "y", "id": "ID2", "parents": ["x"], "children": [], "runtime": 1}]}});
    check(old, &[("x", &[]), ("y", &["x"])], &[]);
}

#[test]
fn ids_become_legal_and_stay_apart() {
    let value = json!({"name": "my flow", "tasks": [
        {"id": "a.b", "runtime_s": 1}, {"id": "a-b", "deps": ["a.b"], "runtime_s": 1},
        {"id": "A_B", "deps": ["a-b"], "runtime_s": 1}, {"id": "null", "runtime_s": 1},
        {"id": "true", "deps": ["null"], "runtime_s": 1}]});
    check(
        value,
        &[
            ("a_b", &[]),
            ("a_b_2", &["a_b"]),
            ("A_B_3", &["a_b_2"]),
            ("null", &[]),
            ("true", &["null"]),
        ],
        &[
            "the task `a.b` is called `a_b`",
            "the task `a-b` is called `a_b_2`",
            "the task `A_B` is called `A_B_3`",
            "the workflow `my flow` is called `my_flow`",
        ],
    );
}

#[test]
fn what_is_no_graph_is_refused() {
    let edge = |id: &str, needs: &str| json!({"id": id, "deps": [needs]});
    let cycle = json!({"tasks": [edge("a", "c"), edge("b", "a"), edge("c", "b"), edge("d", "a")]});
    refused(cycle, "a cycle: a → b → c → a");
    refused(json!({"tasks": [edge("a", "a")]}), "a cycle: a → a");
    refused(json!({"tasks": [edge("a", "z")]}), "`z`, which is not there");
    refused(json!({"tasks": [{"id": "a"}, {"id": "a"}]}), "both called `a`");
    refused(json!({"tasks": []}), "no tasks");
    refused(json!({"tasks": [{}]}), "neither `id` nor `name`");
    refused(json!({}), "no list of tasks");
    refused(json!([]), "no list of tasks");
}

#[test]
fn a_long_chain_needs_no_stack_and_becomes_json() {
    let tasks: Vec<Value> = (0..20_000)
        .map(|at| json!({"id": format!("t{at}"), "deps": if at == 0 { json!([]) } else { json!([format!("t{}", at - 1)]) }}))
        .collect();
    let (tasks, notes) = convert(&json!({"name": "chain", "tasks": tasks}));
    assert_eq!(tasks.len(), 20_000);
    assert!(notes.iter().any(|it| it.contains("JSON")), "{notes:?}");
}
