//! The verifier against the oracle, on nets of every kind. `SUREFOOT_VERIFY_CASES` says how many.

#![allow(clippy::disallowed_methods, reason = "the number of cases comes from outside")]
#![allow(clippy::print_stdout, reason = "what was tried is told to whoever asks for it")]

mod oracle;

use std::collections::BTreeMap;

use surefoot_net::generate::{Chart, Dice, crossed, echoed, scattered};
use surefoot_net::net::TransitionId;
use surefoot_net::workflow_net::WorkflowNet;
use surefoot_net::{Defect, Limits, Net, Verdict, certificate, check};

/// Cases of a normal run, and the seed of the first.
const CASES: u64 = 4_000;
const SEED: u64 = 1_000_000;

fn cases() -> u64 {
    std::env::var("SUREFOOT_VERIFY_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(CASES)
}

/// Returns one net of the five kinds, and whether it is sound by construction.
fn net(seed: u64) -> (Net, bool) {
    let mut dice = Dice::new(seed);
    let tasks = 1 + dice.below(12);
    match seed % 8 {
        0 => (Chart::structured(&mut dice, tasks).net(), true),
        1 | 2 => {
            let mut chart = Chart::structured(&mut dice, tasks);
            (0..1 + dice.below(3)).for_each(|_| chart.mutate(&mut dice));
            (chart.net(), false)
        }
        3 | 4 => (crossed(&mut dice, tasks), false),
        5 => {
            let stages = 1 + dice.below(3);
            echoed(&mut dice, stages)
        }
        _ => {
            let size = 1 + dice.below(6);
            (scattered(&mut dice, size), false)
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    structure: usize,
    too_large: usize,
    sound: usize,
    unsound: usize,
    searched: usize,
    kinds: BTreeMap<&'static str, usize>,
}

#[test]
fn the_verifier_agrees_with_the_oracle() {
    let mut tally = Tally::default();
    for seed in SEED..SEED + cases() {
        let (net, is_by_construction) = net(seed);
        let verdict = check(&net, &Limits::CHECK);
        if is_by_construction {
            assert!(matches!(verdict, Verdict::Sound(_)), "seed {seed}: {verdict:?}\n{net:?}");
        }
        compare(seed, &net, &verdict, &mut tally);
    }
    let found = tally.kinds.len();
    assert!(found >= 6 && tally.searched > 0, "the generators leave something out: {tally:?}");
    println!("{tally:?}");
}

fn compare(seed: u64, net: &Net, verdict: &Verdict, tally: &mut Tally) {
    let workflow = match (WorkflowNet::of(net), verdict) {
        (Ok(workflow), _) => workflow,
        (Err(found), Verdict::Unsound(defects)) => {
            assert_eq!(defects, &[Defect::Structure(found)], "seed {seed}");
            tally.structure += 1;
            return;
        }
        (Err(found), _) => panic!("seed {seed}: {found:?} and {verdict:?}"),
    };
    let Some(truth) = oracle::truth(net, workflow.start, workflow.ends[0]) else {
        tally.too_large += 1;
        return;
    };
    match verdict {
        Verdict::Sound(proof) => {
            assert!(truth.is_sound(), "seed {seed}: proved, and is wrong\n{net:?}");
            certificate::verify(&workflow, proof).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            tally.sound += 1;
            tally.searched += usize::from(!proof.markings.is_empty());
        }
        Verdict::Unsound(defects) => {
            assert!(!truth.is_sound(), "seed {seed}: a false alarm: {defects:?}\n{net:?}");
            assert!(!defects.is_empty(), "seed {seed}");
            defects.iter().for_each(|it| holds(seed, net, &workflow, it, &truth));
            defects.iter().for_each(|it| *tally.kinds.entry(it.kind()).or_default() += 1);
            tally.unsound += 1;
        }
        Verdict::Unknown(reason) => panic!("seed {seed}: {reason:?}\n{net:?}"),
    }
}

/// Whether a defect is what it says, by the oracle's own firing rule.
fn holds(seed: u64, net: &Net, workflow: &WorkflowNet<'_>, defect: &Defect, truth: &oracle::Truth) {
    let context = || format!("seed {seed}: {defect:?}\n{net:?}");
    let after = |run: &[TransitionId]| {
        let mut marking = vec![0; net.places().len()];
        marking[workflow.start.index()] = 1;
        for transition in run {
            marking =
                oracle::fire(net, *transition, &marking).unwrap_or_else(|| panic!("{}", context()));
        }
        marking
    };
    let end = workflow.ends[0].index();
    match defect {
        Defect::Structure(_) => panic!("{}", context()),
        Defect::Deadlock { run, .. } => {
            let marking = after(&run.transitions);
            let is_stuck = net.transitions().all(|it| oracle::fire(net, it, &marking).is_none());
            // A loop that changes nothing does not make it less stuck.
            let is_doomed = truth.is_bounded && !truth.can_end.contains(&marking);
            assert!((is_stuck || is_doomed) && marking[end] == 0, "{}", context());
        }
        Defect::Livelock { run, repeats_from } => {
            let marking = after(&run.transitions);
            assert_eq!(marking, after(&run.transitions[..*repeats_from]), "{}", context());
            assert!(*repeats_from < run.transitions.len(), "{}", context());
            assert!(!truth.can_end.contains(&marking), "{}", context());
        }
        Defect::ImproperCompletion { run, .. } => {
            let marking = after(&run.transitions);
            assert!(marking[end] > 0 && marking.iter().sum::<u32>() > 1, "{}", context());
        }
        Defect::LackOfSynchronisation { run, place } => {
            assert!(after(&run.transitions)[place.index()] > 1, "{}", context());
        }
        Defect::Unbounded { run, repeats_from, .. } => {
            assert!(!truth.is_bounded, "{}", context());
            let (less, more) = (after(&run.transitions[..*repeats_from]), after(&run.transitions));
            assert!(less != more && less.iter().zip(&more).all(|(a, b)| a <= b), "{}", context());
        }
        Defect::DeadTransitions(dead) => assert_eq!(dead, &truth.dead, "{}", context()),
    }
}
