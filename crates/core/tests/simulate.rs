//! The simulator: traces that people read, every order, counterexamples that replay.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde_json::{Value, json};
use support::plan;
use surefoot_core::run::{Command, RunStatus};
use surefoot_core::simulate::{
    Answer, Asked, Bounds, Counterexample, End, Expected, Mismatch, Scripted, Trace, Turn, explore,
    replay, simulate,
};
use surefoot_core::task_error::TaskError;

const ORDER: &str = "
id: order
tasks:
  pay: {uses: charge}
  update_inventory:
    needs: [pay]
    uses: reserve
    retry: {max_attempts: 3, delay: 1s}
  ship: {needs: [update_inventory], uses: ship}
";

fn fail(kind: &str) -> Answer {
    Answer::Fail(TaskError::new(kind, "it went wrong"))
}

/// Builds a counterexample of a plan that expects `expected`.
fn about(source: &str, expected: Expected) -> Counterexample {
    Counterexample::new(&plan(source), "SF2999", "something holds", expected)
}

fn run(source: &str, script: &Counterexample) -> Trace {
    let mut oracle = Scripted::new(script);
    simulate(&plan(source), &script.input, &mut oracle, Bounds::default())
}

#[test]
fn a_trace_reads_like_a_story() {
    let mut script = about(ORDER, Expected::NotUndone { task: "pay".to_owned() });
    script.answers.insert("update_inventory".to_owned(), vec![fail("no_stock")]);
    let trace = replay(&plan(ORDER), &script).unwrap();
    assert_eq!(
        trace.to_string(),
        "1 the run starts
2 pay L4 started
3 pay L4 completed
4 update_inventory L5 started
5 update_inventory L5 failed, 1 of 3 attempts, no_stock; tries again
6 update_inventory L5 started
7 update_inventory L5 failed, 2 of 3 attempts, no_stock; tries again
8 update_inventory L5 started
9 update_inventory L5 failed, 3 of 3 attempts (no_stock: it went wrong)
10 ship L9 skipped, upstream failed
11 the main part is failed: update_inventory: it went wrong
12 the run is failed
"
    );
}

/// A definition, the answers by path, the order, and what must come of it.
struct Case {
    source: &'static str,
    answers: Vec<(&'static str, Vec<Answer>)>,
    order: Vec<Turn>,
    expected: Expected,
}

fn check(case: Case) {
    let mut script = about(case.source, case.expected);
    for (path, answers) in case.answers {
        script.answers.insert(path.to_owned(), answers);
    }
    script.order = case.order;
    // What is written can be read.
    let script = Counterexample::read(script.write().as_bytes()).unwrap();
    if let Err(mismatch) = replay(&plan(case.source), &script) {
        let trace = run(case.source, &script);
        panic!("{mismatch}\n{trace}");
    }
}

fn answer(path: &str) -> Turn {
    Turn::Answer(path.to_owned())
}

fn event(name: &str) -> Turn {
    Turn::Event { name: name.to_owned(), data: json!({"ok": true}) }
}

#[test]
fn everything_that_can_be_expected_can_happen() {
    let task = |it: &str| it.to_owned();
    let good = || Answer::Complete(json!({}));
    check(Case {
        source: ORDER,
        answers: vec![("update_inventory", vec![fail("weak"), good()])],
        order: vec![],
        expected: Expected::RunCompleted,
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work}, b: {uses: work}}}",
        answers: vec![],
        order: vec![answer("b"), answer("a")],
        expected: Expected::BothRunning { first: task("a"), second: task("b") },
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work, timeout: 5s}}}",
        answers: vec![("a", vec![Answer::TimeOut])],
        order: vec![],
        expected: Expected::TaskFailed { task: task("a"), error_type: Some(task("timeout")) },
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work}}}",
        answers: vec![("a", vec![Answer::Never])],
        order: vec![],
        expected: Expected::Stuck,
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work, for_each: [1, 2, 3]}}}",
        answers: vec![("a[1]", vec![fail("weak")])],
        order: vec![answer("a[0]"), answer("a[1]")],
        expected: Expected::TaskCancelled { task: task("a[2]") },
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work, retry: 2}}}",
        answers: vec![("a", vec![fail("weak"), good()])],
        order: vec![],
        expected: Expected::TaskTwice { task: task("a") },
    });
    check(Case {
        source: "
id: a
tasks: {ask: {uses: approval, with: {quorum: 2, groups: [x]}}, late: {needs: [ask], uses: workflow, with: {id: b}}}",
        answers: vec![("late", vec![fail("weak")])],
        order: vec![answer("ask"), answer("ask")],
        expected: Expected::TaskFailed { task: task("late"), error_type: Some(task("weak")) },
    });
    check(Case {
        source: "
id: a
vars: {n: 0}
initial: one
states:
  one: {on: {go: [{if: vars.n < 2, to: one, set: {n: '${{ vars.n + 1 }}'}}, two]}}
  two: {next: [{if: input.missing, to: one}, {to: three}]}
  three: {final: true}",
        answers: vec![],
        order: vec![event("go"), event("go"), event("go")],
        expected: Expected::TaskFailed { task: task("two"), error_type: Some(task("expression")) },
    });
    check(Case {
        source: "
id: a
initial: one
states: {one: {on: {go: one, stop: two}}, two: {final: true}}",
        answers: vec![],
        order: vec![event("go"), event("go"), event("stop")],
        expected: Expected::StateEntered { state: task("one"), times: 3 },
    });
    check(Case {
        source: "{id: a, tasks: {a: {uses: work}, b: {needs: [a], uses: work}}}",
        answers: vec![],
        order: vec![Turn::Ask(Command::Pause), answer("a"), Turn::Ask(Command::Cancel)],
        expected: Expected::RunCancelled,
    });
    check(Case {
        source: "
id: a
tasks:
  slow: {uses: work, timeout: 1h}
  clock: {uses: wait, with: {for: 5s}}
  race: {needs: [slow, clock], join: any_success, uses: work}",
        answers: vec![],
        order: vec![Turn::Timer, answer("race"), answer("slow")],
        expected: Expected::BothRunning { first: task("race"), second: task("slow") },
    });
}

#[test]
fn what_does_not_happen_is_a_mismatch() {
    let plan = plan(ORDER);
    let mut script = about(ORDER, Expected::Stuck);
    let refused = replay(&plan, &script);
    assert!(matches!(refused, Err(Mismatch::NotReproduced { .. })), "{refused:?}");
    script.order = vec![answer("ship"), answer("pay")];
    let refused = replay(&plan, &script).unwrap_err().to_string();
    assert_eq!(refused, "its order cannot be followed: it never happens that `ship` is answered");
    let other = support::plan(&ORDER.replace("3", "4"));
    assert!(matches!(replay(&other, &script), Err(Mismatch::Definition { .. })));
    let other = support::plan(&ORDER.replace("id: order", "id: other"));
    assert!(matches!(replay(&other, &script), Err(Mismatch::Workflow { .. })));
    let newer = script.write().replace("\"format\": 1", "\"format\": 2");
    let refused = Counterexample::read(newer.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused, "its format is 2, and this version reads 1");
}

#[test]
fn every_order_is_looked_at() {
    for (source, states, outcomes) in [
        // Each of three may have ended or not; the last state is told once.
        ("{id: a, tasks: {a: {uses: w}, b: {uses: w}, c: {uses: w}}}", 8, 1),
        ("{id: a, tasks: {a: {uses: w}, b: {needs: [a], uses: w}}}", 3, 1),
    ] {
        let mut seen = BTreeSet::new();
        let explored = explore(
            &plan(source),
            &json!({}),
            &mut |_| vec![Answer::Complete(Value::Null)],
            Bounds::default(),
            &mut |trace| {
                seen.insert(format!("{:?}", trace.tasks));
                ControlFlow::Continue(())
            },
        );
        assert_eq!((explored.states, seen.len(), explored.cut_off), (states, outcomes, None));
    }
}

#[test]
fn every_combination_of_answers_is_looked_at() {
    let source = "
id: a
fail_fast: false
tasks: {a: {uses: w}, b: {uses: w}, c: {needs: [a, b], join: any_failed, uses: w}}";
    let mut seen = BTreeSet::new();
    let mut answers = |ask: &surefoot_core::simulate::Ask<'_>| match (ask.path, ask.what) {
        ("c", Asked::Work("w")) => vec![Answer::Complete(Value::Null)],
        _ => vec![Answer::Complete(Value::Null), fail("weak")],
    };
    let mut visit = |trace: &Trace| {
        assert_eq!(trace.end, End::Ended);
        seen.insert(format!("{:?} {}", trace.tasks, trace.status));
        ControlFlow::Continue(())
    };
    explore(&plan(source), &json!({}), &mut answers, Bounds::default(), &mut visit);
    assert_eq!(seen.len(), 4, "{seen:#?}");
    assert_eq!(seen.iter().filter(|it| it.ends_with(RunStatus::Failed.name())).count(), 0);
}

#[test]
fn bounds_are_told() {
    let source =
        "{id: a, initial: one, states: {one: {on: {go: one, stop: two}}, two: {final: true}}}";
    let mut answers = |_: &surefoot_core::simulate::Ask<'_>| vec![Answer::Complete(Value::Null)];
    let bounds = Bounds { steps_max: 20, ..Bounds::default() };
    let mut visit = |_: &Trace| ControlFlow::Continue(());
    let explored = explore(&plan(source), &json!({}), &mut answers, bounds, &mut visit);
    assert_eq!(explored.cut_off, Some(surefoot_core::simulate::CutOff::Steps));
    let mut visit = |_: &Trace| ControlFlow::Break(());
    let explored = explore(&plan(source), &json!({}), &mut answers, bounds, &mut visit);
    assert_eq!(explored.cut_off, Some(surefoot_core::simulate::CutOff::Visitor));
}
