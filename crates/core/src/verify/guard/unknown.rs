//! What the procedure does not decide, and why.

use std::fmt;
use std::ops::Range;

/// A part of a guard that is taken as true, false or failing, whatever the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The position of the guard in the question.
    pub guard: usize,
    /// The part as it is written.
    pub text: String,
    /// Bytes of the guard's source.
    pub span: Range<usize>,
    pub reason: Reason,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not decided: {}", self.text, self.reason)
    }
}

/// Why a part of a guard is not decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Function(String),
    Arithmetic,
    Macro,
    /// A list or map that data indexes, or that is built from data.
    Structure,
    /// A text is compared with its order and its size, or a size with data.
    Size,
    /// A value that is compared as a whole and has fields that are read too.
    WholeObject,
    /// A type that JSON does not have.
    BeyondJson,
    /// More than this many paths that are compared with each other.
    ManyPaths(usize),
    /// More than this many values of one path are told apart.
    ManyRegions(usize),
    /// More than this many combinations of values in one comparison.
    ManyCombinations(usize),
    /// Numbers are so large or so close that comparing them rounds.
    Rounding,
    /// More than this many nodes in one expression.
    ManyNodes(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Function(name) => write!(f, "the function `{name}`"),
            Reason::Arithmetic => f.write_str("arithmetic on data"),
            Reason::Macro => f.write_str("a macro over data"),
            Reason::Structure => f.write_str("items of lists and maps"),
            Reason::Size => f.write_str("a size that is compared with data or with an order"),
            Reason::WholeObject => f.write_str("an object compared as a whole beside its fields"),
            Reason::BeyondJson => f.write_str("a type that JSON does not have"),
            Reason::ManyPaths(limit) => {
                write!(f, "more than {limit} paths compared with each other")
            }
            Reason::ManyRegions(limit) => write!(f, "more than {limit} values to tell apart"),
            Reason::ManyCombinations(limit) => {
                write!(f, "more than {limit} combinations of values")
            }
            Reason::Rounding => f.write_str("numbers for which comparing rounds"),
            Reason::ManyNodes(limit) => write!(f, "an expression of more than {limit} parts"),
        }
    }
}

/// A question that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than the limit of {limit} {which}")]
pub struct Exceeded {
    pub which: Limit,
    pub limit: usize,
}

/// What a question may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Cells,
    Steps,
    Paths,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Cells => "cells",
            Limit::Steps => "steps",
            Limit::Paths => "paths that matter at once",
        })
    }
}
