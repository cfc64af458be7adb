//! The verifier: what holds in every execution of a plan, and what goes wrong in some.
//!
//! Each [`Property`] has a code with a page, and one of three answers for each thing that it is
//! asked of: proved, refuted with a counterexample, or unknown with the reason. Proofs come from
//! over-approximations alone; a counterexample counts once it was replayed by the rules that run
//! in the engine (`crate::simulate`).
//!
//! | where | answers |
//! |---|---|
//! | `property`, `finding` | what is asked; what is answered |
//! | `subject` | what is asked about: the plan, its source, its types |
//! | `flow` | graphs as circuits: which outcomes can occur together |
//! | `guard` | on which data a condition is true, false or fails |
//! | `machine` | states and transitions: what is entered, what ends, what is read |
//! | `effects` | what tasks do outside: races, retries, sagas, deadlines, secrets |
//! | `upgrade` | where runs of an older version can go on with a newer one |
//! | `explain` | when a task runs and what its failure does, in words |
//! | `watch` | how long each part took |

mod certificate;
mod certify;
mod confirm;
mod effects;
mod explain;
mod finding;
mod flow;
pub mod guard;
mod machine;
mod property;
mod sample;
mod subject;
pub mod upgrade;
mod wanted;
mod watch;

pub use certificate::{
    Certificate, CertificateFile, Contradiction, Evidence, Exits, Invalid, Order, Unreadable,
};
pub use explain::{Section, explain};
pub use finding::{Answer, Finding, Proof, Proofs, Verdict};
pub use property::Property;
pub(crate) use subject::Subject;
use watch::Watch;
pub use watch::{Clock, Stage};

/// Asks every property of a plan.
pub(crate) fn verify(subject: &Subject<'_>) -> Proofs {
    let mut proofs = Proofs::default();
    let mut watch = Watch::start(subject.context.clock);
    let machines = machine::Machines::new(subject);
    let flow = flow::Flow::new(subject);
    flow::verify(subject, &flow, &mut proofs);
    watch.lap("graphs", &mut proofs);
    machine::verify(subject, &machines, &mut proofs);
    flow::completion(subject, &mut proofs);
    watch.lap("machines", &mut proofs);
    effects::verify(subject, &flow, &mut proofs);
    watch.lap("effects", &mut proofs);
    if subject.context.certify {
        proofs.certificates = certify::certificates(subject, &flow, &machines, &proofs);
    }
    proofs
}
