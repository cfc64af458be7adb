//! A counterexample counts once the deciders of the engine do what it says.

use super::Subject;
use super::finding::{Finding, Proofs};
use crate::simulate::{Counterexample, Mismatch, replay};
use crate::source::Severity;

/// Steps of a replayed execution that a finding shows; the last ones matter most.
const STEPS_MAX: usize = 40;
/// Findings of one plan that are replayed; the rest is told without.
const REPLAYS_MAX: usize = 100;
/// Tasks of all replays together.
const REPLAYED_TASKS_MAX: usize = 200_000;

/// Whether a plan of this size is worth so many replays.
pub(super) fn replays_max(subject: &Subject<'_>) -> usize {
    (REPLAYED_TASKS_MAX / subject.plan.nodes.len().max(1)).clamp(1, REPLAYS_MAX)
}

/// Replays a counterexample. One that does not come to pass makes an error a warning: what was
/// found may be an execution that does not exist.
pub(super) fn confirm(subject: &Subject<'_>, finding: Finding, example: Counterexample) -> Finding {
    match replay(subject.plan, &example) {
        Ok(trace) => {
            let mut steps: Vec<String> = trace.steps.iter().map(|it| it.to_string()).collect();
            if steps.len() > STEPS_MAX {
                let left_out = steps.len() - STEPS_MAX;
                steps.splice(1..=left_out, [format!("… {left_out} more")]);
            }
            Finding { trace: steps, counterexample: Some(Box::new(example)), ..finding }
        }
        Err(mismatch) => unconfirmed(finding, &mismatch),
    }
}

/// Adds an execution to a finding that is certain without it, if it comes to pass.
pub(super) fn illustrate(
    subject: &Subject<'_>,
    finding: Finding,
    example: Counterexample,
    proofs: &Proofs,
) -> Finding {
    let is_worth_it = proofs.findings.len() < replays_max(subject);
    let is_real = is_worth_it && replay(subject.plan, &example).is_ok();
    Finding { counterexample: is_real.then(|| Box::new(example)), ..finding }
}

fn unconfirmed(mut finding: Finding, mismatch: &Mismatch) -> Finding {
    if finding.problem.severity == Severity::Error {
        finding.problem.severity = Severity::Warning;
    }
    finding.trace.push(format!("this could not be replayed: {mismatch}"));
    finding
}
