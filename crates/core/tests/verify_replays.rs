//! What the verifier refutes in machines and of effects comes with an execution: the deciders of the
//! engine do what it says.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::simulate::Expected;

/// Checks that the first finding with this code has an execution, and replays it.
#[track_caller]
fn check(code: &str, source: &str, expected: &Expected) {
    let source = format!("id: shown\n{source}");
    let document = check_source(source.as_bytes(), &CheckContext::default()).pop().unwrap();
    let proofs = document.proofs.unwrap_or_else(|| panic!("{:?}\n{source}", document.problems));
    let finding = proofs.findings.iter().find(|it| it.problem.code == code);
    let finding = finding.unwrap_or_else(|| panic!("{code} is not found:\n{source}"));
    let example = finding.counterexample.as_ref();
    let example = example.unwrap_or_else(|| panic!("{code} is not shown:\n{source}"));
    assert_eq!(&example.expected, expected, "{source}");
    let draft = document.draft.unwrap();
    let replayed = draft.replay(example);
    assert!(replayed.is_ok(), "{replayed:?}\n{source}");
}

fn entered(state: &str) -> Expected {
    Expected::StateEntered { state: state.to_owned(), times: 1 }
}

fn failed(task: &str, error_type: &str) -> Expected {
    Expected::TaskFailed { task: task.to_owned(), error_type: Some(error_type.to_owned()) }
}

#[test]
fn machines() {
    // A guard that some output leaves closed, in the second visit of the state.
    check(
        "SF2201",
        "vars: {rounds: 0}
initial: probe
states:
  probe:
    uses: probe
    next:
      - {if: vars.rounds == 0, to: probe, set: {rounds: 1}}
      - {if: output.ok, to: done}
  done: {final: true}
",
        &failed("probe", "no_match"),
    );
    // Events, times and failures lead there.
    check(
        "SF2106",
        "initial: draft
states:
  draft: {on: {submit: [{if: event.ready, to: pause}]}}
  pause: {after: {1h: work}}
  work: {uses: work, next: done, on: {failed: lost}}
  lost: {on: {again: lost}}
  done: {final: true}
",
        &entered("lost"),
    );
    check(
        "SF2106",
        "initial: one
states:
  one: {on: {go: two, end: done}}
  two: {on: {go: three}}
  three: {on: {go: two}}
  done: {final: true}
",
        &entered("two"),
    );
    check(
        "SF2105",
        "input: {type: object, required: [again], properties: {again: {type: boolean}}}
initial: look
states:
  look: {next: [{if: input.again, to: wait}, {to: done}]}
  wait: {next: look}
  done: {final: true}
",
        &Expected::RunFailed { error_type: Some("hot_loop".to_owned()) },
    );
    check(
        "SF2107",
        "input: {type: object, required: [go], properties: {go: {type: boolean}}}
initial: wait
states:
  wait: {after: {1h: [{if: input.go, to: done}]}}
  done: {final: true}
",
        &Expected::Stuck,
    );
}

#[test]
fn effects() {
    let both = |first: &str, second: &str| Expected::BothRunning {
        first: first.to_owned(),
        second: second.to_owned(),
    };
    check(
        "SF2206",
        "tasks:
  early: {uses: early}
  total: {needs: [early], if: input.sum > 3, uses: sum_up, reads: [ledger]}
  book: {uses: book, writes: [ledger]}
",
        &both("total", "book"),
    );
    check(
        "SF2402",
        "tasks:
  pay: {uses: charge, effect: keyed}
  ship: {needs: [pay], uses: ship, retry: {max_attempts: 3, delay: 1s}}
",
        &Expected::NotUndone { task: "pay".to_owned() },
    );
}

/// The work of a state whose parameters cannot be evaluated is never done: nothing is open once it
/// is, but that never happens.
#[test]
fn what_work_without_its_parameters_would_lead_to_is_no_gap() {
    let source = "id: shown
initial: first
states:
  first: {uses: work, with: {a: '${{ tasks.other.output.k }}'}, next: [{if: output.ok, to: done}]}
  other: {uses: work, next: first}
  done: {final: true}
";
    let document = check_source(source.as_bytes(), &CheckContext::default()).pop().unwrap();
    let proofs = document.proofs.unwrap();
    let codes = |code: &str| {
        proofs.findings.iter().filter(|it| it.problem.code == code && it.problem.is_error()).count()
    };
    assert_eq!(codes("SF2201"), 0, "{:?}", proofs.findings);
    assert_eq!(codes("SF2205"), 1, "{:?}", proofs.findings);
}
