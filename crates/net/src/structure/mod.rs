//! Writes a BPMN process as a definition, where it is made of blocks: a sequence, branches that meet
//! again, a loop with one way in and one way out. The rest is refused with its line; nothing is
//! invented in silence, and what had to be chosen is in the notes.

mod blocks;
mod condition;
mod definition;
mod tasks;

use crate::bpmn::{Model, Scope};
use crate::problem::{Problem, code};

/// Blocks inside of each other.
const DEPTH_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    pub definition_yaml: String,
    /// What was chosen or changed, a sentence each.
    pub notes: Vec<String>,
}

/// Converts the only process of a model.
pub fn convert(model: &Model) -> Result<Converted, Problem> {
    let [process] = &*model.processes else {
        let line = model.processes.get(1).map_or(1, |it| it.line);
        let message = format!("the file has {} processes", model.processes.len());
        return Err(refusal(line, message, "put each process into a file of its own"));
    };
    let body = blocks::of(process)?;
    definition::write(process, &body)
}

fn refusal(line: u32, message: impl Into<String>, help: &str) -> Problem {
    let (message, help) = (message.into(), help.to_owned());
    Problem { code: code::NOT_STRUCTURED, message, help, line, column: 1 }
}

fn refuse_node<T>(scope: &Scope, node: usize, what: &str, help: &str) -> Result<T, Problem> {
    let node = &scope.nodes[node];
    Err(refusal(node.line, format!("`{}` {what}", node.name), help))
}
