//! Definitions that are built to explode: there is an answer, or it is said that there is none, and
//! what is proved is true. Sizes are such that anything worse than about linear would not end.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;

use surefoot_core::check::{CheckContext, CheckedDocument, KnownWorkflow, check_source};
use surefoot_core::verify::{Property, Verdict};

fn check(source: &str) -> CheckedDocument {
    let context = CheckContext { large: true, ..CheckContext::default() };
    check_source(source.as_bytes(), &context).remove(0)
}

#[track_caller]
fn check_alarms(source: &str, expected: &[&str]) -> CheckedDocument {
    let document = check(source);
    let mut codes: Vec<&str> = document
        .problems
        .iter()
        .filter(|it| it.severity != surefoot_core::source::Severity::Note)
        .map(|it| it.code)
        .collect();
    codes.dedup();
    assert_eq!(codes, expected, "{:#?}", document.problems.iter().take(3).collect::<Vec<_>>());
    document
}

fn refuted(document: &CheckedDocument, property: Property) -> usize {
    let proofs = &document.proofs.as_ref().unwrap().proofs;
    let is_it = |it: &&surefoot_core::verify::Proof| {
        it.property == property && matches!(it.verdict, Verdict::Refuted { .. })
    };
    proofs.iter().filter(is_it).count()
}

/// 2^1,000 ways through, none of which matters to another.
#[test]
fn a_thousand_branches_with_choices() {
    let mut source = "id: a\ntasks:\n".to_owned();
    let mut ends = Vec::new();
    for at in 0..1_000 {
        writeln!(source, "  x{at}: {{if: input.v{at} > 3, uses: log, with: {{message: a}}}}")
            .unwrap();
        writeln!(source, "  y{at}: {{if: input.v{at} <= 3, uses: log, with: {{message: a}}}}")
            .unwrap();
        writeln!(source, "  z{at}: {{needs: [x{at}, y{at}], join: none_failed, uses: h}}").unwrap();
        ends.push(format!("z{at}"));
    }
    writeln!(source, "  end: {{needs: [{}], uses: h}}", ends.join(", ")).unwrap();
    check_alarms(&source, &[]);
}

/// The pigeons do not fit: a contradiction that is hard for every solver of this kind.
#[test]
fn a_hard_contradiction_is_left_open_or_refuted() {
    const HOLES: usize = 7;
    let mut source = "id: a\ntasks:\n  t0: {uses: log, with: {message: a}}\n".to_owned();
    let mut before = "t0".to_owned();
    let mut count = 0;
    let mut add = |condition: String| {
        count += 1;
        writeln!(
            source,
            "  t{count}: {{needs: [{before}], if: {condition:?}, uses: log, with: {{message: a}}}}"
        )
        .unwrap();
        before = format!("t{count}");
    };
    for pigeon in 0..=HOLES {
        let holes: Vec<String> =
            (0..HOLES).map(|it| format!("input.p{pigeon}_{it} == 1")).collect();
        add(holes.join(" || "));
    }
    for hole in 0..HOLES {
        for one in 0..=HOLES {
            for other in 0..one {
                add(format!("!(input.p{one}_{hole} == 1 && input.p{other}_{hole} == 1)"));
            }
        }
    }
    let document = check(&source);
    let last = format!("t{count}");
    let proofs = &document.proofs.unwrap().proofs;
    let of_last = proofs
        .iter()
        .find(|it| it.property == Property::Reachability && it.subject == last)
        .unwrap();
    assert!(!matches!(of_last.verdict, Verdict::Proved { .. }), "it never runs: {of_last:?}");
}

#[test]
fn a_join_of_a_hundred_thousand() {
    let mut source = "id: a\ntasks:\n".to_owned();
    let mut needs = Vec::new();
    for at in 0..1_000 {
        writeln!(source, "  a{at}: {{uses: h}}").unwrap();
        needs.push(format!("a{at}"));
    }
    let needs = needs.join(", ");
    for at in 0..100 {
        writeln!(source, "  b{at}: {{needs: [{needs}], join: all_done, uses: h}}").unwrap();
    }
    check_alarms(&source, &[]);
}

#[test]
fn composites_as_deep_as_may_be() {
    const DEPTH: usize = 25;
    let mut source = "id: a\ntasks:\n".to_owned();
    for depth in 0..DEPTH {
        writeln!(source, "{:1$}g{depth}:", "", 2 + 4 * depth).unwrap();
        writeln!(source, "{:1$}tasks:", "", 4 + 4 * depth).unwrap();
    }
    let indent = 2 + 4 * DEPTH;
    writeln!(source, "{:indent$}a: {{if: input.n > 1, uses: h}}", "").unwrap();
    writeln!(source, "{:indent$}b: {{needs: [a], if: input.n < 1, uses: h}}", "").unwrap();
    let document = check_alarms(&source, &["SF2104"]);
    assert_eq!(refuted(&document, Property::Reachability), 1);
}

#[test]
fn many_conditions_on_one_path() {
    let mut source = "id: a\ntasks:\n".to_owned();
    for at in 0..2_000 {
        writeln!(source, "  t{at}: {{if: input.n == {at}, uses: log, with: {{message: a}}}}")
            .unwrap();
    }
    writeln!(source, "  both: {{needs: [t3, t1999], uses: h}}").unwrap();
    let document = check(&source);
    let proofs = &document.proofs.as_ref().unwrap().proofs;
    let about_running = |it: Property| matches!(it, Property::Reachability | Property::Joins);
    let both = proofs.iter().filter(|it| it.subject == "both" && about_running(it.property));
    let mut verdicts = both.map(|it| &it.verdict);
    assert!(verdicts.all(|it| !matches!(it, Verdict::Proved { .. })), "it never runs");
}

#[test]
fn workflows_that_start_each_other() {
    let workflow = |at: usize| KnownWorkflow {
        id: format!("w{at}"),
        version: "1".to_owned(),
        starts: (0..50).map(|it| format!("w{it}")).collect(),
    };
    let workflows = Some((0..50).map(workflow).collect());
    let context = CheckContext { workflows, ..CheckContext::default() };
    let source = "id: w0\ntasks:\n  a: {uses: workflow, with: {id: w1}}\n";
    let document = check_source(source.as_bytes(), &context).remove(0);
    assert!(document.problems.iter().any(|it| it.code == "SF1112"), "{:?}", document.problems);
}

#[test]
fn a_condition_as_long_as_may_be() {
    let terms: Vec<String> = (0..700).map(|it| format!("input.a == {it}")).collect();
    let source = format!("id: a\ntasks:\n  a: {{if: \"{}\", uses: h}}\n", terms.join(" || "));
    check(&source);
    let terms: Vec<String> = (0..400).map(|it| format!("input.a{it} == {it}")).collect();
    let source = format!("id: a\ntasks:\n  a: {{if: \"{}\", uses: h}}\n", terms.join(" && "));
    check(&source);
}
