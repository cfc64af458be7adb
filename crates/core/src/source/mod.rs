//! Source texts: the tree that YAML and JSON are read into, with the place of every node, and the
//! problems that are reported on it. What the tree means is the business of `parse`.

#![expect(
    clippy::result_large_err,
    reason = "a problem is made once and kept, never on a hot path"
)]

pub mod codes;
mod duplicates;
mod encoding;
pub(crate) mod json;
mod lines;
mod nearest;
mod node;
mod problem;
mod scalar;
mod yaml;

pub use lines::LineIndex;
pub use nearest::{Suggestion, nearest, oxford, suggestion};
pub use node::{Content, Key, Node, Span};
pub use problem::{Label, Problem, Severity};

use crate::limits::{DEFINITION_BYTES_MAX, LARGE_DEFINITION_BYTES_MAX};

/// Problems of one source that are told at most. Nobody reads more at once.
pub const PROBLEMS_MAX: usize = 1_000;

/// What the caller allows of a source.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Allows 64 MiB instead of 1 MiB.
    pub large: bool,
}

/// What could be read of a source, and what could not.
#[derive(Debug, Default)]
pub struct Reading {
    /// One tree for each document that has a tree; several definitions may stand in one file.
    /// With problems, a tree is what could be saved (of duplicate keys the first), good only to
    /// look for further problems.
    pub documents: Vec<Node>,
    pub problems: Vec<Problem>,
}

/// Reads YAML 1.2 or JSON. Never panics, never takes more than linear time.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Reading {
    let limit = if options.large { LARGE_DEFINITION_BYTES_MAX } else { DEFINITION_BYTES_MAX };
    if bytes.len() > limit {
        return Reading::failed(too_large(bytes.len(), limit, options.large));
    }
    let text = match encoding::decode(bytes) {
        Ok(text) => text,
        Err(problem) => return Reading::failed(problem),
    };
    let mut reading =
        if looks_like_json(text) { read_json_or_yaml(text) } else { yaml::read(text) };
    reading.problems.truncate(PROBLEMS_MAX);
    if reading.documents.is_empty() && reading.problems.is_empty() {
        return Reading::failed(
            Problem::error("SF1013", Span::default(), "no workflow found")
                .label("the file is empty, or holds only comments")
                .help("start with `id:` and `tasks:`, or run `surefoot init` for an example"),
        );
    }
    reading
}

impl Reading {
    fn failed(problem: Problem) -> Reading {
        Reading { documents: Vec::new(), problems: vec![problem] }
    }
}

fn too_large(length: usize, limit: usize, large: bool) -> Problem {
    let message = format!("the source has {length} bytes; the limit is {limit}");
    let problem = Problem::error("SF1002", Span::default(), message);
    if large {
        problem.help("split the workflow, and start its parts with `uses: workflow`")
    } else {
        problem.help("allow large definitions, or split the workflow with `uses: workflow`")
    }
}

/// A text that opens with `{` and a quote is almost surely JSON, and then JSON's own reader is
/// exact: YAML reads surrogates, tabs and long keys by other rules.
fn looks_like_json(text: &str) -> bool {
    let body = text.trim_start_matches('\u{feff}').trim_start();
    let inside = body.strip_prefix('{').map(str::trim_start);
    inside.is_some_and(|it| it.starts_with('"') || it.starts_with('}'))
}

/// A YAML flow mapping may open the same way, so a text that is not JSON gets a second reading;
/// if that fails too, the author meant JSON.
fn read_json_or_yaml(text: &str) -> Reading {
    let (document, faults) = json::read(text, &json::DEFINITION_RULES);
    if document.is_none() {
        let second = yaml::read(text);
        if second.problems.is_empty() {
            return second;
        }
    }
    let problems = faults.into_iter().map(|it| it.problem).collect();
    Reading { documents: document.into_iter().collect(), problems }
}
