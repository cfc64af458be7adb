//! One thing that is wrong with a source, said so that its author can mend it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{LineIndex, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// `code` has a page under `docs/errors/` that `surefoot help CODE` prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Such as `SF1004`.
    pub code: &'static str,
    pub severity: Severity,
    /// Lower case, no full stop: what is wrong.
    pub message: String,
    /// Where, and what is to be seen there.
    pub label: Label,
    /// Other places that explain it: the first definition of a duplicate, the rest of a cycle.
    pub related: Vec<Label>,
    /// A sentence that says what to do.
    pub help: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

impl Problem {
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Error, code, span, message.into())
    }

    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Warning, code, span, message.into())
    }

    /// Worth knowing; nothing need be done.
    pub fn note(code: &'static str, span: Span, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Note, code, span, message.into())
    }

    fn new(severity: Severity, code: &'static str, span: Span, message: String) -> Problem {
        let label = Label { span, text: String::new() };
        let message = presentable(&message);
        Problem { code, severity, message, label, related: Vec::new(), help: None }
    }

    /// Says what is to be seen at the place of the problem.
    pub fn label(mut self, text: impl Into<String>) -> Problem {
        self.label.text = text.into();
        self
    }

    /// Adds another place that explains the problem.
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Problem {
        self.related.push(Label { span, text: text.into() });
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(presentable(&help.into()));
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Writes the problem for machines: the API, editors, `-o json`.
    pub fn to_json(&self, lines: &LineIndex<'_>, file: &str) -> Value {
        let (line, column) = lines.position(self.label.span.start);
        let (end_line, end_column) = lines.position(self.label.span.end);
        let related: Vec<Value> = self.related.iter().map(|it| it.to_json(lines)).collect();
        json!({
            "code": self.code, "severity": self.severity, "message": self.message,
            "label": self.label.text, "file": file, "line": line, "column": column,
            "end_line": end_line, "end_column": end_column, "help": self.help,
            "related": related,
        })
    }
}

/// What the author wrote is quoted in messages. It may be long, and may hold characters that a
/// terminal obeys.
fn presentable(text: &str) -> String {
    const SHOWN_MAX: usize = 500;
    let mut shown = String::with_capacity(text.len().min(SHOWN_MAX));
    for (at, letter) in text.chars().enumerate() {
        if at == SHOWN_MAX {
            shown.push('…');
            break;
        }
        match super::scalar::is_forbidden_in_names(letter) {
            true => shown.extend(letter.escape_unicode()),
            false => shown.push(letter),
        }
    }
    shown
}

impl Label {
    fn to_json(&self, lines: &LineIndex<'_>) -> Value {
        let (line, column) = lines.position(self.span.start);
        let (end_line, end_column) = lines.position(self.span.end);
        json!({
            "message": self.text, "line": line, "column": column,
            "end_line": end_line, "end_column": end_column,
        })
    }
}
