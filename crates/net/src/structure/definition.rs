//! The text of a definition around its tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::blocks::Block;
use super::tasks::{Author, Needs};
use super::{Converted, refusal};
use crate::bpmn::Scope;
use crate::problem::Problem;

/// Characters of an id; longer ones are cut.
const ID_CHARACTERS_MAX: usize = 100;
/// Kinds that the engine has: a handler of that name would never be asked.
const KINDS: &[&str] = &[
    "approval",
    "emit",
    "fail",
    "file",
    "http",
    "log",
    "shell",
    "signal",
    "sql",
    "transform",
    "wait",
    "workflow",
];

/// What is collected on the way.
#[derive(Default)]
pub struct Draft {
    taken: BTreeSet<String>,
    /// Fields of the input, each with its schema.
    pub inputs: BTreeMap<String, String>,
    pub notes: Vec<String>,
}

impl Draft {
    /// Makes a legal id of a name, which nothing else has.
    pub fn id(&mut self, name: &str) -> String {
        let legal = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
        let mut base: String = name.chars().take(ID_CHARACTERS_MAX).map(legal).collect();
        if KINDS.contains(&&*base) {
            base.push_str("_task");
        }
        if base.is_empty() || base.starts_with(|it: char| it.is_ascii_digit()) {
            base.insert_str(0, "t_");
        }
        let mut id = base.clone();
        let mut number = 2;
        // Ids that differ in case only are told apart by nobody.
        while !self.taken.insert(id.to_ascii_lowercase()) {
            id = format!("{base}_{number}");
            number += 1;
        }
        if id != name {
            self.notes.push(format!("`{name}` is called `{id}`"));
        }
        id
    }

    /// Asks for a field of the input.
    pub fn input(&mut self, name: &str, schema: &str) {
        let known = self.inputs.entry(name.to_owned()).or_insert_with(|| schema.to_owned());
        if known == "{}" {
            schema.clone_into(known);
        }
    }
}

pub fn write(process: &Scope, blocks: &[Block]) -> Result<Converted, Problem> {
    let mut draft = Draft::default();
    let id = draft.id(&process.id);
    let mut author = Author { scope: process, draft: &mut draft, lines: Vec::new() };
    author.sequence(blocks, &Needs::default(), None)?;
    let lines = author.lines;
    if lines.is_empty() {
        let help = "a definition needs a task at least";
        return Err(refusal(process.line, format!("`{}` has no tasks", process.name), help));
    }
    let mut yaml = format!("id: {id}\nversion: '1'\n");
    if process.name != process.id {
        _ = writeln!(yaml, "description: {}", quoted(&process.name));
    }
    if !draft.inputs.is_empty() {
        let names: Vec<&str> = draft.inputs.keys().map(String::as_str).collect();
        _ = writeln!(
            yaml,
            "input:\n  type: object\n  required: [{}]\n  properties:",
            names.join(", ")
        );
        for (name, schema) in &draft.inputs {
            _ = writeln!(yaml, "    {name}: {schema}");
        }
    }
    yaml.push_str("tasks:\n");
    for line in indented(&lines) {
        _ = writeln!(yaml, "{line}");
    }
    Ok(Converted { definition_yaml: yaml, notes: draft.notes })
}

pub fn indented(lines: &[String]) -> impl Iterator<Item = String> + '_ {
    lines.iter().map(|it| format!("  {it}"))
}

/// A text as YAML, whatever is in it. JSON strings are YAML.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
