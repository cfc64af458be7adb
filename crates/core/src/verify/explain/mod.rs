//! Says in words when a task or state runs, what its failure does, and what follows it. Pure: a
//! plan goes in, sentences come out, for the command line and for whoever draws the plan.
//!
//! | file | answers |
//! |---|---|
//! | `task` | a task of a graph: its needs, its join, who accepts its failure |
//! | `state` | a state of a machine: how it is entered and left |

mod state;
mod task;

use serde::{Deserialize, Serialize};

use crate::definition::OnItemFailure;
use crate::plan::{NodeId, Plan, RetryPlan, TaskPlan, WorkPlan};

/// Sentences about one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Such as `starts`.
    pub title: String,
    /// Each without its full stop.
    pub sentences: Vec<String>,
}

/// Explains a node of a plan.
pub fn explain(plan: &Plan, id: NodeId) -> Vec<Section> {
    let node = plan.node(id);
    let mut sections = vec![section("is", vec![identity(plan, id)])];
    match &node.state {
        Some(state) => {
            sections.push(state::entered(plan, id));
            sections.push(section("works", work(node)));
            sections.push(state::left(plan, id, state));
        }
        None => {
            sections.push(task::starts(plan, id));
            sections.push(section("works", work(node)));
            sections.extend(task::ends(plan, id));
        }
    }
    sections.retain(|it| !it.sentences.is_empty());
    sections
}

fn section(title: &str, sentences: Vec<String>) -> Section {
    Section { title: title.to_owned(), sentences }
}

fn identity(plan: &Plan, id: NodeId) -> String {
    let node = plan.node(id);
    let what = match (&node.work, &node.state) {
        (WorkPlan::Nothing, Some(state)) if state.is_final => "a final state".to_owned(),
        (WorkPlan::Nothing, Some(_)) => "a state without work".to_owned(),
        (WorkPlan::Nothing, None) => "a task that only joins others".to_owned(),
        (WorkPlan::Uses { kind, .. }, Some(_)) => format!("a state that does `{kind}`"),
        (WorkPlan::Uses { kind, .. }, None) => format!("a task that does `{kind}`"),
        (WorkPlan::Composite(inner), state) => {
            let count = plan.composite(*inner).len;
            let what = if state.is_some() { "state" } else { "task" };
            format!("a {what} that holds {count} inside")
        }
    };
    let owner = plan.composite(node.composite).owner;
    let within = owner.map(|it| format!(" within {}", named(plan, it))).unwrap_or_default();
    format!("{} is {what}{within}", named(plan, id))
}

/// A task and its line, such as `` `pay` (line 12) ``.
fn named(plan: &Plan, id: NodeId) -> String {
    match plan.node(id).line {
        0 => format!("`{}`", plan.path(id)),
        line => format!("`{}` (line {line})", plan.path(id)),
    }
}

/// Joins parts as people do: `a, b and c`.
fn listed(parts: &[String], word: &str) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
    }
}

/// What holds while it runs: items, attempts, times, limits.
fn work(node: &TaskPlan) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(items) = &node.for_each {
        let at_once = items.max_parallel.map(|it| format!(", at most {it} at once"));
        let failed = match items.on_item_failure {
            OnItemFailure::Fail => "the first item that fails cancels the others and fails it",
            OnItemFailure::FailAtEnd => "all items run, and it fails if one of them did",
            OnItemFailure::Continue => "all items run, and failed ones give null",
        };
        let at_once = at_once.unwrap_or_default();
        all.push(format!("it works once for each item{at_once}; {failed}"));
    }
    all.extend(node.retry.as_deref().filter(|it| it.max_attempts > 1).map(attempts));
    let times = [
        (node.timeout.queue, "it may wait", "to be started"),
        (node.timeout.run, "each attempt may take", ""),
        (node.timeout.total, "all attempts and the delays between them may take", ""),
        (node.timeout.heartbeat, "the next sign of life must come within", ""),
    ];
    all.extend(times.into_iter().filter_map(|(limit, what, rest)| {
        Some(format!("{what} {} {rest}", limit?).trim_end().to_owned())
    }));
    if let Some(concurrency) = &node.concurrency {
        let each = if concurrency.key.is_some() { " for each value of its key" } else { "" };
        all.extend(concurrency.limit.map(|it| format!("at most {it} run at once{each}")));
        all.extend(concurrency.rate.map(|it| format!("{} starts in {}{each}", it.count, it.per)));
    }
    all
}

fn attempts(retry: &RetryPlan) -> String {
    let condition = retry.condition.as_ref();
    let only = condition.map(|it| format!(", if `{}`", it.source())).unwrap_or_default();
    let until = retry.max_elapsed.map(|it| format!(", until {it} after the first"));
    format!(
        "a failed attempt is repeated after {} and more, {} attempts in all{only}{}",
        retry.delay,
        retry.max_attempts,
        until.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::fmt::Write as _;

    use super::*;
    use crate::check::{CheckContext, check_source};

    #[track_caller]
    fn check(source: &str, path: &str, expected: &str) {
        let document = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        let plan = document.draft.unwrap_or_else(|| panic!("{:?}", document.problems));
        let mut found = String::new();
        for section in explain(&plan, plan.find(path).unwrap()) {
            for sentence in section.sentences {
                writeln!(found, "{}: {sentence}", section.title).unwrap();
            }
        }
        assert_eq!(found, expected.trim_start(), "\n{found}");
    }

    const ORDER: &str = "id: order
tasks:
  validate: {uses: check_order}
  approve: {needs: [validate], if: input.total > 1000, uses: approval, with: {prompt: ok}}
  pay:
    needs: [validate, approve]
    join: none_failed
    uses: charge
    retry: {max_attempts: 3, delay: 2s, if: error.status >= 500}
    timeout: 30s
    compensate: {uses: refund}
  tell: {needs: [pay], join: any_failed, uses: log, with: {message: no}}
  ship: {needs: [pay], uses: ship_order}
";

    #[test]
    fn a_task_without_needs_starts_at_once() {
        check(ORDER, "validate", "
is: `validate` (line 3) is a task that does `check_order`
starts: it needs nothing, so it starts when the run starts
if it fails: nobody accepts that: the run fails, what has not started is skipped, and what runs gets some seconds to end
if it fails: if the run fails, what has completed is undone, the last first: `pay` (line 5)
then: `approve` (line 4) may start, if all of its needs completed
then: `pay` (line 5) may start, if none of its needs failed and at least one completed
");
    }

    #[test]
    fn a_join_is_told_by_what_its_needs_do() {
        check(
            ORDER,
            "pay",
            "
is: `pay` (line 5) is a task that does `charge`
starts: it needs `validate` (line 3) and `approve` (line 4)
starts: `none_failed`: it starts when all have ended, if none failed and at least one completed
starts: all complete: it runs
starts: one is skipped and the others complete: it runs
starts: all are skipped: it is skipped, for a need was skipped
starts: one fails and the others complete: it is skipped, for a need failed
starts: all fail: it is skipped, for a need failed
works: a failed attempt is repeated after 2s and more, 3 attempts in all, if `error.status >= 500`
works: each attempt may take 30s
if it fails: `tell` (line 12) accepts that: it runs then, and the run goes on
then: `tell` (line 12) may start, if one of its needs failed
then: `ship` (line 13) may start, if all of its needs completed
undone: if the run fails or is cancelled after it completed, `pay:compensate` (line 5) undoes it
",
        );
    }

    #[test]
    fn a_condition_is_asked_after_the_join() {
        check(ORDER, "approve", "
is: `approve` (line 4) is a task that does `approval`
starts: it needs `validate` (line 3)
starts: `all_success`: it starts when all have ended, if all completed
starts: that completes: it runs
starts: that is skipped: it is skipped, for a need was skipped
starts: that fails: it is skipped, for a need failed
starts: then `input.total > 1000` is asked: if it is false the task is skipped, if it cannot be evaluated the task fails
if it fails: nobody accepts that: the run fails, what has not started is skipped, and what runs gets some seconds to end
if it fails: if the run fails, what has completed is undone, the last first: `pay` (line 5)
then: `pay` (line 5) may start, if none of its needs failed and at least one completed
");
    }

    #[test]
    fn a_state_is_told_by_its_ways() {
        let door = "id: door
initial: closed
vars: {turns: 0}
states:
  closed: {on: {open: {if: vars.turns < 3, to: opened}, lock: locked}}
  opened: {uses: ring, next: closed, after: {5m: closed}}
  locked: {final: true}
";
        check(
            door,
            "closed",
            "
is: `closed` (line 5) is a state without work
entered: when the run starts: it is the initial state
entered: from `opened` (line 6) when its work is done
entered: from `opened` (line 6) after 5m
left: on `open` to `opened` (line 6), if `vars.turns < 3` is true
left: on `lock` to `locked` (line 7)
",
        );
        check(
            door,
            "opened",
            "
is: `opened` (line 6) is a state that does `ring`
entered: from `closed` (line 5) on `open`, if `vars.turns < 3` is true
left: when its work is done to `closed` (line 5)
left: after 5m to `closed` (line 5)
left: if its work fails: the machine fails, for no transition takes `failed`
",
        );
    }
}
