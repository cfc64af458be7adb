//! What is counted over all files, and what follows from it.

use std::time::Duration;

use surefoot::core::source::Severity;
use surefoot::core::verify::Verdict;

use crate::arguments::Check;
use crate::output::style;
use crate::project::Source;

#[derive(Default)]
pub struct Tally {
    /// That could be read.
    pub files: usize,
    pub workflows: usize,
    pub errors: usize,
    pub warnings: usize,
    pub proved: usize,
    pub refuted: usize,
    pub unknown: usize,
}

impl Tally {
    pub fn add(&mut self, source: &Source) {
        self.files += 1;
        self.workflows += source.documents.iter().filter(|it| it.definition.is_some()).count();
        for (problem, _) in source.problems() {
            match problem.severity {
                Severity::Error => self.errors += 1,
                Severity::Warning => self.warnings += 1,
                Severity::Note => {}
            }
        }
        let proofs = source.documents.iter().filter_map(|it| it.proofs.as_ref());
        for proof in proofs.flat_map(|it| &it.proofs) {
            match proof.verdict {
                Verdict::Proved { .. } => self.proved += 1,
                Verdict::Refuted { .. } => self.refuted += 1,
                Verdict::Unknown { .. } => self.unknown += 1,
            }
        }
    }

    /// With `--strict` a warning rejects, and what is unknown does if proofs were asked for.
    pub fn is_rejected(&self, arguments: &Check) -> bool {
        let is_strict =
            arguments.strict && (self.warnings > 0 || (arguments.prove && self.unknown > 0));
        self.errors > 0 || is_strict
    }

    pub fn summary(&self, took: Duration) -> String {
        let (errors, warnings) = (count(self.errors, "error"), count(self.warnings, "warning"));
        let sum = if self.errors > 0 {
            style::paint(style::ERROR, format!("{errors}, {warnings}"))
        } else if self.warnings > 0 {
            style::paint(style::WARNING, format!("{errors}, {warnings}"))
        } else {
            format!(
                "{} in {} in order",
                count(self.workflows, "workflow"),
                count(self.files, "file")
            )
        };
        let counts =
            [(self.proved, "proved"), (self.refuted, "refuted"), (self.unknown, "unknown")];
        let proofs: Vec<String> = counts
            .iter()
            .filter(|(number, _)| *number > 0)
            .enumerate()
            .map(|(at, (number, word))| match at {
                0 if *number == 1 => format!("1 property {word}"),
                0 => format!("{number} properties {word}"),
                _ => format!("{number} {word}"),
            })
            .collect();
        let proofs =
            if proofs.is_empty() { String::new() } else { format!(", {}", proofs.join(", ")) };
        format!("{sum}{proofs} in {} ms", took.as_millis())
    }
}

/// A number and its word, such as `1 error`, `2 errors`.
fn count(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
