//! Source texts: the tree that YAML and JSON are read into, with the place of every node, and the
//! problems that are reported on it.

mod node;
mod problem;

pub use node::{Content, Key, Node, Span};
pub use problem::{Label, Problem, Severity};
