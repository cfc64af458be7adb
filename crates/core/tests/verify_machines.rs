//! What the verifier proves of machines, and what it refutes.
//!
//! The cases are text files: definitions, each with the findings, the traces and the open questions
//! that it gives, and the bounds of its loops. Set `UPDATE_EXPECTED=1` to write what is found now
//! into the files, then read the difference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;

use support::table;
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

/// Whatever the size, there is an answer, perhaps that something is not known.
#[test]
fn large_machines_are_answered() {
    let mut chain = String::from("id: a\ninitial: s0\nvars: {n: 0}\nstates:\n");
    for at in 0..1_000 {
        let (next, back) = (at + 1, at / 2);
        writeln!(
            chain,
            "  s{at}: {{on: {{go: s{next}, back: [{{if: vars.n < 9, to: s{back}, set: {{n: '${{{{ vars.n + 1 }}}}'}}}}]}}}}"
        )
        .unwrap();
    }
    chain.push_str("  s1000: {final: true}\n");
    let variables: Vec<String> = (0..200).map(|it| format!("v{it}: 0")).collect();
    let mut counters = format!("id: a\ninitial: s0\nvars: {{{}}}\nstates:\n", variables.join(", "));
    for at in 0..60 {
        let next = (at + 1) % 60;
        writeln!(
            counters,
            "  s{at}: {{on: {{go: [{{if: vars.v{at} < 100, to: s{next}, set: {{v{at}: '${{{{ vars.v{at} + 1 }}}}'}}}}, {{to: end}}]}}}}"
        )
        .unwrap();
    }
    counters.push_str("  end: {final: true}\n");
    let guards: Vec<String> =
        (0..1_000).map(|it| format!("{{if: event.k{it} > {it}, to: end}}")).collect();
    let guards = format!(
        "id: a\ninitial: s0\nstates:\n  s0: {{on: {{go: [{}]}}}}\n  end: {{final: true}}\n",
        guards.join(", ")
    );
    let same: Vec<String> =
        (0..150).map(|it| format!("{{if: 'event.a + event.b > {it}', to: end}}")).collect();
    let same = format!(
        "id: a\ninitial: s0\nstates:\n  s0: {{on: {{go: [{}]}}}}\n  end: {{final: true}}\n",
        same.join(", ")
    );
    let long: Vec<String> = (0..700).map(|it| format!("event.k != {it}")).collect();
    let long = format!(
        "id: a\ninitial: s0\nstates:\n  s0: {{on: {{go: [{{if: '{}', to: end}}]}}}}\n  end: {{final: true}}\n",
        long.join(" && ")
    );
    for source in [guards, same, long, counters, chain] {
        let checked = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        assert!(checked.plan.is_some(), "{:?}", checked.problems.first());
        let proofs = checked.proofs.unwrap();
        assert!(proofs.proofs.iter().any(|it| it.property == Property::Termination
            || matches!(it.verdict, Verdict::Proved { .. })));
    }
}

#[test]
fn a_state_says_when_it_is_entered() {
    let source = "id: a\ninitial: draft\nstates:\n  draft: {on: {submit: [{if: event.ready, to: \
                  review}]}}\n  review: {uses: look, next: done, on: {failed: draft}}\n  done: \
                  {final: true}\n";
    let checked = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
    let entered = &checked.proofs.unwrap().entered;
    let expected = [
        ("draft", "`draft` is entered at the start, or from `review` when its work fails (L5)"),
        (
            "review",
            "`review` is entered from `draft` on `submit` if `event.ready` (L4); for example: \
             submit {\"ready\":true} → review (L5)",
        ),
        (
            "done",
            "`done` is entered from `review` when its work is done (L5); for example: submit \
             {\"ready\":true} → review (L5), review done → done (L6)",
        ),
    ];
    for (state, text) in expected {
        assert_eq!(entered[state], text);
    }
}

#[test]
fn good_machines_have_no_findings() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = table::definitions_below(&root.join("tests/data/good"));
    files.extend(table::definitions_below(&root.join("../../examples")));
    assert!(files.len() > 8, "the definitions are not where they were");
    for file in files {
        let source = std::fs::read(&file).unwrap();
        if !String::from_utf8_lossy(&source).lines().any(|it| it.starts_with("initial:")) {
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
    // What tasks do outside has its own cases.
    for it in checked.problems.iter().filter(|it| it.code < "SF2300") {
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
