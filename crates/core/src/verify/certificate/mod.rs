//! Proofs that can be checked by somebody who does not trust the verifier.
//!
//! | evidence | shows that | checked by |
//! |---|---|---|
//! | [`Contradiction`] | something never happens | unit propagation over its clauses |
//! | [`Counterexample`] | something can happen | the engine's own deciders, which replay it |
//! | [`Order`] | a graph ends | looking up what each task waits for |
//! | [`Exits`] | a machine can end from every state | looking up the transitions |
//!
//! The checks share no code with what made the evidence.

mod contradiction;
mod structure;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use contradiction::Contradiction;
pub use structure::{Exits, Order};

use super::property::Property;
use crate::ids::Digest;
use crate::plan::Plan;
use crate::simulate::{Counterexample, replay};

/// The format of the files that this version writes and reads.
pub const CERTIFICATE_FORMAT: u16 = 2;

/// A claim about a definition, and what shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub property: Property,
    /// The path of the task or composite that it is about; empty for the whole definition.
    pub subject: String,
    pub evidence: Evidence,
}

/// What shows a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    Contradiction(Contradiction),
    Execution(Box<Counterexample>),
    Order(Order),
    Exits(Exits),
}

/// A certificate as a file, with the definition that it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    /// `CERTIFICATE_FORMAT`.
    pub format: u16,
    pub workflow: String,
    /// Hash of the definition.
    pub definition: Digest,
    pub certificate: Certificate,
}

/// A file that is not a certificate that this version can read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it is not a certificate: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its format is {0}, and this version reads {CERTIFICATE_FORMAT}")]
    Format(u16),
}

impl CertificateFile {
    pub fn new(plan: &Plan, certificate: Certificate) -> CertificateFile {
        CertificateFile {
            format: CERTIFICATE_FORMAT,
            workflow: plan.workflow.clone(),
            definition: plan.hash,
            certificate,
        }
    }

    /// Reads the text of a file.
    pub fn read(text: &[u8]) -> Result<CertificateFile, Unreadable> {
        #[derive(Deserialize)]
        struct Head {
            format: u16,
        }
        let head: Head = serde_json::from_slice(text)?;
        if head.format != CERTIFICATE_FORMAT {
            return Err(Unreadable::Format(head.format));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// Returns the text of a file.
    pub fn write(&self) -> String {
        let text = serde_json::to_string(self).expect("a certificate has a text");
        format!("{text}\n")
    }
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("step {0} does not follow from what stands before it")]
    Step(usize),
    #[error("the steps do not end in a contradiction")]
    NoContradiction,
    #[error("a literal is not the number of a variable")]
    Literal,
    #[error("it is about the structure of a definition, and none was given")]
    NoDefinition,
    #[error("it is about another workflow, or another content of it")]
    OtherDefinition,
    #[error("its execution does not come to pass: {0}")]
    Replay(String),
    #[error("`{0}` is not a {1} of the definition")]
    NoComposite(String, &'static str),
    #[error("`{0}` is missing, named twice, or not there")]
    NotAll(String),
    #[error("`{0}` waits for something that stands behind it")]
    Order(String),
    #[error("no transition leads from `{0}` to `{1}`")]
    NoTransition(String, String),
    #[error("from `{0}` the transitions lead round, and not to an end")]
    NoEnd(String),
}

impl CertificateFile {
    /// Checks that it shows what it claims. The definition is needed for everything but a
    /// contradiction, and is to be the one that it was made for.
    pub fn check(&self, plan: Option<&Arc<Plan>>) -> Result<(), Invalid> {
        if let Some(plan) = plan
            && (plan.workflow != self.workflow || plan.hash != self.definition)
        {
            return Err(Invalid::OtherDefinition);
        }
        self.certificate.check(plan)
    }
}

impl Certificate {
    /// Checks that it shows what it claims.
    pub fn check(&self, plan: Option<&Arc<Plan>>) -> Result<(), Invalid> {
        let plan = || plan.ok_or(Invalid::NoDefinition);
        match &self.evidence {
            Evidence::Contradiction(claim) => claim.check(),
            Evidence::Execution(example) => match replay(plan()?, example) {
                Ok(_) => Ok(()),
                Err(mismatch) => Err(Invalid::Replay(mismatch.to_string())),
            },
            Evidence::Order(order) => order.check(plan()?, &self.subject),
            Evidence::Exits(exits) => exits.check(plan()?, &self.subject),
        }
    }
}

impl Evidence {
    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Evidence::Contradiction(Contradiction { clauses, steps }) => format!(
                "{} clauses contradict each other, shown in {} steps",
                clauses.len(),
                steps.len()
            ),
            Evidence::Execution(example) => format!("an execution shows {}", example.expected),
            Evidence::Order(Order { tasks }) => {
                format!("{} tasks, each behind what it waits for", tasks.len())
            }
            Evidence::Exits(Exits { next, .. }) => {
                format!("{} states, each with a transition towards an end", next.len())
            }
        }
    }
}
