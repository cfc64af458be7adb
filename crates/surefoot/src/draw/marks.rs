//! What the verifier found, as far as a picture can show it.

use std::collections::{BTreeMap, BTreeSet};

use surefoot_core::source::Severity;
use surefoot_core::verify::{Finding, Proof, Proofs, Property, Verdict};

use super::diagram::{Diagram, Level, Vertex};

/// What is wrong with one box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// It never runs.
    pub is_dead: bool,
    /// Codes of what else was found.
    pub codes: BTreeSet<&'static str>,
    /// It is one side of a [`Clash`].
    pub clashes: bool,
}

/// Two boxes that must not run side by side, and may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Paths, as [`Vertex::path`] has them.
    pub between: (String, String),
    pub code: &'static str,
    /// What the verifier says of it.
    pub message: String,
}

impl Mark {
    /// What stands behind the name of the box; empty if nothing is wrong.
    pub fn note(&self) -> String {
        let codes: Vec<&str> = self.codes.iter().copied().collect();
        match (self.is_dead, codes.is_empty()) {
            (true, _) => " (never runs)".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!(" (! {})", codes.join(", ")),
        }
    }
}

impl Diagram {
    /// Marks what the verifier refuted. What is only worth knowing is left out.
    pub fn mark(&mut self, proofs: &Proofs) {
        let mut marks: BTreeMap<&str, Mark> = BTreeMap::new();
        for proof in &proofs.proofs {
            let Some(finding) = refuted(proof, proofs) else { continue };
            match proof.subject.split_once(" | ") {
                Some((a, b)) => {
                    marks.entry(a).or_default().clashes = true;
                    marks.entry(b).or_default().clashes = true;
                    self.clashes.push(clash(a, b, finding));
                }
                None if proof.property == Property::Reachability => {
                    marks.entry(&proof.subject).or_default().is_dead = true;
                }
                None => {
                    marks.entry(&proof.subject).or_default().codes.insert(proof.property.code());
                }
            }
        }
        self.sections.iter_mut().for_each(|(_, level)| mark(level, &marks));
    }

    /// Returns the two boxes of each clash that are drawn.
    pub(super) fn clashing(&self) -> impl Iterator<Item = (&Clash, &Vertex, &Vertex)> {
        let find = |path: &str| self.sections.iter().find_map(|(_, level)| vertex_at(level, path));
        self.clashes
            .iter()
            .filter_map(move |it| Some((it, find(&it.between.0)?, find(&it.between.1)?)))
    }
}

fn refuted<'a>(proof: &Proof, proofs: &'a Proofs) -> Option<&'a Finding> {
    let Verdict::Refuted { finding } = proof.verdict else { return None };
    let finding = proofs.findings.get(finding)?;
    (finding.problem.severity != Severity::Note).then_some(finding)
}

fn clash(a: &str, b: &str, finding: &Finding) -> Clash {
    Clash {
        between: (a.to_owned(), b.to_owned()),
        code: finding.problem.code,
        message: finding.problem.message.clone(),
    }
}

fn mark(level: &mut Level, marks: &BTreeMap<&str, Mark>) {
    for vertex in &mut level.vertices {
        if let Some(mark) = marks.get(vertex.path.as_str()) {
            vertex.mark = mark.clone();
        }
        if let Some(inner) = &mut vertex.inner {
            self::mark(inner, marks);
        }
    }
}

fn vertex_at<'a>(level: &'a Level, path: &str) -> Option<&'a Vertex> {
    level.vertices.iter().find_map(|it| {
        if it.path == path {
            return Some(it);
        }
        vertex_at(it.inner.as_ref()?, path)
    })
}
