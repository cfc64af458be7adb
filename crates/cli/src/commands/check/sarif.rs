//! SARIF 2.1.0, which code scanning services and editors read.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use surefoot::core::check::CheckedDocument;
use surefoot::core::source::{Label, LineIndex, Problem, Severity, Span, codes};
use surefoot::core::verify::{Proof, Property, Verdict};

use crate::project::Source;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What was found so far.
#[derive(Default)]
pub struct Log {
    results: Vec<Value>,
    /// The place of each code among the rules.
    rules: BTreeMap<&'static str, usize>,
}

impl Log {
    /// Adds the problems of a file, and with `prove` what was proved and what is open.
    pub fn add(&mut self, source: &Source, prove: bool) {
        let lines = LineIndex::new(&source.bytes);
        let file = File { uri: uri(&source.name()), lines: &lines };
        for (problem, trace) in source.problems() {
            let mut result = file.result(problem, trace);
            result["ruleIndex"] = json!(self.rule(problem.code));
            self.results.push(result);
        }
        if prove {
            source.documents.iter().for_each(|it| self.add_proofs(it, &file));
        }
    }

    fn add_proofs(&mut self, document: &CheckedDocument, file: &File<'_>) {
        let Some((plan, proofs)) = document.draft.as_ref().zip(document.proofs.as_ref()) else {
            return;
        };
        for proof in &proofs.proofs {
            let (kind, text) = match &proof.verdict {
                Verdict::Refuted { .. } => continue,
                Verdict::Proved { .. } => ("pass", proof.property.title().to_owned()),
                Verdict::Unknown { reason } => ("open", reason.clone()),
            };
            let first = proof.subject.split(" | ").next().unwrap_or_default();
            let line = plan.find(first).map_or(1, |it| plan.node(it).line);
            let code = proof.property.code();
            let rule = self.rule(code);
            self.results.push(json!({
                "ruleId": code, "ruleIndex": rule, "kind": kind, "level": "none",
                "message": {"text": about(proof, &text)}, "locations": [file.line(line)],
            }));
        }
    }

    fn rule(&mut self, code: &'static str) -> usize {
        let next = self.rules.len();
        *self.rules.entry(code).or_insert(next)
    }

    /// Returns the whole log. `is_whole` says whether every file could be read.
    pub fn log(&self, is_whole: bool) -> Value {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|it| it.1);
        let rules: Vec<Value> = rules.into_iter().map(|(code, _)| rule(code)).collect();
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "surefoot",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }},
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": is_whole}],
                "results": self.results,
            }],
        })
    }
}

fn about(proof: &Proof, text: &str) -> String {
    if proof.subject.is_empty() { text.to_owned() } else { format!("`{}`: {text}", proof.subject) }
}

fn rule(code: &'static str) -> Value {
    let property = Property::all().find(|it| it.code() == code);
    let entry = codes::find(code);
    let (title, page) = entry.map_or((code, code), |it| (it.title, it.page));
    // Whoever reads proofs wants to know what holds, whoever reads problems what is wrong.
    let whole = property.map_or(title, Property::title);
    json!({
        "id": code,
        "shortDescription": {"text": title},
        "fullDescription": {"text": whole},
        "help": {"text": page, "markdown": page},
    })
}

/// A file as results name it.
struct File<'a> {
    uri: String,
    lines: &'a LineIndex<'a>,
}

impl File<'_> {
    fn result(&self, problem: &Problem, trace: &[String]) -> Value {
        let help = problem.help.as_deref().map_or_else(String::new, |it| format!(" ({it})"));
        let mut result = json!({
            "ruleId": problem.code,
            "level": level(problem.severity),
            "message": {"text": format!("{}{help}", problem.message)},
            "locations": [self.location(&problem.label)],
        });
        if !problem.related.is_empty() {
            let related = problem.related.iter().enumerate().map(|(at, it)| {
                let mut location = self.location(it);
                location["id"] = json!(at);
                location
            });
            result["relatedLocations"] = related.collect();
        }
        if !trace.is_empty() {
            let steps: Vec<Value> = trace.iter().map(|it| self.step(it)).collect();
            result["codeFlows"] = json!([{"threadFlows": [{"locations": steps}]}]);
        }
        result
    }

    fn location(&self, label: &Label) -> Value {
        let mut location = json!({"physicalLocation": {
            "artifactLocation": {"uri": self.uri}, "region": self.region(label.span),
        }});
        if !label.text.is_empty() {
            location["message"] = json!({"text": label.text});
        }
        location
    }

    fn region(&self, span: Span) -> Value {
        let (line, column) = self.lines.position(span.start);
        let (end_line, end_column) = self.lines.position(span.end);
        json!({
            "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
        })
    }

    fn line(&self, line: u32) -> Value {
        json!({"physicalLocation": {
            "artifactLocation": {"uri": self.uri}, "region": {"startLine": line.max(1)},
        }})
    }

    /// A step of a trace, at the line that it names.
    fn step(&self, text: &str) -> Value {
        let mut location = self.line(line_in(text).unwrap_or(1));
        location["message"] = json!({"text": text});
        json!({"location": location})
    }
}

/// Returns the line that a step names: `pay L12 failed`, `pay (line 12) fails`.
fn line_in(step: &str) -> Option<u32> {
    let number = |word: &str| word.parse().ok();
    match step.split_once("(line ") {
        Some((_, rest)) => number(rest.split_once(')')?.0),
        None => step.split_whitespace().find_map(|it| number(it.strip_prefix('L')?)),
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A path as a relative or absolute URI.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("flows/über b.yaml"), "flows/%C3%BCber%20b.yaml");
        assert_eq!(uri("/srv/a:b.yaml"), "file:///srv/a%3Ab.yaml");
    }

    #[test]
    fn steps_are_at_the_line_that_they_name() {
        assert_eq!(line_in("pay (line 12) fails"), Some(12));
        assert_eq!(line_in("pay L12 failed, 2 of 2 attempts"), Some(12));
        assert_eq!(line_in("input.total is 0"), None);
    }
}
