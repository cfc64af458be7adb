//! Results for programs: JSON, and the workflow commands of GitHub Actions.

use std::fmt::Write as _;

use serde_json::{Value, json};
use surefoot::core::check::CheckedDocument;
use surefoot::core::source::{LineIndex, Severity};

use super::explain;
use crate::arguments::Check;
use crate::project::Source;

/// Every problem, with what happens step by step where that is known.
pub fn problems(source: &Source) -> Vec<Value> {
    let lines = LineIndex::new(&source.bytes);
    let name = source.name();
    let all = source.problems().map(|(problem, trace)| {
        let mut value = problem.to_json(&lines, &name);
        value["trace"] = json!(trace);
        value
    });
    all.collect()
}

/// Every workflow, and what is proved of it.
pub fn workflows(arguments: &Check, source: &Source) -> Vec<Value> {
    let name = source.name();
    source.documents.iter().filter_map(|it| workflow(arguments, &name, it)).collect()
}

fn workflow(arguments: &Check, file: &str, document: &CheckedDocument) -> Option<Value> {
    let definition = document.definition.as_ref()?;
    let proofs = document.proofs.as_deref();
    let stages = proofs.iter().flat_map(|it| &it.stages);
    let stages: Vec<Value> =
        stages.map(|it| json!({"name": it.name, "us": it.took.as_micros() as u64})).collect();
    let mut value = json!({
        "file": file, "workflow": definition.id.value, "version": definition.version.value,
        "hash": document.hash.map(|it| it.to_string()), "is_accepted": document.plan.is_some(),
        "properties": proofs.map(|it| it.to_json()), "stages": stages,
    });
    if let Some(explained) = explain::in_document(arguments, document) {
        value["explanation"] = explained.json();
    }
    Some(value)
}

/// One annotation for each problem.
pub fn github(source: &Source) -> String {
    let lines = LineIndex::new(&source.bytes);
    let file = escaped(&source.name()).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for (problem, trace) in source.problems() {
        let word = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let (line, column) = lines.position(problem.label.span.start);
        let help = problem.help.as_deref().map_or_else(String::new, |it| format!(" ({it})"));
        let steps = trace.iter().enumerate().map(|(at, it)| format!("\n{}. {it}", at + 1));
        let message = format!("{}{help}{}", problem.message, steps.collect::<String>());
        let (code, message) = (problem.code, escaped(&message));
        let _ =
            writeln!(out, "::{word} file={file},line={line},col={column},title={code}::{message}");
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
