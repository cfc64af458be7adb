//! The rules of a run, against random graphs and every order of events.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "support/journal.rs"]
mod journal;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::ids::RunId;
use surefoot_core::limits::Limits;
use surefoot_core::plan::Plan;
use surefoot_core::run::{
    By, Command, Created, Effect, Env, Payload, Record, Refusal, Run, RunStatus, TaskId, TaskStatus,
};
use surefoot_core::task_error::TaskError;

/// A run, its journal, and what an engine would do, one step at a time.
struct World {
    run: Run,
    records: Vec<Record>,
    now: u64,
    draw: u64,
    slots: u32,
}

fn plan(source: &str) -> Arc<Plan> {
    let context = CheckContext { proved_before: true, ..CheckContext::default() };
    let mut documents = check_source(source.as_bytes(), &context);
    let document = documents.pop().unwrap();
    let problems = document.problems;
    document.plan.unwrap_or_else(|| panic!("{problems:#?}\n{source}"))
}

impl World {
    fn new(source: &str, input: Value, slots: u32) -> World {
        let plan = plan(source);
        let created = Created {
            workflow: plan.workflow.clone(),
            version: plan.version.clone(),
            definition: plan.hash,
            input: Payload::new(input),
            actor: "ann".to_owned(),
            key: None,
            labels: BTreeMap::new(),
            priority: 0,
            parent: None,
            concurrency_key: None,
            fork: None,
            traceparent: None,
            tracestate: None,
        };
        let (run, decision) =
            Run::create(RunId::new(1, 1), plan, created, Arc::new(Limits::default()), 1, None);
        let records = decision.record.into_iter().collect();
        let mut world = World { run, records, now: 1, draw: 1, slots };
        world.ask(Command::Admit).unwrap();
        world
    }

    fn ask(&mut self, command: Command) -> Result<(), Refusal> {
        self.ask_as("ann", command)
    }

    fn ask_as(&mut self, actor: &str, command: Command) -> Result<(), Refusal> {
        let busy = self.executing().len() as u32;
        let mut free = self.slots.saturating_sub(busy);
        let mut grant = |_: &surefoot_core::run::Want<'_>| {
            let granted = free > 0;
            free = free.saturating_sub(1);
            granted
        };
        let mut env = Env { now: self.now, draw: self.draw, grant: &mut grant };
        let decision = self.run.decide(command, By::actor(actor), &mut env)?;
        self.records.extend(decision.record);
        if self.run.has_more_to_do() {
            self.ask(Command::Advance)?;
        }
        Ok(())
    }

    fn executing(&self) -> Vec<(TaskId, u32)> {
        let effects = self.run.outstanding().into_iter();
        let running = effects.filter_map(|it| match it {
            Effect::Execute { task, attempt } | Effect::Cancel { task, attempt } => {
                Some((task, attempt))
            }
            _ => None,
        });
        running.collect()
    }

    fn queued(&self) -> Vec<TaskId> {
        let effects = self.run.outstanding().into_iter();
        let queued = effects.filter_map(|it| match it {
            Effect::Queue { task } => Some(task),
            _ => None,
        });
        queued.collect()
    }

    /// Ends one of the attempts that are under way, the one that `choice` picks.
    fn step(&mut self, choice: u64, fails: &dyn Fn(&str) -> bool) -> bool {
        let queued = self.queued();
        let executing = self.executing();
        if (executing.len() as u32) < self.slots
            && self.run.state().status != RunStatus::Paused
            && let Some(task) = queued.first().copied()
        {
            self.ask(Command::Dispatch { task, worker: None }).unwrap();
            return true;
        }
        if executing.is_empty() {
            let Some(due) = self.run.next_due() else { return false };
            self.now = self.now.max(due);
            self.ask(Command::Tick).unwrap();
            return true;
        }
        let (task, attempt) = executing[choice as usize % executing.len()];
        let path = self.run.path(task);
        let command = if fails(&path) {
            Command::Fail { task, attempt, error: TaskError::new("boom", "it went wrong") }
        } else {
            Command::Complete { task, attempt, output: json!({"by": path}) }
        };
        self.ask(command).unwrap();
        true
    }

    fn finish(&mut self, seed: u64, fails: &dyn Fn(&str) -> bool) {
        let mut choice = seed;
        for _ in 0..10_000 {
            choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if self.run.state().status.is_terminal() || !self.step(choice >> 33, fails) {
                break;
            }
        }
        journal::check(&self.run, &self.records);
    }

    fn statuses(&self) -> BTreeMap<String, TaskStatus> {
        let tasks = (0..self.run.state().tasks.len() as u32).map(TaskId);
        tasks.map(|it| (self.run.path(it), self.run.state().task(it).status)).collect()
    }

    fn status(&self, path: &str) -> TaskStatus {
        self.run.state().task(self.run.find(path).unwrap()).status
    }
}

/// A random graph: each task needs some of those before it, with a random join.
fn graphs() -> impl Strategy<Value = (String, Vec<String>)> {
    const JOINS: [&str; 5] =
        ["all_success", "none_failed", "any_success", "any_failed", "all_done"];
    let task = (any::<u64>(), 0..JOINS.len(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    prop::collection::vec(task, 2..14).prop_map(|tasks| {
        let mut source = String::from("id: random\nfail_fast: false\ntasks:\n");
        let mut failing = Vec::new();
        for (number, (bits, join, fails, tolerant)) in tasks.into_iter().enumerate() {
            let needs: Vec<String> =
                (0..number).filter(|it| (bits >> it) & 3 == 0).map(|it| format!("t{it}")).collect();
            source.push_str(&format!("  t{number}:\n    uses: work\n"));
            if !needs.is_empty() {
                source.push_str(&format!(
                    "    needs: [{}]\n    join: {}\n",
                    needs.join(", "),
                    JOINS[join]
                ));
            }
            if tolerant {
                source.push_str("    on_failure: continue\n");
            }
            if fails {
                failing.push(format!("t{number}"));
            }
        }
        (source, failing)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the order and however many slots: the same outcome, task by task.
    #[test]
    fn a_graph_gives_the_same_result_in_parallel_and_in_sequence(
        (source, failing) in graphs(),
        seeds in prop::collection::vec(any::<u64>(), 3),
    ) {
        let fails = |path: &str| failing.iter().any(|it| it == path);
        let mut one_by_one = World::new(&source, json!({}), 1);
        one_by_one.finish(0, &fails);
        let expected = (one_by_one.run.state().status, one_by_one.statuses());
        prop_assert!(expected.0.is_terminal(), "stuck:\n{source}\n{:?}", expected.1);
        for seed in seeds {
            let mut parallel = World::new(&source, json!({}), 100);
            parallel.finish(seed, &fails);
            let result = (parallel.run.state().status, parallel.statuses());
            prop_assert_eq!(&result, &expected, "{}", source);
        }
    }

    /// With fail-fast, who was running when it failed may differ; that the run failed may not.
    #[test]
    fn fail_fast_changes_no_outcome_of_the_run((source, failing) in graphs(), seed in any::<u64>()) {
        let fails = |path: &str| failing.iter().any(|it| it == path);
        let mut patient = World::new(&source, json!({}), 100);
        patient.finish(seed, &fails);
        let mut hasty = World::new(&source.replace("fail_fast: false\n", ""), json!({}), 100);
        hasty.finish(seed, &fails);
        prop_assert_eq!(hasty.run.state().status, patient.run.state().status, "{}", source);
    }

    /// A failed run that is retried after the cause is gone completes, and keeps good results.
    #[test]
    fn a_retry_keeps_what_was_good((source, failing) in graphs(), seed in any::<u64>()) {
        let source = source.replace("    on_failure: continue\n", "");
        let fails = |path: &str| failing.iter().any(|it| it == path);
        let mut world = World::new(&source, json!({}), 100);
        world.finish(seed, &fails);
        if world.run.state().status == RunStatus::Failed {
            let good: Vec<(TaskId, u32)> = (0..world.run.state().tasks.len() as u32)
                .map(TaskId)
                .filter(|it| {
                    world.run.state().task(*it).status == TaskStatus::Completed
                        && world.run.node(*it).needs.is_empty()
                })
                .map(|it| (it, world.run.state().task(it).attempt))
                .collect();
            world.ask(Command::Retry).unwrap();
            world.finish(seed, &|_| false);
            prop_assert_eq!(world.run.state().status, RunStatus::Completed, "{}", source);
            for (task, attempts) in good {
                prop_assert_eq!(world.run.state().task(task).attempt, attempts, "{}", source);
            }
        }
    }

    /// Commands in any order are either refused or keep the fold; nothing is left hanging.
    #[test]
    fn any_order_of_commands_keeps_the_run_sound(
        (source, failing) in graphs(),
        moves in prop::collection::vec((0..10u8, any::<u64>()), 1..30),
    ) {
        let fails = |path: &str| failing.iter().any(|it| it == path);
        let mut world = World::new(&source, json!({}), 3);
        for (kind, bits) in moves {
            let task = format!("t{}", bits % 14);
            // A refusal changes nothing; the fold below sees it if it did.
            let _ = match kind {
                0 => world.ask(Command::Pause),
                1 => world.ask(Command::Resume),
                2 => world.ask(Command::Skip { task }),
                3 => world.ask(Command::SetResult { task, output: json!(1) }),
                4 => world.ask(Command::Rewind { to: task }),
                5 => world.ask(Command::Retry),
                6 if bits % 5 == 0 => world.ask(Command::Cancel),
                7 => world.ask(Command::Recover),
                _ => {
                    world.step(bits >> 7, &fails);
                    Ok(())
                }
            };
            journal::check(&world.run, &world.records);
        }
        let _ = world.ask(Command::Resume);
        world.finish(7, &fails);
        prop_assert!(world.run.state().status.is_terminal(), "{}\n{:?}", source, world.statuses());
    }
}

#[test]
fn a_late_result_is_refused() {
    let mut world = World::new("{id: a, tasks: {t: {uses: work}}}", json!({}), 2);
    let (task, attempt) = world.executing()[0];
    world.ask(Command::Lost { task, attempt, reason: "gone".to_owned() }).unwrap();
    let late = world.ask(Command::Complete { task, attempt, output: json!("late") });
    assert_eq!(late, Err(Refusal::Stale { task: "t".to_owned(), attempt }));
    let (task, attempt) = world.executing()[0];
    assert_eq!(attempt, 2, "a lost attempt does not count against the retries, but has a number");
    world.ask(Command::Complete { task, attempt, output: json!("good") }).unwrap();
    assert_eq!(world.run.state().status, RunStatus::Completed);
    let late = world.ask(Command::Complete { task, attempt, output: json!("again") });
    assert!(matches!(late, Err(Refusal::Stale { .. })));
}

#[test]
fn a_task_that_ends_its_process_every_time_fails_at_last() {
    let mut world = World::new("{id: a, tasks: {t: {uses: work}}}", json!({}), 2);
    for _ in 0..20 {
        if world.run.state().status.is_terminal() {
            break;
        }
        world.ask(Command::Recover).unwrap();
    }
    let error = world.run.state().error.clone().unwrap();
    assert_eq!(error.error.kind, "attempts_lost");
}

#[test]
fn a_paused_run_starts_nothing_and_goes_on_where_it_was() {
    let source = "{id: a, tasks: {a: {uses: work}, b: {needs: [a], uses: work}}}";
    let mut world = World::new(source, json!({}), 9);
    world.ask(Command::Pause).unwrap();
    world.step(0, &|_| false);
    assert_eq!(
        (world.status("a"), world.status("b")),
        (TaskStatus::Completed, TaskStatus::Pending)
    );
    let why = world.run.why(world.run.find("b").unwrap(), world.now);
    assert_eq!(why.why, "the run is paused");
    world.ask(Command::Resume).unwrap();
    world.finish(1, &|_| false);
    assert_eq!(world.run.state().status, RunStatus::Completed);
}

#[test]
fn a_wait_that_stands_still_is_moved_by_the_pause() {
    let source = "{id: a, tasks: {clock: {uses: wait, with: {for: 10s}}, still: {uses: wait, with: {for: 10s, while_paused: stop}}}}";
    let mut world = World::new(source, json!({}), 9);
    world.ask(Command::Pause).unwrap();
    world.now += 8_000;
    world.ask(Command::Resume).unwrap();
    world.now += 2_000;
    world.ask(Command::Tick).unwrap();
    assert_eq!(
        (world.status("clock"), world.status("still")),
        (TaskStatus::Completed, TaskStatus::Waiting)
    );
    world.now += 8_000;
    world.ask(Command::Tick).unwrap();
    assert_eq!(world.run.state().status, RunStatus::Completed);
}

#[test]
fn a_cancelled_attempt_may_still_end_well_and_is_undone() {
    let source = "{id: a, tasks: {pay: {uses: work, compensate: {uses: work}}, next: {needs: [pay], uses: work}}}";
    let mut world = World::new(source, json!({}), 9);
    world.ask(Command::Cancel).unwrap();
    assert_eq!(world.run.state().status, RunStatus::Cancelling);
    assert_eq!(world.status("next"), TaskStatus::Skipped);
    world.step(0, &|_| false);
    assert_eq!(world.statuses().get("pay:compensate"), Some(&TaskStatus::Running));
    world.finish(1, &|_| false);
    assert_eq!(
        (world.run.state().status, world.status("pay")),
        (RunStatus::Cancelled, TaskStatus::Compensated)
    );
    world.ask(Command::Cancel).unwrap();
    assert!(world.ask(Command::Pause).is_err());
}

#[test]
fn the_clean_up_after_a_cancel_is_bounded() {
    let source = "{id: a, tasks: {t: {uses: work}}, finally: {f: {uses: work}}}";
    let mut world = World::new(source, json!({}), 9);
    world.ask(Command::Cancel).unwrap();
    world.now += 3_600_000;
    world.ask(Command::Tick).unwrap();
    assert_eq!(world.run.state().status, RunStatus::Cancelled);
    assert!(world.executing().is_empty());
}

/// The second charge after a refund must not be answered with the first one.
#[test]
fn what_was_undone_runs_again_with_a_new_key_and_is_undone_with_a_new_key() {
    let source = "
id: a
tasks:
  pay: {uses: work, compensate: {uses: undo}}
  group: {needs: [pay], tasks: {inner: {uses: work}}}
  bad: {needs: [group], uses: work}
";
    let mut world = World::new(source, json!({}), 9);
    world.finish(1, &|path| path == "bad");
    let key = |world: &World, path: &str| world.run.idempotency_key(world.run.find(path).unwrap());
    let paths = ["pay", "pay:compensate", "group.inner"];
    let first = paths.map(|it| key(&world, it));
    world.ask(Command::Retry).unwrap();
    assert_ne!(key(&world, "pay"), first[0]);
    world.finish(1, &|path| path == "bad");
    assert_eq!(world.status("pay"), TaskStatus::Compensated);
    assert_ne!(key(&world, "pay:compensate"), first[1]);
    world.ask(Command::Rewind { to: "group".to_owned() }).unwrap();
    world.finish(1, &|_| false);
    assert_ne!(key(&world, "group.inner"), first[2]);
}

#[test]
fn a_failed_compensation_is_told_and_the_others_go_on() {
    let source = "
id: a
tasks:
  one: {uses: work, compensate: {uses: undo}}
  two: {needs: [one], uses: work, compensate: {uses: undo}}
  bad: {needs: [two], uses: work}
";
    let mut world = World::new(source, json!({}), 9);
    world.finish(1, &|path| path == "bad" || path == "two:compensate");
    let state = world.run.state();
    assert_eq!(state.status, RunStatus::Failed);
    assert_eq!(state.error.as_ref().unwrap().not_undone, ["two"]);
    assert_eq!(
        (world.status("one"), world.status("two")),
        (TaskStatus::Compensated, TaskStatus::Completed)
    );
}

#[test]
fn retries_wait_as_their_policy_says() {
    let source = "{id: a, tasks: {t: {uses: work, retry: {max_attempts: 4, backoff: linear, delay: 2s, if: 'error.type == \"boom\"'}}}}";
    let mut world = World::new(source, json!({}), 1);
    let begin = world.now;
    let mut starts = Vec::new();
    while !world.run.state().status.is_terminal() {
        if !world.executing().is_empty() {
            starts.push(world.now - begin);
        }
        world.step(0, &|_| true);
    }
    assert_eq!(starts, [0, 2_000, 6_000, 12_000]);
    assert_eq!(world.run.state().status, RunStatus::Failed);
}

#[test]
fn an_error_that_the_condition_excludes_is_not_retried() {
    let source =
        "{id: a, tasks: {t: {uses: work, retry: {max_attempts: 4, if: 'error.status >= 500'}}}}";
    let mut world = World::new(source, json!({}), 1);
    let (task, attempt) = world.executing()[0];
    let error = TaskError { status: Some(404), ..TaskError::new("http_status", "not found") };
    world.ask(Command::Fail { task, attempt, error }).unwrap();
    assert_eq!(world.run.state().status, RunStatus::Failed);
}

#[test]
fn the_four_time_outs_end_what_they_bound() {
    for (timeout, slots, message) in [
        ("{run: 5s}", 1, "took longer than its time-out within 5s"),
        ("{queue: 5s}", 0, "found no slot within 5s"),
        ("{total: 5s}", 0, "did not end within 5s"),
        ("{heartbeat: 5s}", 1, "was not heard of within 5s"),
    ] {
        let source = format!("{{id: a, tasks: {{t: {{uses: work, timeout: {timeout}}}}}}}");
        let mut world = World::new(&source, json!({}), slots);
        world.now += 5_000;
        world.ask(Command::Tick).unwrap();
        let error =
            world.run.state().error.clone().unwrap_or_else(|| panic!("{timeout} did nothing"));
        assert_eq!(
            (error.error.kind.as_str(), error.error.message.contains(message)),
            ("timeout", true),
            "{error:?}"
        );
    }
}

#[test]
fn the_time_out_of_a_composite_stops_what_is_inside() {
    let source = "{id: a, tasks: {group: {timeout: 5s, tasks: {t: {uses: work}, u: {needs: [t], uses: work}}}}}";
    let mut world = World::new(source, json!({}), 9);
    world.now += 5_000;
    world.ask(Command::Tick).unwrap();
    world.finish(1, &|_| false);
    assert_eq!(world.run.state().error.clone().unwrap().error.kind, "timeout");
    assert_eq!(world.status("group.u"), TaskStatus::Skipped);
}

#[test]
fn the_time_out_of_the_run_stops_the_run() {
    let source = "{id: a, timeout: 5s, tasks: {t: {uses: wait, with: {for: 1h}}}, finally: {f: {uses: work}}}";
    let mut world = World::new(source, json!({}), 9);
    world.finish(1, &|_| false);
    assert_eq!(world.run.state().status, RunStatus::Failed);
    assert_eq!(world.run.state().error.clone().unwrap().error.kind, "timeout");
    assert_eq!(world.status("finally:f"), TaskStatus::Completed);
}

#[test]
fn nothing_starts_behind_a_failure_that_stops_its_graph() {
    let mut world = World::new(
        "
id: a
tasks:
  first: {uses: work}
  broken: {needs: [first], uses: fail, with: {message: no}}
  behind: {needs: [first, broken], uses: work}
  list: {needs: [first, behind], join: none_failed, for_each: [1, 2], uses: work}
",
        json!({}),
        100,
    );
    world.finish(1, &|_| false);
    // One decision sees `broken` fail, `behind` skipped and the needs of `list` ended.
    assert_eq!(world.status("list"), TaskStatus::Skipped);
}

#[test]
fn max_parallel_holds_and_priority_goes_first() {
    let source = "
id: a
max_parallel: 1
tasks:
  low: {uses: work}
  mid: {uses: work, priority: 1}
  high: {uses: work, priority: 5}
";
    let mut world = World::new(source, json!({}), 9);
    let mut order = Vec::new();
    while let Some((task, _)) = world.executing().first().copied() {
        assert_eq!(world.executing().len(), 1);
        order.push(world.run.path(task));
        world.step(0, &|_| false);
    }
    assert_eq!(order, ["low", "high", "mid"], "the first had started before the others were known");
}

#[test]
fn why_says_what_a_task_waits_for() {
    let source = "
id: a
tasks:
  first: {uses: work}
  second: {needs: [first], uses: work}
  ask: {uses: approval, with: {prompt: ok, groups: [finance], timeout: 1h, on_timeout: fail}}
  off: {if: 'false', uses: work}
";
    let world = World::new(source, json!({}), 9);
    for (task, why) in [
        ("first", "attempt 1 is running"),
        ("second", "waits for `first` (running)"),
        ("ask", "waits for the approval of finance, at most for another 1h"),
        ("off", "its condition was false"),
    ] {
        assert_eq!(world.run.why(world.run.find(task).unwrap(), world.now).why, why, "{task}");
    }
}

#[test]
fn closed_transitions_say_why() {
    let source = "
id: a
vars: {rounds: 3}
initial: review
states:
  review:
    on:
      approve: {to: done}
      again: {if: vars.rounds < 3, to: review, set: {rounds: '${{ vars.rounds + 1 }}'}}
    after: {72h: {to: done}}
  done: {final: true}
";
    let world = World::new(source, json!({}), 9);
    let ways = world.run.transitions(world.now);
    let told: Vec<_> = ways.iter().map(|it| (it.on.as_str(), it.open, it.why.as_str())).collect();
    assert_eq!(
        told,
        [
            ("approve", true, "can be taken now"),
            ("again", false, "`vars.rounds < 3` is false"),
            ("after 3d", false, "taken in 3d"),
        ]
    );
}

#[test]
fn a_signal_that_nothing_waits_for_names_what_is_available() {
    let source = "{id: a, initial: one, states: {one: {on: {go: two}}, two: {final: true}}}";
    let mut world = World::new(source, json!({}), 9);
    let refused = world.ask(Command::Signal { name: "stop".to_owned(), data: json!({}) });
    let Err(Refusal::NotAvailable { available, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(available, ["go"]);
}

#[test]
fn an_endless_row_of_transitions_is_cut_off() {
    let source = "
id: a
vars: {n: 0}
initial: one
states:
  one: {next: [{if: vars.n >= 0, to: two, set: {n: '${{ vars.n + 1 }}'}}, {to: done}]}
  two: {next: [{if: vars.n >= 0, to: one}, {to: done}]}
  done: {final: true}
";
    let world = World::new(source, json!({}), 9);
    assert_eq!(world.run.state().error.clone().unwrap().error.kind, "hot_loop");
}
