//! Defects of the definitions and engines that the project's mission comes from: each definition is
//! refused for what is wrong with it, and the engine does not do what those engines did. The
//! machines among them are in `data/verify/machines_golden.txt`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::json;
use support::random_oracle::RandomOracle;
use surefoot_core::check::{CheckContext, HandlerSchema, check_source};
use surefoot_core::join::SkipCause;
use surefoot_core::run::{RunStatus, TaskStatus};
use surefoot_core::simulate::{
    Answer, Bounds, Counterexample, Expected, Trace, What, replay, simulate,
};
use surefoot_core::source::LineIndex;
use surefoot_core::task_error::TaskError;

/// The order workflow as it was written down first.
const ORDER: &str = "\
id: order_processing
tasks:
  validate_order: {uses: validate_order, timeout: 30s, retry: {max_attempts: 4}}
  process_payment:
    needs: [validate_order]
    uses: http
    with: {url: 'http://payment-service/process', method: POST, idempotency: false}
    timeout: 60s
    retry: {max_attempts: 4}
  update_inventory:
    needs: [process_payment]
    uses: sql
    with: {database: shop, query: 'UPDATE inventory SET quantity = quantity - 1'}
    timeout: 30s
    retry: {max_attempts: 3}
  send_notification:
    needs: [update_inventory]
    uses: http
    with: {url: 'http://notification-service/send', method: POST}
    timeout: 10s
    retry: {max_attempts: 2}
";

/// Checks that a code is reported at a line.
#[track_caller]
fn check(source: &str, code: &str, line: u32) {
    check_in(source, &CheckContext::default(), code, line);
}

#[track_caller]
fn check_in(source: &str, context: &CheckContext, code: &str, line: u32) {
    let document = check_source(source.as_bytes(), context).remove(0);
    let lines = LineIndex::new(source.as_bytes());
    let found: Vec<(&str, u32)> = document
        .problems
        .iter()
        .map(|it| (it.code, lines.position(it.label.span.start).0))
        .collect();
    assert!(found.contains(&(code, line)), "{code} at line {line}, not {found:?}\n{source}");
}

fn run_order() -> Trace {
    let plan = support::plan(ORDER);
    let mut oracle = RandomOracle::new(1);
    (oracle.failures, oracle.time_outs) = (0, 0);
    simulate(&plan, &json!({}), &mut oracle, Bounds::default())
}

fn starts(trace: &Trace, task: &str) -> usize {
    trace.steps.iter().filter(|it| it.path == task && it.what == What::Started).count()
}

/// Executors of one pass ran the first task and left the run as running for ever.
#[test]
fn the_order_workflow_runs_to_its_end() {
    let trace = run_order();
    assert_eq!(trace.status, RunStatus::Completed, "{trace}");
    assert!(trace.tasks.values().all(|it| *it == TaskStatus::Completed), "{trace}");
}

/// Results of the ready tasks were taken for those of the first ones, so the payment ran in three
/// rounds, stock never changed, and four completions were counted.
#[test]
fn every_task_of_it_runs_once() {
    let trace = run_order();
    for task in ["validate_order", "process_payment", "update_inventory", "send_notification"] {
        assert_eq!(starts(&trace, task), 1, "{task}\n{trace}");
    }
}

/// Nothing was ready behind a failed task, and the executor stopped without a word.
#[test]
fn a_failure_says_what_became_of_the_rest() {
    let plan = support::plan(ORDER);
    let expected = Expected::TaskSkipped {
        task: "update_inventory".to_owned(),
        cause: Some(SkipCause::UpstreamFailed),
    };
    let mut example = Counterexample::new(&plan, "SF2402", "undone", expected);
    let error = TaskError::fatal("declined", "the card was declined");
    example.answers.insert("process_payment".to_owned(), vec![Answer::Fail(error)]);
    let trace = replay(&plan, &example).unwrap_or_else(|it| panic!("{it:?}"));
    assert_eq!(trace.status, RunStatus::Failed);
    assert_eq!(trace.error.unwrap().task.as_deref(), Some("process_payment"));
}

/// The payment is retried without a key, and stock is taken again by every repetition.
#[test]
fn what_must_not_be_repeated_is_not_retried_unseen() {
    check(ORDER, "SF2401", 6);
    check(ORDER, "SF2401", 12);
}

/// When stock cannot be taken, the money is kept.
#[test]
fn money_is_not_kept_unseen() {
    check(ORDER, "SF2402", 4);
}

/// `edges` and `dependencies` could disagree, and `start_task` and `end_tasks` were looked at by
/// nobody: here the needs are all there is.
#[test]
fn there_is_one_way_to_say_what_comes_first() {
    check("id: a\nstart_task: b\ntasks:\n  b: {uses: h}\n", "SF1020", 2);
    check("id: a\ntasks:\n  b: {uses: h}\nedges: [[b, c]]\n", "SF1020", 4);
}

/// The sample process stopped at its first step: nobody had a handler for its type.
#[test]
fn every_type_of_step_has_a_handler() {
    let handlers = vec![HandlerSchema { name: "review".to_owned(), ..HandlerSchema::default() }];
    let context = CheckContext { handlers: Some(handlers), ..CheckContext::default() };
    check_in("id: a\ntasks:\n  begin: {uses: start}\n", &context, "SF1106", 3);
}

/// Without an approval the process was complete after its review, and nobody was told.
#[test]
fn a_branch_without_a_default_is_seen() {
    let source = "\
id: process
input: {type: object, required: [approval_required], properties: {approval_required: {type: boolean}}}
initial: review
states:
  review: {uses: review, next: [{if: input.approval_required, to: approve}]}
  approve: {uses: approve, next: notify}
  notify: {uses: notify, next: end}
  end: {final: true}
";
    check(source, "SF2201", 5);
}

/// An unknown condition counted as true.
#[test]
fn an_unknown_condition_is_refused() {
    check("id: a\ntasks:\n  b: {if: approval_needed, uses: h}\n", "SF1120", 3);
}

/// One engine span for ever on a cycle, the other found it after it had begun to act.
#[test]
fn a_cycle_is_refused_before_anything_runs() {
    let source = "id: a\ntasks:\n  b: {needs: [d], uses: h}\n  c: {needs: [b], uses: h}\n  d: {needs: [c], uses: h}\n";
    check(source, "SF1102", 3);
}
