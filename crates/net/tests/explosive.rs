//! Inputs that blow up whoever looks at every marking, or at every pair of arcs: all are answered, or
//! said to be unknown within the limits. Nothing here is timed; a test that does not end says it.

#![expect(clippy::unwrap_used, reason = "tests")]

use surefoot_net::generate::{Dice, echoed, explosive, parallel};
use surefoot_net::workflow_net::WorkflowNet;
use surefoot_net::{Limits, Unknown, Verdict, certificate, check};

#[test]
fn explosive_nets_are_answered() {
    for (name, net) in explosive() {
        let found = match check(&net, &Limits::CHECK) {
            Verdict::Sound(_) => "sound",
            Verdict::Unsound(defects) => defects[0].code(),
            Verdict::Unknown(Unknown::Budget { states }) => {
                assert!(states > 1_000 && states <= Limits::CHECK.states_max + 100, "{name}");
                "unknown"
            }
            Verdict::Unknown(other) => panic!("{name}: {other:?}"),
        };
        let expected = match name {
            "40 choices at once, then a mistake" => "SF2101",
            "40 choices that others follow" => "unknown",
            _ => "sound",
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn proofs_of_large_nets_are_checked_too() {
    for net in [parallel(1_000, 1), parallel(50, 50), parallel(1, 5_000)] {
        let Verdict::Sound(proof) = check(&net, &Limits::CHECK) else { panic!("it is sound") };
        assert!(proof.markings.is_empty());
        certificate::verify(&WorkflowNet::of(&net).unwrap(), &proof).unwrap();
    }
}

/// A proof is believed by nobody: each claim in it that is changed is found out.
#[test]
fn a_proof_that_was_tampered_with_is_refused() {
    let net = parallel(3, 2);
    let workflow = WorkflowNet::of(&net).unwrap();
    let Verdict::Sound(proof) = check(&net, &Limits::CHECK) else { panic!("it is sound") };
    for at in 0..proof.steps.len() {
        let mut tampered = proof.clone();
        tampered.steps.remove(at);
        assert!(certificate::verify(&workflow, &tampered).is_err(), "without step {at}");
    }
    let other_net = parallel(3, 1);
    let other = WorkflowNet::of(&other_net).unwrap();
    assert!(certificate::verify(&other, &proof).is_err(), "the proof of another net");
    let nets = (0..).map(|seed| echoed(&mut Dice::new(seed), 2));
    let (net, _) = nets.into_iter().find(|it| it.1).unwrap();
    let workflow = WorkflowNet::of(&net).unwrap();
    let Verdict::Sound(proof) = check(&net, &Limits::CHECK) else { panic!("it is sound") };
    for marking in proof.markings.keys() {
        let mut tampered = proof.clone();
        tampered.markings.remove(marking);
        assert!(certificate::verify(&workflow, &tampered).is_err(), "without {marking:?}");
    }
}
