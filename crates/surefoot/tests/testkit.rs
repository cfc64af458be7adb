//! The test kit, on definitions of every shape.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "seeds and counts belong into the output of a test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use surefoot::testkit::{Mock, TestKit};
use surefoot::{RunStatus, TaskError, TaskStatus};

const HOUR: Duration = Duration::from_secs(3600);

fn shapes() -> Vec<(&'static str, TestKit)> {
    let echo = Mock::function(|_, input| Ok(input.clone()));
    let kit = |source: &str| TestKit::new(source).mock("echo", echo.clone());
    vec![
        (
            "a graph with a diamond and a skipped branch",
            kit("
id: diamond
tasks:
  a: {uses: echo, with: {n: 1}}
  b: {needs: [a], uses: echo, with: {n: '${{ tasks.a.output.n + 1 }}'}}
  c: {needs: [a], if: 'false', uses: echo}
  d: {needs: [b, c], join: none_failed, uses: transform, with: {n: '${{ tasks.b.output.n * 2 }}'}}
output: '${{ tasks.d.output.n }}'
"),
        ),
        (
            "retries and time-outs",
            kit("
id: retries
tasks:
  a: {uses: flaky, retry: {max_attempts: 4, delay: 10s, jitter: full}}
  b: {needs: [a], uses: wait, with: {for: 2h}}
")
            .mock(
                "flaky",
                Mock::sequence([
                    Err(TaskError::new("x", "one")),
                    Err(TaskError::new("x", "two")),
                    Ok(json!({"ok": true})),
                ]),
            ),
        ),
        (
            "items, sub-graphs and sub-runs",
            kit("
id: nested
tasks:
  each:
    for_each: '${{ input.list }}'
    max_parallel: 2
    tasks:
      one: {uses: echo, with: {n: '${{ item }}'}}
      two: {needs: [one], uses: transform, with: {n: '${{ tasks.one.output.n + index }}'}}
  call: {needs: [each], uses: workflow, with: {id: child, input: {n: 3}}}
output: ['${{ tasks.each.output.map(o, o.two.n) }}', '${{ tasks.call.output.output }}']
")
            .input(json!({"list": [5, 6, 7]}))
            .with_workflow("{id: child, tasks: {c: {uses: echo, with: {n: '${{ input.n }}'}}}, output: '${{ tasks.c.output.n }}'}"),
        ),
        (
            "a saga that is undone",
            kit("
id: saga
tasks:
  pay: {uses: echo, with: {id: p}, compensate: {uses: echo, with: {undo: '${{ tasks.pay.output.id }}'}}}
  ship: {needs: [pay], uses: echo, with: {id: s}, compensate: {uses: echo, with: {undo: '${{ tasks.ship.output.id }}'}}}
  bad: {needs: [ship], uses: fail, with: {message: no stock}}
finally: {note: {uses: echo, with: {outcome: '${{ run.outcome }}'}}}
"),
        ),
        (
            "a machine with events, work and a time",
            kit("
id: machine
vars: {rounds: 0}
initial: draft
states:
  draft: {on: {submit: prepare}}
  prepare: {uses: echo, with: {round: '${{ vars.rounds }}'}, next: review}
  review:
    on: {reject: {to: draft, set: {rounds: '${{ vars.rounds + 1 }}'}}}
    after: {72h: {to: done}}
  done: {final: true, output: '${{ vars.rounds }}'}
")
            .signal(HOUR, "submit", json!({}))
            .signal(2 * HOUR, "reject", json!({}))
            .signal(3 * HOUR, "submit", json!({})),
        ),
        (
            "an approval and an early signal",
            kit("
id: people
tasks:
  ask: {uses: approval, with: {prompt: ok, groups: [boss], timeout: 48h, on_timeout: reject}}
  go: {needs: [ask], uses: signal, with: {name: go, timeout: 1h}}
output: '${{ tasks.go.output.data }}'
")
            .signal(HOUR, "go", json!(42))
            .vote(5 * HOUR, "ann", &["boss"], true),
        ),
    ]
}

#[tokio::test]
async fn every_shape_ends_as_it_should() {
    let expected = [
        ("completed", json!(4)),
        ("completed", json!(null)),
        ("completed", json!([[5, 7, 9], 3])),
        ("failed", json!(null)),
        ("completed", json!(1)),
        ("completed", json!(42)),
    ];
    for ((name, kit), (status, output)) in shapes().into_iter().zip(expected) {
        let outcome = kit.run().await.unwrap();
        assert_eq!(
            outcome.status.name(),
            status,
            "{name}: {:?} {:?}",
            outcome.error,
            outcome.refused
        );
        assert_eq!(outcome.output, output, "{name}");
    }
}

#[tokio::test]
async fn no_crash_at_any_decision_changes_the_end() {
    let mut plays = 0;
    for (name, kit) in shapes() {
        let report = kit.crash_everywhere().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        plays += report.plays;
    }
    println!("{plays} plays under one fault");
    assert!(plays > 150, "{plays}");
}

#[tokio::test]
async fn no_second_crash_during_the_resumption_changes_the_end() {
    for (name, kit) in shapes() {
        kit.crash_twice(3).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn every_task_may_fail_once() {
    for (name, kit) in shapes() {
        let outcome =
            kit.fail_each_task_once().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let waits_for_people = outcome.calls.is_empty() || name.contains("approval");
        assert!(outcome.status.is_terminal() || waits_for_people, "{name}: {}", outcome.status);
    }
}

#[tokio::test]
async fn every_task_may_run_twice() {
    let ledger = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = ledger.clone();
    let kit = TestKit::new(
        "{id: pay, tasks: {pay: {uses: http, with: {url: 'https://a.example', method: POST}}}}",
    )
    .mock(
        "pay",
        Mock::function(move |context, _| {
            let mut ledger = seen.lock().unwrap();
            *ledger.entry(context.idempotency_key.clone()).or_insert(0) += 1;
            Ok(json!({"charges": ledger.len()}))
        }),
    );
    kit.repeat_each_task().await.unwrap();
    let calls: Vec<u32> = ledger.lock().unwrap().values().copied().collect();
    assert_eq!(calls.iter().sum::<u32>(), 3, "once to know the outcome, and then twice");
    assert_eq!(calls.len(), 2, "twice with one key, so that it was one charge a run");
}

#[tokio::test]
async fn a_task_without_a_mock_says_so() {
    let outcome =
        TestKit::new("{id: a, tasks: {call: {uses: http, with: {url: 'https://a.example'}}}}")
            .run()
            .await
            .unwrap();
    assert_eq!(outcome.status, RunStatus::Failed);
    assert_eq!(outcome.tasks["call"].status, TaskStatus::Failed);
    assert!(outcome.error.unwrap().error.message.contains("no mock for task `call` (http)"));
}
