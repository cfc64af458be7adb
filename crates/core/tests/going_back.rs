//! Retry and rewind: what runs again, what is kept, and that asking twice does no more than once.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::{Value, json};
use support::lab::{Lab, Move};
use surefoot_core::ids::RunId;
use surefoot_core::run::{Command, Effect, RunStatus, TaskId, TaskStatus};
use surefoot_core::task_error::TaskError;

fn ask(lab: &mut Lab, command: Command) {
    let told = format!("{command:?}");
    lab.make(&Move::Ask(command)).unwrap_or_else(|why| panic!("{told}: {why}\n{lab}"));
}

fn refused(lab: &mut Lab, command: Command) {
    lab.make(&Move::Ask(command)).expect_err("it is refused");
}

fn rewind(to: &str) -> Command {
    Command::Rewind { to: to.to_owned() }
}

/// Ends the attempt of a task that is under way.
fn end(lab: &mut Lab, path: &str, result: Result<Value, TaskError>) {
    let task = lab.run().find(path).unwrap();
    let attempt = lab.run().state().task(task).attempt;
    ask(
        lab,
        match result {
            Ok(output) => Command::Complete { task, attempt, output },
            Err(error) => Command::Fail { task, attempt, error },
        },
    );
}

fn done(lab: &mut Lab, path: &str) {
    end(lab, path, Ok(json!(path)));
}

fn failed(lab: &mut Lab, path: &str) {
    end(lab, path, Err(TaskError::fatal("hard", "no")));
}

fn status(lab: &Lab, path: &str) -> TaskStatus {
    lab.run().state().task(lab.run().find(path).unwrap()).status
}

fn key(lab: &Lab, path: &str) -> String {
    lab.run().idempotency_key(lab.run().find(path).unwrap())
}

fn executing(lab: &Lab) -> Vec<String> {
    let effects = lab.run().outstanding().into_iter();
    let running = effects.filter_map(|it| match it {
        Effect::Execute { task, .. } | Effect::Cancel { task, .. } => Some(lab.run().path(task)),
        _ => None,
    });
    running.collect()
}

/// The same, without the numbers of visits and whether it is an undoing.
fn executing_on_any_visit(lab: &Lab) -> Vec<String> {
    let plain = |path: String| {
        let parts =
            path.split('.').map(|it| it.split(['#', ':']).next().unwrap_or_default().to_owned());
        parts.collect::<Vec<_>>().join(".")
    };
    executing(lab).into_iter().map(plain).collect()
}

fn started(source: &str) -> Lab {
    let mut lab = Lab::new(source, 9);
    ask(&mut lab, Command::Admit);
    lab
}

const SAGA: &str = "{id: p, tasks: {a: {uses: w, compensate: {uses: u}}, b: {needs: [a], uses: w}, c: {needs: [b], uses: w}}, finally: {clean: {uses: w}}}";

#[test]
fn a_rewind_runs_a_task_and_all_behind_it_with_a_new_key() {
    let source =
        "{id: a, tasks: {a: {uses: w}, b: {needs: [a], uses: w}, c: {needs: [b], uses: w}}}";
    let mut lab = started(source);
    for path in ["a", "b", "c"] {
        done(&mut lab, path);
    }
    let first = key(&lab, "b");
    ask(&mut lab, rewind("b"));
    let statuses = ["a", "b", "c"].map(|it| status(&lab, it));
    assert_eq!(statuses, [TaskStatus::Completed, TaskStatus::Running, TaskStatus::Pending]);
    assert_ne!(key(&lab, "b"), first, "the effect is wanted again");
    for path in ["b", "c"] {
        done(&mut lab, path);
    }
    assert_eq!(lab.status(), RunStatus::Completed);
}

#[test]
fn a_rewind_during_compensation_or_finally_is_refused_and_leaves_no_attempt_running() {
    let mut lab = started(SAGA);
    done(&mut lab, "a");
    failed(&mut lab, "b");
    assert_eq!(executing(&lab), ["a:compensate"]);
    for phase in ["a:compensate", "finally:clean"] {
        refused(&mut lab, rewind("b"));
        assert_eq!(executing(&lab), [phase]);
        done(&mut lab, phase);
    }
    ask(&mut lab, rewind("b"));
    assert_eq!(executing(&lab), ["a"], "what was undone is needed again");
}

#[test]
fn a_rewind_of_a_killed_run_does_not_skip_what_was_cancelled_upstream() {
    let mut lab = started(SAGA);
    let first = key(&lab, "a");
    ask(&mut lab, Command::Kill);
    ask(&mut lab, rewind("b"));
    assert_eq!((status(&lab, "a"), status(&lab, "b")), (TaskStatus::Running, TaskStatus::Pending));
    assert_eq!(key(&lab, "a"), first, "its effect is wanted once");
    for path in ["a", "b", "c", "finally:clean"] {
        done(&mut lab, path);
    }
    assert_eq!(lab.status(), RunStatus::Completed);
}

#[test]
fn a_rewind_runs_what_was_cut_off_beside_its_task() {
    let source = "{id: p, tasks: {a: {uses: w}, b: {uses: w}}}";
    let mut lab = started(source);
    done(&mut lab, "a");
    ask(&mut lab, Command::Kill);
    ask(&mut lab, rewind("a"));
    assert_eq!(executing(&lab), ["a", "b"]);
}

#[test]
fn a_rewind_does_not_forget_a_failure_beside_its_task() {
    let source = "{id: p, fail_fast: false, tasks: {a: {uses: w}, b: {uses: w}}}";
    let mut lab = started(source);
    failed(&mut lab, "b");
    done(&mut lab, "a");
    assert_eq!(lab.status(), RunStatus::Failed);
    ask(&mut lab, rewind("a"));
    done(&mut lab, "a");
    assert_eq!(status(&lab, "b"), TaskStatus::Running, "it failed the run, so it runs again");
}

#[test]
fn a_rewind_while_a_failed_graph_stops_runs_what_was_asked_to_end() {
    let mut lab = started("{id: p, tasks: {a: {uses: w}, b: {uses: w}}}");
    failed(&mut lab, "a");
    assert_eq!(executing(&lab), ["b"], "it has its grace period");
    ask(&mut lab, rewind("a"));
    done(&mut lab, "a");
    done(&mut lab, "b");
    assert_eq!(lab.status(), RunStatus::Completed);
}

#[test]
fn a_rewind_of_a_run_does_not_count_what_was_compensated_upstream_as_completed() {
    let mut lab = started(SAGA);
    let first = key(&lab, "a");
    done(&mut lab, "a");
    failed(&mut lab, "b");
    done(&mut lab, "a:compensate");
    done(&mut lab, "finally:clean");
    assert_eq!(status(&lab, "a"), TaskStatus::Compensated);
    ask(&mut lab, rewind("b"));
    assert_eq!((status(&lab, "a"), status(&lab, "b")), (TaskStatus::Running, TaskStatus::Pending));
    assert_ne!(key(&lab, "a"), first, "its effect is wanted again");
}

/// The kill came while the refund was under way: whether it happened, nobody knows.
#[test]
fn a_task_whose_undoing_was_cut_off_runs_again() {
    for command in [rewind("b"), Command::Retry] {
        let mut lab = started(SAGA);
        let first = key(&lab, "a");
        done(&mut lab, "a");
        failed(&mut lab, "b");
        assert_eq!(executing(&lab), ["a:compensate"]);
        ask(&mut lab, Command::Kill);
        ask(&mut lab, command);
        assert_eq!(executing(&lab), ["a"]);
        assert_ne!(key(&lab, "a"), first, "its effect is wanted again");
    }
}

#[test]
fn a_rewind_that_is_asked_for_twice_is_done_once() {
    let mut lab = started(SAGA);
    for path in ["a", "b", "c", "finally:clean"] {
        done(&mut lab, path);
    }
    ask(&mut lab, rewind("b"));
    let (once, state) = (key(&lab, "b"), lab.state().clone());
    ask(&mut lab, rewind("b"));
    assert_eq!((key(&lab, "b"), lab.state()), (once.clone(), &state));
    done(&mut lab, "b");
    ask(&mut lab, rewind("b"));
    assert_ne!(key(&lab, "b"), once, "it has ended since, so its effect is wanted once more");
}

#[test]
fn a_rewind_over_a_state_that_was_undone_is_refused() {
    let source = "{id: p, initial: one, states: {one: {uses: w, compensate: {uses: u}, next: two}, two: {uses: w, next: end}, end: {final: true}}}";
    let mut lab = started(source);
    done(&mut lab, "one");
    failed(&mut lab, "two");
    done(&mut lab, "one:compensate");
    assert_eq!(lab.status(), RunStatus::Failed);
    refused(&mut lab, rewind("two"));
    ask(&mut lab, rewind("one"));
    for path in ["one", "two"] {
        done(&mut lab, path);
    }
    assert_eq!(lab.status(), RunStatus::Completed);
}

/// The group failed on its own, and what it needs was undone: it must wait for that.
#[test]
fn a_retry_runs_a_failed_group_after_what_was_undone_before_it() {
    let source = "{id: p, tasks: {a: {uses: w, compensate: {uses: u}}, g: {needs: [a], tasks: {x: {uses: w}}}}}";
    let mut lab = started(source);
    done(&mut lab, "a");
    failed(&mut lab, "g.x");
    done(&mut lab, "a:compensate");
    ask(&mut lab, Command::Retry);
    assert_eq!(executing(&lab), ["a"]);
    done(&mut lab, "a");
    done(&mut lab, "g.x");
    assert_eq!(lab.status(), RunStatus::Completed);
}

#[test]
fn a_state_is_found_by_its_name_on_a_later_visit_not_an_item_of_it() {
    let source = "{id: p, initial: s, states: {s: {uses: w, for_each: [1, 2], next: t}, t: {on: {back: s, on: end}}, end: {final: true}}}";
    let mut lab = started(source);
    for path in ["s[0]", "s[1]"] {
        done(&mut lab, path);
    }
    ask(&mut lab, Command::Signal { name: "back".to_owned(), data: Value::Null });
    let find = |path: &str| lab.run().find(path).map(|it| lab.run().path(it));
    for (path, found) in
        [("s", "s#2"), ("s#2", "s#2"), ("s[1]", "s#2[1]"), ("s#2[0]", "s#2[0]"), ("t", "t")]
    {
        assert_eq!(find(path).as_deref(), Some(found));
    }
}

/// Asked because a wait is no attempt: is it work for the bound on automatic transitions?
#[test]
fn waits_signals_and_approvals_break_a_row_of_automatic_transitions() {
    const ROUNDS: usize = 1_100;
    for work in [
        "uses: wait, with: {for: 1s}",
        "uses: signal, with: {name: come}",
        "uses: approval, with: {prompt: on}",
    ] {
        let source = format!(
            "{{id: p, initial: one, states: {{one: {{{work}, next: one, on: {{leave: end}}}}, end: {{final: true}}}}}}"
        );
        let mut lab = started(&source);
        for _ in 0..ROUNDS {
            let step = match lab.run().open_approvals().first() {
                Some(task) => Move::Ask(Command::Vote {
                    task: Some(lab.run().path(*task)),
                    approve: true,
                    comment: None,
                    data: Value::Null,
                    groups: Vec::new(),
                }),
                None if work.contains("signal") => {
                    Move::Ask(Command::Signal { name: "come".to_owned(), data: Value::Null })
                }
                None => Move::Time,
            };
            lab.make(&step).unwrap();
        }
        let error = lab.state().error.as_ref().map(|it| it.error.to_string());
        assert_eq!((lab.status(), error), (RunStatus::Running, None), "{work}");
    }
}

/// The machine went on from the state that had failed, as if what was undone before it were there.
#[test]
fn a_retry_of_a_machine_does_anew_what_was_undone() {
    let source = "{id: p, initial: one, states: {one: {uses: w, compensate: {uses: u}, next: two}, two: {uses: w, compensate: {uses: u}, next: three}, three: {uses: w, next: end}, end: {final: true}}}";
    let mut lab = started(source);
    let first = key(&lab, "one");
    for path in ["one", "two"] {
        done(&mut lab, path);
    }
    for round in 0..2 {
        failed(&mut lab, "three");
        for state in ["two", "one"] {
            assert_eq!(executing_on_any_visit(&lab), [state], "round {round}");
            let undoing = executing(&lab).remove(0);
            assert!(undoing.ends_with(":compensate"), "{undoing}");
            done(&mut lab, &undoing);
        }
        assert_eq!(lab.status(), RunStatus::Failed);
        ask(&mut lab, Command::Retry);
        assert_eq!(executing_on_any_visit(&lab), ["one"], "round {round}");
        assert_eq!(status(&lab, "two"), TaskStatus::Pending);
        assert_ne!(key(&lab, "one"), first, "its effect is wanted again");
        for path in ["one", "two"] {
            done(&mut lab, path);
        }
    }
    done(&mut lab, "three");
    assert_eq!(lab.status(), RunStatus::Completed);
}

/// What was undone later was taken for something that had been undone before.
#[test]
fn a_retry_after_a_machine_went_back_forgets_what_is_not_reached_again() {
    let source = "{id: p, initial: one, states: {one: {uses: w, compensate: {uses: u}, next: two}, two: {uses: w, compensate: {uses: u}, next: three}, three: {uses: w, next: end}, end: {final: true}}}";
    for back in [Command::Retry, rewind("one")] {
        let mut lab = started(source);
        for path in ["one", "two"] {
            done(&mut lab, path);
        }
        failed(&mut lab, "three");
        for path in ["two:compensate", "one:compensate"] {
            done(&mut lab, path);
        }
        ask(&mut lab, back);
        failed(&mut lab, "one");
        assert_eq!(lab.status(), RunStatus::Failed);
        ask(&mut lab, Command::Retry);
        assert_eq!(executing_on_any_visit(&lab), ["one"]);
    }
}

#[test]
fn a_retry_goes_back_in_every_machine_of_a_graph() {
    let machine = "initial: one, states: {one: {uses: w, compensate: {uses: u}, next: two}, two: {uses: w, next: end}, end: {final: true}}";
    let source = format!("{{id: p, tasks: {{m: {{{machine}}}, n: {{{machine}}}}}}}");
    for (back, expected) in
        [(Command::Retry, ["m.one", "n.one"]), (rewind("m.one"), ["m.one", "n.one"])]
    {
        let mut lab = started(&source);
        for path in ["m.one", "n.one"] {
            done(&mut lab, path);
        }
        failed(&mut lab, "m.two");
        // The other one has its grace period.
        end(&mut lab, "n.two", Err(TaskError::new("cancelled", "as asked")));
        for path in ["n.one:compensate", "m.one:compensate"] {
            done(&mut lab, path);
        }
        assert_eq!(lab.status(), RunStatus::Failed, "{lab}");
        ask(&mut lab, back);
        assert_eq!(executing_on_any_visit(&lab), expected);
        for path in ["m.one", "n.one", "m.two", "n.two"] {
            done(&mut lab, path);
        }
        assert_eq!(lab.status(), RunStatus::Completed, "{lab}");
    }
}

#[test]
fn a_retry_sees_what_was_undone_inside_a_state() {
    let source = "{id: p, initial: one, states: {one: {tasks: {x: {uses: w, compensate: {uses: u}}}, next: two}, two: {uses: w, next: end}, end: {final: true}}}";
    let mut lab = started(source);
    done(&mut lab, "one.x");
    failed(&mut lab, "two");
    assert_eq!(executing(&lab), ["one.x:compensate"]);
    done(&mut lab, "one.x:compensate");
    refused(&mut lab, rewind("two"));
    ask(&mut lab, Command::Retry);
    assert_eq!(executing(&lab), ["one#2.x"]);
}

/// The attempt of the state that was left went on.
#[test]
fn a_rewind_of_a_machine_ends_what_its_state_was_doing() {
    let source = "{id: p, initial: one, states: {one: {uses: w, next: two}, two: {uses: w, next: end}, end: {final: true}}}";
    let mut lab = started(source);
    done(&mut lab, "one");
    let two = lab.run().find("two").unwrap();
    ask(&mut lab, rewind("one"));
    let asked = lab.run().outstanding();
    assert!(asked.contains(&Effect::Cancel { task: two, attempt: 1 }), "{asked:?}");
    done(&mut lab, "one");
    done(&mut lab, "two");
    assert_eq!(lab.status(), RunStatus::Completed);
}

/// Starts the sub-run of a task and returns it.
fn call(lab: &mut Lab, path: &str) -> (TaskId, RunId) {
    let task = lab.run().find(path).unwrap();
    let attempt = lab.run().state().task(task).attempt;
    let run = RunId::new(1, u128::from(attempt));
    ask(lab, Command::ChildStarted { task, attempt, run });
    (task, run)
}

fn ended((task, run): (TaskId, RunId), status: RunStatus) -> Command {
    Command::ChildEnded { task, run, status, output: json!("late"), error: None }
}

/// The old sub-run went on beside the new one.
#[test]
fn a_rewind_over_a_waiting_sub_run_ends_it() {
    let graph = "{id: p, tasks: {call: {uses: workflow, with: {id: q}}}}";
    let behind =
        "{id: p, tasks: {a: {uses: w}, call: {needs: [a], uses: workflow, with: {id: q}}}}";
    let machine = "{id: p, initial: a, states: {a: {uses: w, next: call}, call: {uses: workflow, with: {id: q}, next: end}, end: {final: true}}}";
    for (source, to) in [(graph, "call"), (behind, "a"), (machine, "a"), (machine, "call")] {
        let mut lab = started(source);
        if source != graph {
            done(&mut lab, "a");
        }
        let old = call(&mut lab, "call");
        ask(&mut lab, rewind(to));
        let cancels = Effect::CancelChild { task: old.0, run: old.1 };
        assert!(lab.run().outstanding().contains(&cancels), "{to}: {:?}", lab.run().outstanding());
        if to == "a" {
            done(&mut lab, "a");
        }
        let new = call(&mut lab, "call");
        assert_ne!(old, new);
        // Whatever it gives comes too late, once and twice.
        ask(&mut lab, ended(old, RunStatus::Completed));
        refused(&mut lab, ended(old, RunStatus::Completed));
        assert!(!lab.run().outstanding().contains(&cancels), "{to}");
        assert_eq!(status(&lab, "call"), TaskStatus::Waiting, "{to}");
        ask(&mut lab, ended(new, RunStatus::Completed));
        assert_eq!(lab.status(), RunStatus::Completed, "{to}");
    }
}

#[test]
fn a_run_waits_for_the_sub_runs_that_it_left() {
    let source = "{id: p, tasks: {call: {uses: workflow, with: {id: q}}}}";
    let skip = Command::Skip { task: "call".to_owned() };
    let given = Command::SetResult { task: "call".to_owned(), output: json!(1) };
    for by_hand in [skip, given] {
        let mut lab = started(source);
        let old = call(&mut lab, "call");
        ask(&mut lab, by_hand);
        assert_eq!(lab.run().outstanding(), [Effect::CancelChild { task: old.0, run: old.1 }]);
        assert_eq!(lab.status(), RunStatus::Running);
        ask(&mut lab, ended(old, RunStatus::Cancelled));
        assert_eq!(lab.status(), RunStatus::Completed);
    }
}

/// A kill cleans nothing up, and what goes back must not run twice.
#[test]
fn a_retry_of_a_killed_run_ends_the_sub_run_that_went_on() {
    let mut lab = started("{id: p, tasks: {call: {uses: workflow, with: {id: q}}}}");
    let old = call(&mut lab, "call");
    ask(&mut lab, Command::Kill);
    ask(&mut lab, Command::Retry);
    let cancels = Effect::CancelChild { task: old.0, run: old.1 };
    assert!(lab.run().outstanding().contains(&cancels), "{:?}", lab.run().outstanding());
    let new = call(&mut lab, "call");
    ask(&mut lab, ended(new, RunStatus::Completed));
    assert_eq!(lab.status(), RunStatus::Running);
    ask(&mut lab, ended(old, RunStatus::Cancelled));
    assert_eq!(lab.status(), RunStatus::Completed);
}
