//! Random definitions, executed: they end, they end the same in every order, and what happened
//! can be replayed from a file. SUREFOOT_VERIFY_CASES says how many are tried.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "what was looked at, with --nocapture")]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;
use support::random_definitions::{Options, RandomDefinition};
use support::random_oracle::{RandomOracle, some_answers};
use support::{Chance, cases, try_plan};
use surefoot_core::plan::Plan;
use surefoot_core::run::{RunStatus, TaskStatus};
use surefoot_core::simulate::{
    Bounds, Clock, Counterexample, End, Expected, Trace, What, explore, replay, simulate,
};

/// Orders of one definition that are compared.
const ORDERS: u64 = 3;

/// One random case, with all that a message needs to repeat it.
struct Case {
    seed: u64,
    source: String,
    plan: Arc<Plan>,
    input: Value,
}

fn draw(seed: u64, options: &Options) -> Case {
    let (drawn, plan) = RandomDefinition::checked(seed, options);
    let input = drawn.input(&mut Chance::new(seed));
    Case { seed, plan, source: drawn.source, input }
}

impl Case {
    fn run(&self, order: u64, bounds: Bounds) -> Trace {
        let mut oracle = RandomOracle::with_order(self.seed, order);
        simulate(&self.plan, &self.input, &mut oracle, bounds)
    }

    fn told(&self, trace: &Trace) -> String {
        format!("seed {}\n{}\ninput {}\n{trace}", self.seed, self.source, self.input)
    }
}

/// Checks what holds in every execution.
fn check_sound(case: &Case, trace: &Trace) {
    assert_eq!(trace.end, End::Ended, "{}", case.told(trace));
    // Each task is decided exactly once for each time that it begins anew.
    let mut decided: BTreeMap<&str, i32> = BTreeMap::new();
    for step in &trace.steps {
        let count = decided.entry(&step.path).or_default();
        match &step.what {
            What::Entered { .. } | What::Reset => *count = 0,
            // A failure may lose its acceptance; the task does not fail again.
            What::Failed { accepted: false, .. } if *count == 1 => {}
            What::Completed | What::Failed { .. } | What::Skipped(_) | What::Cancelled => {
                *count += 1;
                assert_eq!(*count, 1, "`{}` is decided twice\n{}", step.path, case.told(trace));
            }
            _ => {}
        }
    }
    for (path, status) in &trace.tasks {
        assert!(status.is_ended(), "`{path}` is {status}\n{}", case.told(trace));
    }
}

#[test]
fn most_definitions_pass_the_checks() {
    let mut problems: BTreeMap<String, u32> = BTreeMap::new();
    let mut refused = 0;
    const DRAWN: u64 = 100;
    for seed in 0..DRAWN {
        for options in [Options::small(), Options::large()] {
            let drawn = RandomDefinition::new(seed, &options);
            if let Err(why) = try_plan(&drawn.source) {
                refused += 1;
                *problems.entry(why.lines().next().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    assert!(refused * 10 < 2 * DRAWN, "{refused} of {} refused: {problems:#?}", 2 * DRAWN);
}

#[test]
fn a_seed_gives_one_definition() {
    let source = |seed| RandomDefinition::new(seed, &Options::large()).source;
    assert_eq!(source(7), source(7));
    assert_ne!(source(7), source(8));
}

#[test]
fn small_definitions_end_in_every_order() {
    let (mut states, mut traces, mut whole) = (0, 0, 0);
    let count = cases(1_000) / 10;
    for seed in 0..count {
        let case = draw(seed, &Options { nodes_max: 5, ..Options::small() });
        let bounds = Bounds { states_max: 400, steps_max: 200, ..Bounds::default() };
        let fails = |path: &str| path.len().is_multiple_of(2);
        let explored = explore(
            &case.plan,
            &case.input,
            &mut |ask| some_answers(ask, &fails),
            bounds,
            &mut |trace| {
                check_sound(&case, trace);
                ControlFlow::Continue(())
            },
        );
        states += explored.states;
        traces += explored.traces;
        whole += u64::from(explored.cut_off.is_none());
    }
    println!("{states} states, {traces} ends, {whole} of {count} explored to the last state");
    assert!(whole * 2 > count, "{whole} of {count}");
}

#[test]
fn large_definitions_end_in_random_orders() {
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..cases(1_000) / 10 {
        let case = draw(seed, &Options::large());
        for clock in [Clock::Patient, Clock::Eager] {
            let trace = case.run(seed, Bounds { clock, ..Bounds::default() });
            check_sound(&case, &trace);
            *outcomes.entry(trace.status.to_string()).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes.len() >= 2, "{outcomes:?}");
}

/// The outcome of a run without what the order may change.
fn outcome(trace: &Trace) -> (RunStatus, &BTreeMap<String, TaskStatus>) {
    (trace.status, &trace.tasks)
}

/// Theorem D: the outcome of a graph in which nothing is stopped does not depend on the order, nor
/// on how many attempts may be under way.
#[test]
fn the_outcome_does_not_depend_on_the_order() {
    let mut compared = 0;
    for seed in 0..cases(1_000) / 5 {
        let options = if seed % 2 == 0 { Options::small() } else { Options::large() };
        let case = draw(seed, &options.determinate());
        let first = case.run(0, Bounds { slots: 1, ..Bounds::default() });
        check_sound(&case, &first);
        for order in 1..=ORDERS {
            let other = case.run(order, Bounds::default());
            assert_eq!(
                outcome(&other),
                outcome(&first),
                "order {order}\n{}\nfirst\n{first}",
                case.told(&other)
            );
            compared += 1;
        }
    }
    println!("{compared} pairs of orders");
}

#[test]
fn what_happened_can_be_replayed() {
    for seed in 0..cases(1_000) / 10 {
        let case = draw(seed, &Options::large());
        let bounds = Bounds { clock: Clock::Eager, ..Bounds::default() };
        let trace = case.run(seed, bounds);
        let expected = match trace.status {
            RunStatus::Completed => Expected::RunCompleted,
            _ => Expected::RunFailed {
                error_type: trace.error.as_ref().map(|it| it.error.kind.clone()),
            },
        };
        let file = Counterexample::new(&case.plan, "SF2999", "it ends so", expected)
            .follow(&case.input, &trace)
            .write();
        let read = Counterexample::read(file.as_bytes()).unwrap();
        let again =
            replay(&case.plan, &read).unwrap_or_else(|why| panic!("{why}\n{}", case.told(&trace)));
        assert_eq!(again.steps, trace.steps, "seed {seed}\n{}", case.source);
    }
}
