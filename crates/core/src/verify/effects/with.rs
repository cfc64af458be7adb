//! The `with` of a task as its author wrote it: what of it is known before the run.

use crate::definition::{Task, TemplateSource, Work};
use crate::source::{Content, Node, Span};
use crate::time::Duration;

/// The parameters of one task.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub kind: &'a str,
    pub source: Option<&'a TemplateSource>,
}

impl<'a> With<'a> {
    /// None for a task that is not the work of a kind.
    pub fn of(task: &'a Task) -> Option<With<'a>> {
        match &task.work {
            Work::Uses { kind, with } => Some(With { kind: &kind.value, source: with.as_ref() }),
            Work::Nothing | Work::Composite(_) => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.source?.node.get(key)
    }

    /// Returns a parameter that is written out.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        literal_text(self.get(key)?)
    }

    pub fn duration(&self, key: &str) -> Option<(Duration, Span)> {
        let node = self.get(key)?;
        Some((literal_text(node)?.parse().ok()?, node.span))
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        match &self.get(key)?.content {
            Content::Number(it) => it.as_u64(),
            _ => None,
        }
    }

    /// Whether a parameter is written out as this.
    pub fn says(&self, key: &str, value: bool) -> bool {
        self.get(key).is_some_and(|it| it.content == Content::Bool(value))
    }

    /// Returns the texts of a list; None if it is missing or holds an expression.
    pub fn texts(&self, key: &str) -> Option<Vec<&'a str>> {
        match &self.get(key)?.content {
            Content::List(items) => items.iter().map(literal_text).collect(),
            _ => None,
        }
    }

    /// Whether the whole of `with` is known only in the run.
    pub fn is_expression(&self) -> bool {
        self.source.is_some_and(
            |it| matches!(&it.node.content, Content::String(text) if has_expression(text)),
        )
    }
}

/// Returns a text without expressions.
pub(super) fn literal_text(node: &Node) -> Option<&str> {
    match &node.content {
        Content::String(text) if !has_expression(text) => Some(text),
        _ => None,
    }
}

pub(super) fn has_expression(text: &str) -> bool {
    text.contains("${{")
}
