//! What the verifier says of effects.
//!
//! The cases are text files: definitions, each with the findings, their traces, and what was proved
//! or left open. Set `UPDATE_EXPECTED=1` to write what is found now into the files, then read the
//! difference.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use support::table;
use surefoot_core::check::{CheckContext, CheckedDocument, KnownWorkflow, check_source};
use surefoot_core::source::{LineIndex, Problem, Severity};
use surefoot_core::verify::upgrade::{Stand, compare};
use surefoot_core::verify::{Finding, Proofs, Property, Verdict};

/// The properties that this file is about.
const EFFECTS: [Property; 10] = [
    Property::Liveness,
    Property::Races,
    Property::Locks,
    Property::RetrySafety,
    Property::Saga,
    Property::Compensation,
    Property::Deadlines,
    Property::Cancellation,
    Property::Secrets,
    Property::Recursion,
];

#[test]
fn races() {
    check("races.txt", &[Property::Races]);
}

#[test]
fn repeated_effects() {
    check("retries.txt", &[Property::RetrySafety]);
}

#[test]
fn what_a_failed_run_leaves_behind() {
    check("sagas.txt", &[Property::Saga, Property::Compensation, Property::Cancellation]);
}

#[test]
fn deadlines_and_bounds() {
    check("deadlines.txt", &[Property::Deadlines]);
}

#[test]
fn waits_locks_secrets_and_recursion() {
    let properties = [Property::Liveness, Property::Locks, Property::Secrets, Property::Recursion];
    check("waits.txt", &properties);
}

#[test]
fn what_running_runs_can_follow() {
    table::check("verify/upgrades.txt", |case| {
        let (old, new) = case.split_once("+++\n").unwrap();
        let plan = |source: &str| {
            let text = format!("id: it\n{source}");
            let checked = check_source(text.as_bytes(), &world()).remove(0);
            assert!(checked.plan.is_some(), "{text}: {:#?}", checked.problems);
            (checked.plan.unwrap(), checked.definition.unwrap())
        };
        let ((old, _), (new, definition)) = (plan(old), plan(new));
        let upgrade = compare(&old, &new);
        let proofs = upgrade.proofs(&definition);
        let stuck = upgrade.places.values().filter(|it| matches!(it, Stand::Stuck(_))).count();
        let is_warning = |it: &&Finding| it.problem.severity == Severity::Warning;
        assert_eq!(proofs.findings.iter().filter(is_warning).count(), stuck);
        upgrade.to_string()
    });
}

/// No finding of ours in definitions that are as they should be.
#[test]
fn sane_definitions_are_silent() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["../../examples", "../cli/templates", "tests/data/good"] {
        for file in definitions(&root.join(folder)) {
            let source = std::fs::read(&file).unwrap();
            for checked in check_source(&source, &CheckContext::default()) {
                seen += 1;
                let ours = |it: &&Problem| EFFECTS.iter().any(|one| one.code() == it.code);
                let loud =
                    checked.problems.iter().filter(ours).filter(|it| it.severity != Severity::Note);
                let found: Vec<String> =
                    loud.map(|it| format!("{} {}", it.code, it.message)).collect();
                assert!(found.is_empty(), "{}: {found:#?}", file.display());
            }
        }
    }
    assert!(seen > 20, "{seen} definitions were found");
}

fn definitions(folder: &Path) -> Vec<PathBuf> {
    let mut found = table::definitions_below(folder);
    found.retain(|it| {
        !it.ends_with("compose.yaml") && !it.components().any(|it| it.as_os_str() == "sample")
    });
    found
}

/// The proofs of a large graph stay in proportion to it.
#[test]
fn a_large_graph_is_no_matter_of_pairs() {
    let mut source = "id: large\ntimeout: 1h\ntasks:\n".to_owned();
    for at in 0..10_000 {
        let need = if at == 0 { String::new() } else { format!("needs: [t{}], ", at - 1) };
        writeln!(
            source,
            "  t{at}: {{{need}uses: work, effect: keyed, reads: [all], writes: [all, own{at}], timeout: 1m}}"
        )
        .unwrap();
    }
    let checked =
        check_source(source.as_bytes(), &CheckContext { large: true, ..CheckContext::default() })
            .remove(0);
    let proofs = checked.proofs.unwrap();
    let count =
        |property: Property| proofs.proofs.iter().filter(|it| it.property == property).count();
    assert_eq!(count(Property::Races), 1, "one graph, one answer");
    let is_proved = |it: &Verdict| matches!(it, Verdict::Proved { .. });
    assert!(
        proofs
            .proofs
            .iter()
            .filter(|it| it.property == Property::Races)
            .all(|it| is_proved(&it.verdict))
    );
    assert_eq!(count(Property::Saga), 10_000);
    assert!(
        checked
            .problems
            .iter()
            .all(|it| EFFECTS.iter().all(|one| one.code() != it.code) || it.code == "SF2402")
    );
}

/// Checks the definitions of a file.
#[track_caller]
fn check(file: &str, properties: &[Property]) {
    table::check(&format!("verify/{file}"), |source| {
        let text = format!("id: it\n{source}");
        let checked = check_source(text.as_bytes(), &world()).remove(0);
        describe(&text, &checked, properties)
    });
}

fn world() -> CheckContext {
    let workflow = |id: &str, starts: &[&str]| KnownWorkflow {
        id: id.to_owned(),
        version: "1".to_owned(),
        starts: starts.iter().map(|it| (*it).to_owned()).collect(),
    };
    let workflows =
        vec![workflow("it", &["it"]), workflow("other", &["audit"]), workflow("audit", &[])];
    CheckContext { workflows: Some(workflows), ..CheckContext::default() }
}

/// Problems of other parts are shown if they are errors: then nothing was proved.
fn describe(source: &str, checked: &CheckedDocument, properties: &[Property]) -> String {
    let lines = LineIndex::new(source.as_bytes());
    // The line that names the workflow is not shown.
    let place = |offset: u32| {
        let (line, column) = lines.position(offset);
        format!("{}:{column}", line - 1)
    };
    let mut text = String::new();
    let Some(proofs) = &checked.proofs else {
        for it in &checked.problems {
            writeln!(text, "NOT CHECKED {} {}", it.code, it.message).unwrap();
        }
        return text;
    };
    for it in proofs.findings.iter().filter(|it| properties.contains(&it.property)) {
        let problem = &it.problem;
        let severity = format!("{:?}", problem.severity).to_lowercase();
        let at = place(problem.label.span.start);
        writeln!(text, "{at} {severity} {}: {}", problem.code, problem.message).unwrap();
        writeln!(text, "    here: {}", problem.label.text).unwrap();
        for related in &problem.related {
            writeln!(text, "    {}: {}", place(related.span.start), related.text).unwrap();
        }
        for (at, step) in it.trace.iter().enumerate() {
            writeln!(text, "    {}. {step}", at + 1).unwrap();
        }
        writeln!(text, "    help: {}", problem.help.as_deref().unwrap_or("NONE")).unwrap();
    }
    text + &answers(proofs, properties)
}

fn answers(proofs: &Proofs, properties: &[Property]) -> String {
    let mut text = String::new();
    for it in proofs.proofs.iter().filter(|it| properties.contains(&it.property)) {
        let subject = if it.subject.is_empty() { "all" } else { &it.subject };
        let code = it.property.code();
        match &it.verdict {
            Verdict::Proved { assuming, bound } => {
                write!(text, "{code} proved {subject}").unwrap();
                bound.iter().for_each(|it| write!(text, ", {it}").unwrap());
                if !assuming.is_empty() && it.property != Property::Deadlines {
                    write!(text, ", assuming {}", assuming.join("; ")).unwrap();
                }
                text.push('\n');
            }
            Verdict::Refuted { .. } => {}
            Verdict::Unknown { reason } => {
                writeln!(text, "{code} open {subject}: {reason}").unwrap()
            }
        }
    }
    text
}
