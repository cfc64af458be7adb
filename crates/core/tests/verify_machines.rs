//! What the verifier proves of machines, and what it refutes.
//!
//! The cases are text files: definitions, each with the findings, the traces and the open questions
//! that it gives, and the bounds of its loops. Set `UPDATE_EXPECTED=1` to write what is found now
//! into the files, then read the difference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::fmt::Write as _;
use std::path::PathBuf;

use surefoot_core::check::{CheckContext, CheckedDocument, check_source};
use surefoot_core::source::{LineIndex, Severity};
use surefoot_core::verify::{Property, Verdict};

#[test]
fn choices_of_machines() {
    check("machines_choices.txt");
}

#[test]
fn guards_of_machines() {
    check("machines_guards.txt");
}

#[test]
fn states_that_are_entered_and_left() {
    check("machines_ways.txt");
}

#[test]
fn loops_of_machines() {
    check("machines_loops.txt");
}

#[test]
fn what_machines_wait_for() {
    check("machines_waits.txt");
}

#[test]
fn outputs_that_machines_read() {
    check("machines_reads.txt");
}

#[test]
fn defects_of_known_machines() {
    check("machines_golden.txt");
}

#[test]
fn good_machines_have_no_findings() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = files_below(&root.join("tests/data/good"));
    files.extend(files_below(&root.join("../../examples")));
    assert!(files.len() > 8, "the definitions are not where they were");
    for file in files {
        let source = std::fs::read(&file).unwrap();
        if !String::from_utf8_lossy(&source).contains("states:") {
            continue;
        }
        for document in check_source(&source, &CheckContext::default()) {
            let is_ours = |code: &str| code.starts_with("SF2");
            let problems = document.problems.iter();
            let found: Vec<_> =
                problems.filter(|it| is_ours(it.code) && it.severity != Severity::Note).collect();
            assert!(found.is_empty(), "{}: {found:#?}", file.display());
        }
    }
}

fn files_below(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|it| it == "yaml" || it == "json") {
            found.push(path);
        }
    }
    found
}

/// Checks each case of a file, a title, a definition and the expected text.
#[track_caller]
fn check(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/verify").join(file);
    let cases = std::fs::read_to_string(&path).unwrap();
    let mut found = String::new();
    for case in cases.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (source, _) = rest.split_once("---\n").unwrap();
        let checked = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        let text = describe(source, &checked);
        write!(found, "=== {title}\n{source}---\n{text}\n").unwrap();
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return std::fs::write(&path, &found).unwrap();
    }
    for (found, expected) in found.split("=== ").zip(cases.split("=== ")) {
        assert_eq!(found, expected, "{file}; UPDATE_EXPECTED=1 takes the new text over");
    }
}

fn describe(source: &str, checked: &CheckedDocument) -> String {
    let lines = LineIndex::new(source.as_bytes());
    let place = |offset: u32| {
        let (line, column) = lines.position(offset);
        format!("{line}:{column}")
    };
    let mut text = String::new();
    for it in &checked.problems {
        let severity = format!("{:?}", it.severity).to_lowercase();
        let at = place(it.label.span.start);
        writeln!(text, "{at} {severity} {}: {}", it.code, it.message).unwrap();
        writeln!(text, "    here: {}", it.label.text).unwrap();
        for related in &it.related {
            writeln!(text, "    {}: {}", place(related.span.start), related.text).unwrap();
        }
        let findings = checked.proofs.iter().flat_map(|it| &it.findings);
        for step in findings.filter(|finding| finding.problem == *it).flat_map(|it| &it.trace) {
            writeln!(text, "    - {step}").unwrap();
        }
    }
    for proof in checked.proofs.iter().flat_map(|it| &it.proofs) {
        let (code, subject) = (proof.property.code(), &proof.subject);
        match &proof.verdict {
            Verdict::Unknown { reason } if is_of_machines(proof.property) => {
                writeln!(text, "unknown {code} {subject}: {reason}").unwrap();
            }
            Verdict::Proved { assuming, bound } if is_of_machines(proof.property) => {
                let bound = bound.iter().map(String::as_str);
                // What is assumed of graphs is said of every definition.
                let is_general = |it: &&str| it.starts_with("handlers ") || it.starts_with("what ");
                let own = assuming.iter().map(|it| &**it).filter(|it| !is_general(it));
                for it in own.chain(bound) {
                    writeln!(text, "proved {code} {subject}: {it}").unwrap();
                }
            }
            Verdict::Unknown { .. } | Verdict::Proved { .. } | Verdict::Refuted { .. } => {}
        }
    }
    text
}

/// Other parts of the verifier have their own cases.
fn is_of_machines(property: Property) -> bool {
    matches!(
        property,
        Property::Reachability
            | Property::OptionToComplete
            | Property::NoHotLoop
            | Property::Termination
            | Property::Liveness
            | Property::Exhaustive
            | Property::Overlap
            | Property::Constant
            | Property::GuardErrors
            | Property::Assigned
    )
}
