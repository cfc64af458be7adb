//! Definitions, and what the check says of them.
//!
//! The cases are text files: definitions, each with the problems or the plan that it gives. Set
//! `UPDATE_EXPECTED=1` to write what is found now into the files, then read the difference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;
use support::table;
use surefoot_core::check::{
    CheckContext, CheckedDocument, HandlerSchema, KnownWorkflow, check_source,
};
use surefoot_core::plan::{CompositeKind, NodeId, Plan, WorkPlan};
use surefoot_core::source::{LineIndex, Problem, codes};

#[test]
fn the_examples_of_the_design_are_clean() {
    for name in ["order_processing.yaml", "document_approval.yaml"] {
        let source = std::fs::read(data(name)).unwrap();
        let found = check_source(&source, &CheckContext::default()).remove(0);
        assert!(found.problems.is_empty(), "{name}: {:#?}", found.problems);
        assert!(found.plan.is_some(), "{name}");
    }
}

#[test]
fn graphs_that_are_wrong() {
    check("graphs.txt", &CheckContext::default(), problems);
}

#[test]
fn machines_that_are_wrong() {
    check("machines.txt", &CheckContext::default(), problems);
}

#[test]
fn expressions_that_are_wrong() {
    check("expressions.txt", &CheckContext::default(), problems);
}

#[test]
fn work_that_is_wrong() {
    check("work.txt", &CheckContext::default(), problems);
}

#[test]
fn what_a_known_world_refuses() {
    check("context.txt", &known_world(), problems);
}

#[test]
fn plans_of_correct_definitions() {
    check("plans.txt", &CheckContext::default(), plan);
}

/// SF13xx are about other formats, the first of SF21xx about nets alone, SF2601 about two versions.
fn is_about_definitions(code: &str) -> bool {
    ("SF1100".."SF1300").contains(&code) || ("SF2104".."SF2600").contains(&code)
}

#[test]
fn the_examples_of_the_pages_are_broken_and_mended() {
    let world = CheckContext { handlers: None, ..known_world() };
    // Pages of the reader and of the command line show other things than definitions.
    for entry in codes::ENTRIES.iter().filter(|it| is_about_definitions(it.code)) {
        let mut examples = entry.page.split("```yaml\n").skip(1).map(|it| {
            let (example, _) = it.split_once("```").unwrap();
            // The examples leave out what does not matter to them.
            let id = if example.starts_with("id:") { "" } else { "id: example\n" };
            check_source(format!("{id}{example}").as_bytes(), &world).remove(0)
        });
        let (broken, mended) = (examples.next().unwrap(), examples.next().unwrap());
        let code = |it: &Problem| it.code == entry.code;
        assert!(broken.problems.iter().any(code), "{}: {:#?}", entry.code, broken.problems);
        assert!(!mended.problems.iter().any(code), "{}: {:#?}", entry.code, mended.problems);
        assert!(mended.plan.is_some(), "{}: {:#?}", entry.code, mended.problems);
    }
}

fn known_world() -> CheckContext {
    let workflow = |id: &str, version: &str, starts: &[&str]| KnownWorkflow {
        id: id.to_owned(),
        version: version.to_owned(),
        starts: starts.iter().map(|it| (*it).to_owned()).collect(),
    };
    let typed = |kind: &str| json!({"type": kind});
    CheckContext {
        large: false,
        handlers: Some(vec![HandlerSchema {
            name: "price".to_owned(),
            input: Some(json!({"type": "object", "properties": {"sku": typed("string")}})),
            output: Some(json!({
                "type": "object",
                "properties": {"total": typed("number")},
                "additionalProperties": false,
            })),
        }]),
        workflows: Some(vec![
            workflow("billing", "1", &["letters"]),
            workflow("billing", "2", &["letters"]),
            workflow("letters", "1", &["orders"]),
            workflow("audit", "1", &[]),
        ]),
        databases: Some(vec!["shop".to_owned()]),
        secrets: Some(vec!["API_KEY".to_owned()]),
        proved_before: false,
        certify: false,
        clock: None,
    }
}

#[track_caller]
fn check(file: &str, context: &CheckContext, describe: fn(&str, &CheckedDocument) -> String) {
    table::check(&format!("check/{file}"), |source| {
        describe(source, &check_source(source.as_bytes(), context).remove(0))
    });
}

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/check").join(file)
}

fn problems(source: &str, checked: &CheckedDocument) -> String {
    let lines = LineIndex::new(source.as_bytes());
    let has_errors = checked.problems.iter().any(Problem::is_error);
    assert_eq!(checked.plan.is_none(), has_errors, "no plan exactly if there is an error");
    let place = |offset: u32| {
        let (line, column) = lines.position(offset);
        format!("{line}:{column}")
    };
    let mut text = String::new();
    for it in &checked.problems {
        let severity = format!("{:?}", it.severity).to_lowercase();
        let at = place(it.label.span.start);
        writeln!(text, "{at} {severity} {}: {}", it.code, it.message).unwrap();
        if !it.label.text.is_empty() {
            writeln!(text, "    here: {}", it.label.text).unwrap();
        }
        for related in &it.related {
            writeln!(text, "    {}: {}", place(related.span.start), related.text).unwrap();
        }
        if let Some(help) = &it.help {
            writeln!(text, "    help: {help}").unwrap();
        }
    }
    text
}

fn plan(source: &str, checked: &CheckedDocument) -> String {
    let plan = checked.plan.as_ref().unwrap_or_else(|| panic!("{}", problems(source, checked)));
    let mut text = String::new();
    for (at, composite) in plan.composites.iter().enumerate() {
        let owner = composite.owner.map(|it| format!(" of {}", plan.path(it))).unwrap_or_default();
        let kind = match &composite.kind {
            CompositeKind::Graph { max_parallel, fail_fast, roots } => {
                format!("graph, roots {roots:?}, parallel {max_parallel:?}, fail fast {fail_fast}")
            }
            CompositeKind::Machine { initial } => format!("machine, initial {initial}"),
        };
        writeln!(text, "composite {at}{owner}: {kind}").unwrap();
        for index in 0..composite.len {
            let id = NodeId(composite.first + index);
            assert_eq!(plan.find(&plan.path(id)), Some(id), "a path leads back to its node");
            node(plan, id, &mut text);
        }
    }
    let problems = problems(source, checked);
    text + &problems
}

fn node(plan: &Plan, id: NodeId, text: &mut String) {
    let node = plan.node(id);
    let work = match &node.work {
        WorkPlan::Nothing => "nothing".to_owned(),
        WorkPlan::Uses { kind, .. } => kind.to_string(),
        WorkPlan::Composite(inner) => format!("composite {}", inner.0),
    };
    write!(text, "  {} (line {}): {work}", plan.path(id), node.line).unwrap();
    if !node.needs.is_empty() {
        write!(text, ", needs {:?} {:?}", node.needs, node.join).unwrap();
    }
    if !node.dependents.is_empty() {
        write!(text, ", then {:?}", node.dependents).unwrap();
    }
    if let Some(condition) = &node.condition {
        write!(text, ", if {}", condition.source()).unwrap();
    }
    if let Some(each) = &node.for_each {
        write!(text, ", each {}", each.name).unwrap();
    }
    if let Some(it) = &node.retry {
        write!(text, ", {} attempts from {} to {}", it.max_attempts, it.delay, it.max_delay)
            .unwrap();
    }
    if let Some(timeout) = node.timeout.run {
        write!(text, ", timeout {timeout}").unwrap();
    }
    if node.priority != 0 {
        write!(text, ", priority {}", node.priority).unwrap();
    }
    if let Some(undo) = node.compensate {
        write!(text, ", undone by composite {}", undo.0).unwrap();
    }
    text.push('\n');
    let Some(state) = &node.state else { return };
    if state.is_final {
        text.push_str("    final\n");
    }
    let on = state.on.iter().map(|(event, list)| (format!("on {event}"), list));
    let after = state.after.iter().map(|(time, list)| (format!("after {time}"), list));
    let next = [("next".to_owned(), &state.next)];
    for (cause, list) in on.chain(after).chain(next) {
        for it in list {
            let guard = it.condition.as_ref().map(|it| format!(" if {}", it.source()));
            let set: Vec<&str> = it.set.iter().map(|(name, _)| name.as_str()).collect();
            let guard = guard.unwrap_or_default();
            writeln!(text, "    {cause} to {}{guard} sets {set:?}", it.to).unwrap();
        }
    }
}
