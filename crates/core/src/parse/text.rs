//! Expressions and templates: finding them in strings, and placing their mistakes in the file.

use std::ops::Range;

use super::fields::Field;
use super::id::Alphabet;
use super::{Parser, secret};
use crate::definition::{ExprSource, Spanned, TemplateSource};
use crate::expr::{Expr, ParseError, ParseErrorKind, Template};
use crate::source::{Content, Node, Problem, Span};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

impl Parser {
    /// Reads a condition: an expression, bare or in `${{ }}`, or a YAML boolean.
    pub fn condition(&mut self, field: Field<'_>) -> Option<ExprSource> {
        let node = field.node;
        let text = match &node.content {
            Content::Bool(true) => "true",
            Content::Bool(false) => "false",
            Content::String(text) => text,
            _ => {
                self.wrong_type(field, "an expression such as `input.total > 10`");
                return None;
            }
        };
        let range = self.bare(text, field)?;
        let text_start = node.text_start.map(|it| it + range.start as u32);
        match Expr::parse(&text[range]) {
            Ok(expr) => Some(ExprSource { expr, span: node.span, text_start }),
            Err(error) => {
                let span = place(text_start, &error.span, node.span);
                self.report(expression_problem(error, span));
                None
            }
        }
    }

    /// Finds the expression in a string that is nothing else.
    fn bare(&mut self, text: &str, field: Field<'_>) -> Option<Range<usize>> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let mut range = start..start + trimmed.len();
        if let Some(inner) = trimmed.strip_prefix(OPEN) {
            let Some(inner) = inner.strip_suffix(CLOSE) else {
                self.report(unclosed(field.node, start));
                return None;
            };
            let lead = inner.len() - inner.trim_start().len();
            let first = start + OPEN.len() + lead;
            range = first..first + inner.trim().len();
        } else if let Some(at) = trimmed.find(OPEN) {
            let span = place(
                field.node.text_start,
                &(start + at..start + at + OPEN.len()),
                field.node.span,
            );
            let message = format!("`{}` is an expression already", field.name);
            self.report(
                Problem::error("SF1031", span, message).help("write it without `${{` and `}}`"),
            );
            return None;
        }
        if range.is_empty() {
            let message = format!("`{}` holds no expression", field.name);
            self.report(
                Problem::error("SF1031", field.node.span, message)
                    .help("write a condition, or remove the key"),
            );
            return None;
        }
        Some(range)
    }

    /// Reads a tree that may hold expressions.
    pub fn template(&mut self, field: Field<'_>) -> Option<TemplateSource> {
        self.template_of(field.node.clone())
    }

    fn template_of(&mut self, node: Node) -> Option<TemplateSource> {
        self.look_for_secrets(&node);
        match Template::parse(&node.to_value()) {
            Ok(template) => Some(TemplateSource { template, node }),
            Err(errors) => {
                for it in errors {
                    let at = node.pointer(&it.pointer).unwrap_or(&node);
                    let span = place(at.text_start, &it.span, at.span);
                    self.report(expression_problem(it.error, span));
                }
                None
            }
        }
    }

    /// Reads `key` of a concurrency limit: an expression, bare, or a text with `${{ }}` in it.
    pub fn key_template(&mut self, field: Field<'_>) -> Option<TemplateSource> {
        let text = match &field.node.content {
            Content::String(text) if !text.contains(OPEN) => text,
            Content::String(_) => return self.template(field),
            _ => {
                self.wrong_type(field, "an expression such as `input.customer`");
                return None;
            }
        };
        let range = self.bare(text, field)?;
        let content = Content::String(format!("{OPEN}{}{CLOSE}", &text[range.clone()]));
        // The added bracket stands before the text, so places in the text stay places in the file.
        let text_start = field
            .node
            .text_start
            .and_then(|it| (it + range.start as u32).checked_sub(OPEN.len() as u32));
        self.template_of(Node { content, span: field.node.span, text_start })
    }

    /// Reads `vars` or `set`: names and the values that they get.
    pub fn named_templates(
        &mut self,
        field: Field<'_>,
        expected: &str,
    ) -> Vec<(Spanned<String>, TemplateSource)> {
        let mut named = Vec::new();
        for (key, node) in self.entries(field, expected) {
            self.check_id(&key.name, "name of a variable", Alphabet::Word, key.span);
            if let Some(template) = self.template(Field { name: &key.name, node }) {
                named.push((Spanned::new(key.name.clone(), key.span), template));
            }
        }
        named
    }

    fn look_for_secrets(&mut self, node: &Node) {
        match &node.content {
            Content::String(text) => {
                if let Some(kind) = secret::find(text) {
                    self.report(
                        Problem::warning("SF1040", node.span, format!("this looks like {kind}"))
                            .help("keep it in a secret, write `${{ secrets.NAME }}`, and revoke this one"),
                    );
                }
            }
            Content::List(items) => items.iter().for_each(|it| self.look_for_secrets(it)),
            Content::Map(entries) => entries.iter().for_each(|(_, it)| self.look_for_secrets(it)),
            Content::Null | Content::Bool(_) | Content::Number(_) => {}
        }
    }

    /// Refuses text that is put into SQL: it would be read as SQL, whatever it says.
    pub fn check_sql(&mut self, with: &Node) {
        let Some(query) = with.get("query") else { return };
        let Content::String(text) = &query.content else { return };
        if let Some(at) = text.find(OPEN) {
            let end = text[at..].find(CLOSE).map_or(text.len(), |it| at + it + CLOSE.len());
            let span = place(query.text_start, &(at..end), query.span);
            self.report(
                Problem::error("SF1041", span, "an expression inside of SQL text")
                    .label("this text would run as SQL")
                    .help(
                        "write `:name` here, and `params: {name: \"${{ … }}\"}` beside the query",
                    ),
            );
        }
    }
}

/// Returns the place of a part of a string, or that of the whole string if it cannot be told.
fn place(text_start: Option<u32>, range: &Range<usize>, whole: Span) -> Span {
    match text_start {
        Some(start) => {
            let start = start as usize;
            Span::new(start + range.start, (start + range.end).max(start + range.start))
        }
        None => whole,
    }
}

fn expression_problem(error: ParseError, span: Span) -> Problem {
    let code = match error.kind {
        ParseErrorKind::Syntax => "SF1031",
        ParseErrorKind::Limit => "SF1032",
    };
    let problem = Problem::error(code, span, error.message);
    match error.hint {
        Some(hint) => problem.help(hint),
        None => problem,
    }
}

fn unclosed(node: &Node, at: usize) -> Problem {
    let span = place(node.text_start, &(at..at + OPEN.len()), node.span);
    Problem::error("SF1031", span, "`${{` is not closed").help("close the expression with `}}`")
}
