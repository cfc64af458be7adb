//! One thing that is wrong with a source, said so that its author can mend it.

use serde::{Deserialize, Serialize};

use super::Span;

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
