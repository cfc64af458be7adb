//! Definitions, and what the verifier says of them.
//!
//! The cases are text files, as in `check.rs`: definitions, each with the problems that it has. Set
//! `UPDATE_EXPECTED=1` to write what is found now into the files, then read the difference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod support;

use std::fmt::Write as _;

use support::table;
use surefoot_core::check::{CheckContext, CheckedDocument, check_source};
use surefoot_core::source::{LineIndex, Problem};

#[test]
fn graphs() {
    check("flow.txt");
}

#[track_caller]
fn check(file: &str) {
    table::check(&format!("verify/{file}"), |source| {
        let checked = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        describe(source, &checked)
    });
}

fn describe(source: &str, checked: &CheckedDocument) -> String {
    let lines = LineIndex::new(source.as_bytes());
    let place = |offset: u32| {
        let (line, column) = lines.position(offset);
        format!("{line}:{column}")
    };
    let mut text = String::new();
    let traces = checked.proofs.iter().flat_map(|it| &it.findings);
    for it in &checked.problems {
        let severity = format!("{:?}", it.severity).to_lowercase();
        writeln!(text, "{} {severity} {}: {}", place(it.label.span.start), it.code, it.message)
            .unwrap();
        if !it.label.text.is_empty() {
            writeln!(text, "    here: {}", it.label.text).unwrap();
        }
        for related in &it.related {
            writeln!(text, "    {}: {}", place(related.span.start), related.text).unwrap();
        }
        if let Some(help) = &it.help {
            writeln!(text, "    help: {help}").unwrap();
        }
        let of = |problem: &Problem| problem == it;
        if let Some(finding) = traces.clone().find(|it| of(&it.problem)) {
            for step in &finding.trace {
                writeln!(text, "    - {step}").unwrap();
            }
        }
    }
    text
}
