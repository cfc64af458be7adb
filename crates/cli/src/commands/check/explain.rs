//! `--explain TASK`: when a task or state runs, in words, and what is proved of it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use surefoot::core::check::CheckedDocument;
use surefoot::core::plan::Plan;
use surefoot::core::verify::{Proof, Proofs, Section, Verdict, explain};

use crate::arguments::Check;
use crate::exit::Exit;
use crate::failure::{Failure, suggestion};
use crate::output::style;
use crate::project::Source;

/// What is said of one task.
pub struct Explained<'a> {
    path: &'a str,
    sections: Vec<Section>,
    proofs: Vec<&'a Proof>,
    all: Option<&'a Proofs>,
}

/// Explains the task that was asked for, in each workflow that has it.
pub fn find<'a>(arguments: &'a Check, source: &'a Source) -> impl Iterator<Item = Explained<'a>> {
    source.documents.iter().filter_map(|it| in_document(arguments, it))
}

pub fn in_document<'a>(
    arguments: &'a Check,
    document: &'a CheckedDocument,
) -> Option<Explained<'a>> {
    let path = arguments.explain.as_deref()?;
    let plan = document.draft.as_deref()?;
    let mut sections = explain(plan, plan.find(path)?);
    let all = document.proofs.as_deref();
    if let Some(sentence) = all.and_then(|it| it.entered.get(path)) {
        let entered = sections.iter_mut().find(|it| it.title == "entered");
        entered.into_iter().for_each(|it| it.sentences = vec![sentence.clone()]);
    }
    let is_about = |it: &&Proof| it.subject.split(" | ").any(|it| it == path);
    let proofs = all.iter().flat_map(|it| &it.proofs).filter(is_about).collect();
    Some(Explained { path, sections, proofs, all })
}

/// The names of all tasks, if one is to be explained.
pub fn paths(arguments: &Check, source: &Source) -> Vec<String> {
    if arguments.explain.is_none() {
        return Vec::new();
    }
    source.documents.iter().filter_map(|it| it.draft.as_deref()).flat_map(Plan::paths).collect()
}

pub fn missing(task: &str, known: &[String]) -> Failure {
    let hint = match known {
        [] => Some("Mend the errors first: only then can tasks be explained.".to_owned()),
        known => suggestion(task, known, "there are"),
    };
    Failure::new(Exit::NotFound, "SF5041", format!("there is no task `{task}`"))
        .hint(hint.unwrap_or_default())
}

impl Explained<'_> {
    pub fn text(&self) -> String {
        let mut out = String::new();
        for section in &self.sections {
            let _ = writeln!(out, "{}", style::paint(style::HEADING, &section.title));
            for sentence in &section.sentences {
                let _ = writeln!(out, "  {sentence}");
            }
        }
        if !self.proofs.is_empty() {
            let _ = writeln!(out, "{}", style::paint(style::HEADING, "proofs"));
        }
        for proof in &self.proofs {
            let (code, title) = (proof.property.code(), proof.property.title());
            let _ = writeln!(out, "  {} {code} {title}{}", word(&proof.verdict), self.more(proof));
        }
        out + "\n"
    }

    /// What there is to say of a proof beside its verdict.
    fn more(&self, proof: &Proof) -> String {
        match &proof.verdict {
            Verdict::Proved { bound: Some(bound), .. } => format!(": {bound}"),
            Verdict::Proved { bound: None, .. } => String::new(),
            Verdict::Refuted { finding } => {
                let finding = self.all.and_then(|it| it.findings.get(*finding));
                finding.map(|it| format!(": {}", it.problem.message)).unwrap_or_default()
            }
            Verdict::Unknown { reason } => format!(": {reason}"),
        }
    }

    pub fn json(&self) -> Value {
        json!({"task": self.path, "sections": self.sections})
    }
}

/// The verdict as a word of eight letters.
pub fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Proved { .. } => style::paint(style::GOOD, "proved "),
        Verdict::Refuted { .. } => style::paint(style::ERROR, "refuted"),
        Verdict::Unknown { .. } => style::paint(style::WARNING, "unknown"),
    }
}
