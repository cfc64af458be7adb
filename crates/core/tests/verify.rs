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
use surefoot_core::verify::{Property, Verdict};

#[test]
fn graphs() {
    check("flow.txt");
}

/// What can run is proved only where some execution is sure to exist.
#[test]
fn computed_values() {
    table::check("verify/computed.txt", |source| {
        let checked = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        let asked = [Property::Reachability, Property::Constant];
        let proofs = checked.proofs.iter().flat_map(|it| &it.proofs);
        let lines = proofs.filter(|it| asked.contains(&it.property)).map(|it| {
            let (code, subject) = (it.property.code(), &it.subject);
            match &it.verdict {
                Verdict::Proved { .. } => format!("proved {code} {subject}\n"),
                Verdict::Refuted { .. } => format!("refuted {code} {subject}\n"),
                Verdict::Unknown { reason } => format!("unknown {code} {subject}: {reason}\n"),
            }
        });
        lines.collect()
    });
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
