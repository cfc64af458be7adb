//! The verifier against the engine: what is proved of a random definition never fails to hold when
//! the deciders execute it, and what is refuted happens. SUREFOOT_VERIFY_CASES says how many
//! definitions are tried.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "what was looked at, with --nocapture")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use serde_json::Value;
use support::random_definitions::{Options, RandomDefinition};
use support::random_oracle::RandomOracle;
use support::{Chance, cases, try_plan};
use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::plan::Plan;
use surefoot_core::run::bare_path;
use surefoot_core::simulate::{Bounds, Clock, End, Trace, What, replay, simulate};
use surefoot_core::verify::{Evidence, Proofs, Property, Verdict};

/// Executions of one definition.
const EXECUTIONS: u64 = 12;

struct Case {
    seed: u64,
    source: String,
    plan: Arc<Plan>,
    proofs: Arc<Proofs>,
}

/// Draws a definition in which nothing but the verifier finds fault; nothing if there is more.
fn draw(seed: u64, options: &Options) -> Option<(RandomDefinition, Case)> {
    let drawn = RandomDefinition::new(seed, options);
    let plan = try_plan(&drawn.source).ok()?;
    let document = check_source(drawn.source.as_bytes(), &CheckContext::default()).pop().unwrap();
    let proofs = document.proofs.expect("a plan is proved");
    let source = drawn.source.clone();
    Some((drawn, Case { seed, source, plan, proofs }))
}

impl Case {
    fn verdicts(&self, property: Property) -> impl Iterator<Item = (&str, &Verdict)> {
        let of = move |it: &&surefoot_core::verify::Proof| it.property == property;
        self.proofs.proofs.iter().filter(of).map(|it| (it.subject.as_str(), &it.verdict))
    }

    /// Returns what a property is proved of, and nothing else is known of.
    fn proved(&self, property: Property) -> BTreeSet<&str> {
        let mut all: BTreeMap<&str, bool> = BTreeMap::new();
        for (subject, verdict) in self.verdicts(property) {
            let is_proved = matches!(verdict, Verdict::Proved { .. });
            let known = all.entry(subject).or_insert(true);
            *known &= is_proved;
        }
        all.into_iter().filter(|it| it.1).map(|it| it.0).collect()
    }

    /// Returns the tasks and states that are said never to run.
    fn dead(&self) -> BTreeSet<&str> {
        let never = [Property::Reachability, Property::Joins];
        never
            .into_iter()
            .flat_map(|it| self.verdicts(it))
            .filter(|it| matches!(it.1, Verdict::Refuted { .. }))
            .map(|it| it.0)
            .collect()
    }

    fn told(&self, input: &Value, trace: &Trace) -> String {
        format!("seed {}\n{}\ninput {input}\n{trace}", self.seed, self.source)
    }

    fn check(&self, input: &Value, trace: &Trace) {
        let told = || self.told(input, trace);
        assert_eq!(trace.end, End::Ended, "proved to end: {}", told());
        let dead = self.dead();
        let assigned = self.proved(Property::Assigned);
        let exhaustive = self.proved(Property::Exhaustive);
        for step in &trace.steps {
            let path = bare_path(&step.path);
            match &step.what {
                What::Started | What::Entered { .. } => {
                    assert!(!dead.contains(&*path), "`{path}` never runs: {}", told());
                }
                What::Failed { error, .. } => {
                    let is_null = error.kind == "expression" && error.message.contains("is null");
                    assert!(
                        !is_null || !assigned.contains(&*path),
                        "`{path}` reads outputs that are there: {}",
                        told()
                    );
                }
                _ => {}
            }
        }
        if let Some(error) = &trace.error {
            let of = error.task.as_deref().map(bare_path).unwrap_or_default();
            // A state whose work is a machine fails with what failed inside, which is named.
            let own = format!("`{}`", of.rsplit('.').next().unwrap_or_default());
            let is_own = error.error.message.contains(&own);
            assert!(
                error.error.kind != "no_match" || !is_own || !exhaustive.contains(&*of),
                "some transition of `{of}` is open: {}",
                told()
            );
            assert_ne!(error.error.kind, "hot_loop", "no loop is hot: {}", told());
        }
    }
}

/// Verifies and executes random definitions, and counts what was looked at.
fn check(default: u64, options: &Options) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..cases(default) {
        let Some((drawn, case)) = draw(seed, options) else { continue };
        *counts.entry("definitions").or_default() += 1;
        *counts.entry("proofs").or_default() += case.proofs.proofs.len() as u64;
        *counts.entry("dead").or_default() += case.dead().len() as u64;
        for finding in &case.proofs.findings {
            *counts.entry("findings").or_default() += 1;
            if let Some(example) = &finding.counterexample {
                *counts.entry("replayed").or_default() += 1;
                let replayed = replay(&case.plan, example);
                assert!(replayed.is_ok(), "seed {seed}: {replayed:?}\n{}", case.source);
            }
            let is_in_doubt = finding.trace.iter().any(|it| it.contains("could not be replayed"));
            *counts.entry("in doubt").or_default() += u64::from(is_in_doubt);
        }
        for execution in 0..EXECUTIONS {
            let input = drawn.input(&mut Chance::new(seed ^ (execution << 32)));
            let mut oracle = RandomOracle::with_order(seed ^ execution, execution);
            oracle.failures = [20, 0, 60][(execution % 3) as usize];
            let clock = if execution % 2 == 0 { Clock::Patient } else { Clock::Eager };
            let bounds = Bounds { clock, ..Bounds::default() };
            let trace = simulate(&case.plan, &input, &mut oracle, bounds);
            case.check(&input, &trace);
            *counts.entry("executions").or_default() += 1;
        }
    }
    println!("{counts:?}");
    assert!(counts["definitions"] > 0);
}

/// What shows that something never happens convinces a checker that knows nothing but clauses.
#[test]
fn certificates_are_valid() {
    let context = CheckContext { certify: true, ..CheckContext::default() };
    let mut count: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..cases(100) {
        let options = match seed % 2 {
            0 => Options { density: 60, ..Options::large() },
            _ => Options::small(),
        };
        let drawn = RandomDefinition::new(seed, &options);
        let document = check_source(drawn.source.as_bytes(), &context).pop().unwrap();
        let (Some(proofs), Some(plan)) = (document.proofs, document.plan) else { continue };
        for certificate in &proofs.certificates {
            let valid = certificate.check(Some(&plan));
            assert!(valid.is_ok(), "seed {seed}: {valid:?}\n{certificate:?}\n{}", drawn.source);
            let kind = match certificate.evidence {
                Evidence::Contradiction(_) => "contradictions",
                Evidence::Execution(_) => "executions",
                Evidence::Order(_) => "orders",
                Evidence::Exits(_) => "exits",
            };
            *count.entry(kind).or_default() += 1;
        }
    }
    println!("{count:?}");
    assert_eq!(count.len(), 4, "each kind of evidence occurs: {count:?}");
}

/// What cannot be is found by the verifier's solver; another one finds the same.
#[test]
fn another_solver_agrees_that_it_cannot_be() {
    let Some(mut process) = support::python::start("clauses_z3.py") else { return };
    let mut input = process.stdin.take().unwrap();
    let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
    let context = CheckContext { certify: true, ..CheckContext::default() };
    let mut count = 0;
    for seed in 0..cases(100).min(2_000) {
        let drawn = RandomDefinition::new(seed, &Options { density: 60, ..Options::large() });
        let mut documents = check_source(drawn.source.as_bytes(), &context);
        let Some(proofs) = documents.pop().unwrap().proofs else { continue };
        for certificate in &proofs.certificates {
            let Evidence::Contradiction(claim) = &certificate.evidence else { continue };
            writeln!(input, "{}", serde_json::json!(claim.clauses)).unwrap();
            input.flush().unwrap();
            let answer = answers.next().unwrap().unwrap();
            assert_eq!(answer, "unsat", "seed {seed}: {certificate:?}\n{}", drawn.source);
            count += 1;
        }
    }
    drop(input);
    assert!(process.wait().unwrap().success());
    println!("{count} contradictions, no disagreement");
}

#[test]
fn small_definitions_keep_what_is_proved() {
    check(300, &Options { broken_expressions: true, ..Options::small() });
}

#[test]
fn large_definitions_keep_what_is_proved() {
    check(30, &Options::large());
}

#[test]
fn graphs_keep_what_is_proved() {
    let options = Options { machines: false, waits: false, density: 60, ..Options::small() };
    check(300, &options);
}
