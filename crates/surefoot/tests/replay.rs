//! Counterexamples in the engine: it does what the simulation does, in the same order.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;
use surefoot::Command;
use surefoot::TaskError;
use surefoot::core::check::{CheckContext, check_source};
use surefoot::core::simulate::{
    Answer, Counterexample, Expected, Mismatch, Turn, replay as simulate,
};
use surefoot::testkit::{ReplayError, replay};

struct Case {
    source: &'static str,
    answers: Vec<(&'static str, Answer)>,
    order: Vec<Turn>,
    expected: Expected,
}

fn counterexample(case: &Case) -> Counterexample {
    let plan = check_source(case.source.as_bytes(), &CheckContext::default()).remove(0).plan;
    let mut script =
        Counterexample::new(&plan.unwrap(), "SF2999", "it holds", case.expected.clone());
    for (path, answer) in &case.answers {
        script.answers.entry((*path).to_owned()).or_default().push(answer.clone());
    }
    script.order.clone_from(&case.order);
    script
}

/// The engine reproduces it, and tells the same story as the simulation.
async fn check(case: Case) {
    let script = counterexample(&case);
    let plan = check_source(case.source.as_bytes(), &CheckContext::default()).remove(0).plan;
    let simulated = simulate(&plan.unwrap(), &script).unwrap();
    let replayed = replay(&[case.source.to_owned()], &script).await;
    let replayed = replayed.unwrap_or_else(|error| panic!("{error}\n{simulated}"));
    assert!(replayed.is_reproduced, "{}", replayed.trace);
    assert_eq!(replayed.trace.to_string(), simulated.to_string());
}

fn fail(kind: &str) -> Answer {
    Answer::Fail(TaskError::new(kind, "it went wrong"))
}

fn answer(path: &str) -> Turn {
    Turn::Answer(path.to_owned())
}

#[tokio::test]
async fn the_engine_follows_an_order() {
    let task = |it: &str| it.to_owned();
    let good = || Answer::Complete(json!({"ok": true}));
    check(Case {
        source: "
id: a
tasks:
  pay: {uses: http, with: {url: 'https://pay.example/', method: POST}, compensate: {uses: undo}}
  a: {needs: [pay], uses: work, retry: {max_attempts: 3, delay: 1s}}
  b: {needs: [pay], uses: work}
finally: {clean: {uses: work}}",
        answers: vec![("a", fail("weak")), ("undo", good())],
        order: vec![answer("pay"), answer("b"), answer("a")],
        expected: Expected::RunFailed { error_type: Some(task("weak")) },
    })
    .await;
    check(Case {
        source: "{id: a, tasks: {a: {uses: work, for_each: [1, 2, 3]}}}",
        answers: vec![("a[1]", fail("weak"))],
        order: vec![answer("a[2]"), answer("a[1]")],
        expected: Expected::TaskCancelled { task: task("a[0]") },
    })
    .await;
    check(Case {
        source: "{id: a, tasks: {a: {uses: work, timeout: 5s}, b: {uses: work}}, fail_fast: false}",
        answers: vec![("a", Answer::TimeOut)],
        order: vec![answer("a"), answer("b")],
        expected: Expected::BothRunning { first: task("a"), second: task("b") },
    })
    .await;
    check(Case {
        source: "
id: a
tasks:
  ask: {uses: approval, with: {quorum: 2}}
  come: {uses: signal, with: {name: come}}
  sub: {needs: [ask, come], uses: workflow, with: {id: other}}
  clock: {needs: [sub], join: any_failed, uses: wait, with: {for: 1h}}",
        answers: vec![("sub", fail("hard"))],
        order: vec![answer("come"), answer("ask")],
        expected: Expected::RunCompleted,
    })
    .await;
    check(Case {
        source: "
id: a
initial: one
states: {one: {on: {go: two}}, two: {uses: work, next: one, on: {stop: three}}, three: {final: true}}",
        answers: vec![],
        order: vec![
            Turn::Event { name: task("go"), data: json!({}) },
            answer("two"),
            Turn::Event { name: task("go"), data: json!({}) },
            Turn::Event { name: task("stop"), data: json!({}) },
        ],
        expected: Expected::StateEntered { state: task("two"), times: 2 },
    })
    .await;
    check(Case {
        source: "{id: a, tasks: {a: {uses: work}, b: {needs: [a], uses: work}}}",
        answers: vec![],
        order: vec![Turn::Ask(Command::Pause), answer("a"), Turn::Ask(Command::Cancel)],
        expected: Expected::RunCancelled,
    })
    .await;
    check(Case {
        source: "{id: a, tasks: {a: {uses: work}, b: {uses: work}}}",
        answers: vec![("a", Answer::Never)],
        order: vec![],
        expected: Expected::Stuck,
    })
    .await;
}

#[tokio::test]
async fn what_is_about_something_else_is_refused() {
    let case = Case {
        source: "{id: a, tasks: {a: {uses: work}}}",
        answers: vec![],
        order: vec![],
        expected: Expected::RunCompleted,
    };
    let script = counterexample(&case);
    let other = "{id: a, tasks: {a: {uses: other}}}".to_owned();
    let refused = replay(&[other], &script).await.unwrap_err();
    let ReplayError::Mismatch(mismatch) = refused else { panic!("{refused}") };
    assert!(matches!(*mismatch, Mismatch::Definition { .. }));
    let refused = replay(&[], &script).await.unwrap_err().to_string();
    assert_eq!(refused, "the definition has no workflow `a` that passes the checks");
}
