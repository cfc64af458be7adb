//! What the verifier answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::certificate::Certificate;
use super::property::Property;
use super::watch::Stage;
use crate::simulate::Counterexample;
use crate::source::Problem;

/// An answer about one thing: a task, a pair of tasks, a list of transitions, or the whole.
#[derive(Clone, Debug)]
pub struct Proof {
    pub property: Property,
    /// The path of a task or state, or two joined by ` | `; empty for the whole definition.
    pub subject: String,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In every execution. `assuming` names what the proof takes for granted, such as that handlers
    /// heed their time-outs; `bound` a bound that was found, such as `at most 13 attempts`.
    Proved { assuming: Vec<String>, bound: Option<String> },
    /// In some execution not; the [`Finding`] at this place in [`Proofs::findings`] shows it.
    Refuted { finding: usize },
    /// Neither; the reason, and what would settle it.
    Unknown { reason: String },
}

/// A problem that the verifier found, and the execution that shows it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub property: Property,
    pub problem: Problem,
    /// What happens, step by step, in the words of the definition. Empty where the place says it
    /// all.
    pub trace: Vec<String>,
    /// The execution, to be replayed. None where nothing need be shown, such as for what never
    /// happens, and where the replay failed.
    pub counterexample: Option<Box<Counterexample>>,
}

/// Whether something can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// In this execution.
    Yes(T),
    /// In none.
    No,
    /// It could not be told, for this reason.
    Unknown(String),
}

impl<T> Answer<T> {
    pub fn is_no(&self) -> bool {
        matches!(self, Answer::No)
    }
}

/// All that was found out about a plan.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    pub proofs: Vec<Proof>,
    pub findings: Vec<Finding>,
    /// What shows that something never happens, if it was asked for.
    pub certificates: Vec<Certificate>,
    /// When each state of a machine is entered, in words, by its path.
    pub entered: BTreeMap<String, String>,
    /// What was done one after the other; empty unless a clock was lent.
    pub stages: Vec<Stage>,
}

impl Proofs {
    /// Returns the answers about a property so far.
    pub fn of(&self, property: Property) -> impl Iterator<Item = &Proof> {
        self.proofs.iter().filter(move |it| it.property == property)
    }

    /// Notes that a property holds for a subject.
    pub fn prove(&mut self, property: Property, subject: impl Into<String>) {
        let verdict = Verdict::Proved { assuming: Vec::new(), bound: None };
        self.proofs.push(Proof { property, subject: subject.into(), verdict });
    }

    /// Notes that a property holds under assumptions, perhaps with a bound.
    pub fn prove_assuming(
        &mut self,
        property: Property,
        subject: impl Into<String>,
        assuming: Vec<String>,
        bound: Option<String>,
    ) {
        let verdict = Verdict::Proved { assuming, bound };
        self.proofs.push(Proof { property, subject: subject.into(), verdict });
    }

    /// Notes that a property does not hold.
    pub fn refute(&mut self, subject: impl Into<String>, finding: Finding) {
        let verdict = Verdict::Refuted { finding: self.findings.len() };
        self.proofs.push(Proof { property: finding.property, subject: subject.into(), verdict });
        self.findings.push(finding);
    }

    /// Notes that a property does not hold, for the reason that an earlier finding gives.
    pub fn refute_as_well(
        &mut self,
        property: Property,
        subject: impl Into<String>,
        finding: usize,
    ) {
        let verdict = Verdict::Refuted { finding };
        self.proofs.push(Proof { property, subject: subject.into(), verdict });
    }

    /// Notes that it could not be told whether a property holds.
    pub fn leave_open(
        &mut self,
        property: Property,
        subject: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let verdict = Verdict::Unknown { reason: reason.into() };
        self.proofs.push(Proof { property, subject: subject.into(), verdict });
    }

    /// Writes the answers for machines, in the order in which they were found.
    pub fn to_json(&self) -> Value {
        self.proofs.iter().map(|it| self.answer(it)).collect()
    }

    fn answer(&self, proof: &Proof) -> Value {
        let mut value = json!({
            "property": proof.property, "code": proof.property.code(), "subject": proof.subject,
        });
        let (verdict, more) = match &proof.verdict {
            Verdict::Proved { assuming, bound } => {
                ("proved", json!({"assuming": assuming, "bound": bound}))
            }
            Verdict::Refuted { finding } => {
                let finding = self.findings.get(*finding);
                let reason = finding.map(|it| &it.problem.message);
                let trace = finding.map(|it| &it.trace);
                ("refuted", json!({"reason": reason, "trace": trace}))
            }
            Verdict::Unknown { reason } => ("unknown", json!({"reason": reason})),
        };
        value["verdict"] = json!(verdict);
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    }

    /// Adds what another part found out.
    pub fn extend(&mut self, other: Proofs) {
        let before = self.findings.len();
        self.entered.extend(other.entered);
        self.findings.extend(other.findings);
        self.stages.extend(other.stages);
        self.certificates.extend(other.certificates);
        self.proofs.extend(other.proofs.into_iter().map(|mut it| {
            if let Verdict::Refuted { finding } = &mut it.verdict {
                *finding += before;
            }
            it
        }));
    }
}

impl Finding {
    /// A finding that its place alone explains.
    pub fn at(property: Property, problem: Problem) -> Finding {
        Finding { property, problem, trace: Vec::new(), counterexample: None }
    }
}
