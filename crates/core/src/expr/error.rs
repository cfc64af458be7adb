//! What can be wrong with an expression: its text (`ParseError`) or its values (`EvalError`).

use std::fmt;
use std::ops::Range;

/// An expression that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Bytes of the source that are wrong.
    pub span: Range<usize>,
    pub kind: ParseErrorKind,
    pub message: String,
    /// What to write instead, as a sentence.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    Syntax,
    /// Longer or deeper than `crate::limits` allows.
    Limit,
}

impl ParseError {
    pub(super) fn syntax(span: Range<usize>, message: impl Into<String>) -> ParseError {
        ParseError { span, kind: ParseErrorKind::Syntax, message: message.into(), hint: None }
    }

    pub(super) fn limit(span: Range<usize>, message: String, hint: &str) -> ParseError {
        ParseError { span, kind: ParseErrorKind::Limit, message, hint: Some(hint.to_owned()) }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> ParseError {
        self.hint = Some(hint.into());
        self
    }
}

/// An evaluation that has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub kind: EvalErrorKind,
    pub message: String,
    /// Bytes of the source whose evaluation failed.
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// No variable has this name.
    UnknownName,
    /// No function has this name.
    UnknownFunction,
    /// The map has no such key, or the value is null.
    NoSuchField,
    /// The operator or function does not take values of these types.
    NoSuchOverload,
    IndexOutOfRange,
    DivisionByZero,
    /// The result does not fit its type.
    Overflow,
    /// The type is right, the value is not: `int("x")`, a bad regular expression, a zone that
    /// does not exist.
    InvalidArgument,
    /// The same key twice in a map.
    RepeatedKey,
    /// A condition that is neither true nor false.
    NotBoolean,
    /// The result has no JSON form: infinity, not a number.
    NoJsonForm,
    BudgetExceeded {
        which: Limit,
    },
}

/// What a `Budget` limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Steps,
    Bytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Steps => "steps",
            Limit::Bytes => "bytes",
        })
    }
}

/// Errors travel boxed inside the evaluator, so that the path without one stays narrow.
pub(super) type Fault = Box<EvalError>;

impl EvalError {
    /// Returns an error without a place; the evaluator adds the span of the innermost node.
    pub(super) fn fault(kind: EvalErrorKind, message: impl Into<String>) -> Fault {
        Box::new(EvalError { kind, message: message.into(), span: 0..0 })
    }

    pub(super) fn is_placed(&self) -> bool {
        // A node is never empty.
        !self.span.is_empty()
    }

    /// Tells whether the value was absent rather than wrong, so that `default` may stand in.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self.kind, EvalErrorKind::NoSuchField | EvalErrorKind::IndexOutOfRange)
    }

    /// Tells whether evaluation must stop rather than be absorbed by `&&`, `||` or `default`.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.kind, EvalErrorKind::BudgetExceeded { .. })
    }
}
