//! From the tree of a source to a [`Definition`]: every key of the language, every short form, and
//! a problem for everything else. Nothing is resolved here: whether `needs` names a task, or an
//! expression a field, is the business of `check`.

mod cron;
mod fields;
mod id;
pub mod keys;
mod machine;
mod policy;
mod secret;
mod task;
mod text;
mod top;
mod trigger;

pub use cron::{CronMistake, cron};

use std::collections::HashSet;

use crate::definition::Definition;
use crate::source::{self, Node, Problem, ReadOptions, Span};

/// All definitions of one source, and all that is wrong with them.
#[derive(Debug, Default)]
pub struct Parsed {
    pub definitions: Vec<Definition>,
    pub problems: Vec<Problem>,
}

/// Reads and parses a source of one or several documents.
pub fn parse_source(bytes: &[u8], options: &ReadOptions) -> Parsed {
    let reading = source::read(bytes, options);
    let mut parsed = Parsed { definitions: Vec::new(), problems: reading.problems };
    let told: HashSet<Span> = parsed.problems.iter().map(|it| it.label.span).collect();
    for document in &reading.documents {
        let (definition, problems) = parse(document, options);
        parsed.definitions.extend(definition);
        // What could not be read has no type either: one mistake, one problem.
        parsed.problems.extend(problems.into_iter().filter(|it| !told.contains(&it.label.span)));
    }
    parsed.problems.sort_by_key(|it| it.label.span.start);
    parsed
}

/// Parses one document. A definition comes out whenever its id and its body can be told, so that
/// `check` can look for further problems; it may only be run if no problem is an error. Tasks with
/// problems are kept, lest what refers to them is reported as well.
pub fn parse(node: &Node, options: &ReadOptions) -> (Option<Definition>, Vec<Problem>) {
    let mut parser = Parser { large: options.large, tasks: 0, problems: Vec::new() };
    let definition = parser.definition(node);
    (definition, parser.problems)
}

/// Collects problems while methods in the files of this module read their part of the language.
struct Parser {
    large: bool,
    /// Tasks and states so far.
    tasks: usize,
    problems: Vec<Problem>,
}
