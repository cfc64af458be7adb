//! Source texts: the tree that YAML and JSON are read into, with the place of every node, and the
//! problems that are reported on it. What the tree means is the business of `parse`.

mod lines;
mod nearest;
mod node;
mod problem;

pub use lines::LineIndex;
pub use nearest::{nearest, oxford};
pub use node::{Content, Key, Node, Span};
pub use problem::{Label, Problem, Severity};
