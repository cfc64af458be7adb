//! What random definitions and exhaustive search have found, each as the smallest case that shows
//! it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;

use serde_json::json;
use support::plan;
use surefoot_core::run::{Effect, RunStatus, TaskStatus};
use surefoot_core::simulate::{
    Answer, Bounds, Counterexample, Expected, Trace, Turn, World, replay,
};
use surefoot_core::task_error::TaskError;

fn fail() -> Answer {
    Answer::Fail(TaskError::new("boom", "it went wrong"))
}

/// Replays an execution in which `failing` fails and the tasks of `order` end in this order.
fn check(source: &str, failing: &str, order: &[&str], expected: Expected) -> Trace {
    let plan = plan(source);
    let mut script = Counterexample::new(&plan, "SF2999", "it holds", expected);
    script.answers.insert(failing.to_owned(), vec![fail()]);
    script.order = order.iter().map(|it| Turn::Answer((*it).to_owned())).collect();
    replay(&plan, &script).unwrap_or_else(|why| panic!("{why}\n{source}"))
}

/// Whether the failure came before or after the success decided whether the run failed.
#[test]
fn a_failure_beside_a_success_is_accepted_whichever_comes_first() {
    let source = "
id: a
tasks:
  good: {uses: work}
  bad: {uses: work}
  first: {needs: [good, bad], join: any_success, if: 'false', uses: work}
";
    for order in [["good", "bad"], ["bad", "good"]] {
        check(source, "bad", &order, Expected::RunCompleted);
    }
}

/// A time that came within the grace period moved the machine into a state that nothing could end.
#[test]
fn a_machine_that_is_being_stopped_takes_no_transition_by_time() {
    let source = "
id: a
tasks:
  bad: {uses: work}
  m:
    initial: one
    states:
      one: {uses: work, next: end, after: {5s: two}}
      two: {on: {go: end}}
      end: {final: true}
";
    let plan = plan(source);
    let expected = Expected::RunFailed { error_type: Some("boom".to_owned()) };
    let mut script = Counterexample::new(&plan, "SF2999", "it ends", expected);
    script.answers.insert("bad".to_owned(), vec![fail()]);
    script.answers.insert("m.one".to_owned(), vec![Answer::Never]);
    script.order = vec![Turn::Answer("bad".to_owned()), Turn::Timer];
    let trace = replay(&plan, &script).unwrap();
    assert!(!trace.tasks.contains_key("m.two"), "{trace}");
}

/// A state that charged three times is refunded three times, not once with the same key.
#[test]
fn each_visit_of_a_state_is_undone_with_a_key_of_its_own() {
    let source = "
id: a
vars: {n: 0}
initial: pay
states:
  pay:
    uses: work
    compensate: {uses: undo}
    next: [{if: vars.n < 2, to: pay, set: {n: '${{ vars.n + 1 }}'}}, {to: bad}]
  bad: {uses: fail, with: {message: no}, next: end}
  end: {final: true}
";
    let mut world = World::new(&plan(source), &json!({}), Bounds::default());
    let mut keys = BTreeSet::new();
    loop {
        for effect in world.run().outstanding() {
            if let Effect::Execute { task, .. } = effect {
                keys.insert(world.run().idempotency_key(task));
            }
        }
        let enabled = world.enabled(&mut |_| vec![Answer::Complete(json!({}))]);
        let Some(choice) = enabled.first() else { break };
        world.act(choice);
    }
    assert_eq!(world.run().state().status, RunStatus::Failed);
    assert_eq!(keys.len(), 3 + 3, "three charges and three refunds");
}

/// The tables did not know that a kind which the engine decides itself can be tried again.
#[test]
fn what_the_engine_decides_itself_is_retried() {
    let source = "
id: a
tasks:
  a: {uses: fail, with: {message: no, type: boom, retryable: true}, retry: {max_attempts: 3, delay: 5s}}
";
    let expected = Expected::TaskFailed { task: "a".to_owned(), error_type: None };
    let trace = check(source, "nothing", &[], expected);
    assert_eq!(trace.tasks["a"], TaskStatus::Failed);
    assert!(trace.to_string().contains("3 of 3 attempts"), "{trace}");
}
