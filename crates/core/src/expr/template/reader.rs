//! Finds the expressions in the strings of a value.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::super::Expr;
use super::super::error::ParseError;
use super::super::lexer::{Lexer, Token};
use super::{Hole, Part, Piece, TemplateError};
use crate::limits::DEPTH_MAX;

const OPEN: &str = "${{";
const ESCAPED_OPEN: &str = "$${{";
const CLOSE: &str = "}}";

/// Reads all expressions, and reports all that are wrong.
pub(super) fn read(value: &Json) -> Result<Part, Vec<TemplateError>> {
    let mut reader = Reader { errors: Vec::new() };
    let root = reader.part(value, &mut String::new(), 0);
    if reader.errors.is_empty() { Ok(root) } else { Err(reader.errors) }
}

struct Reader {
    errors: Vec<TemplateError>,
}

impl Reader {
    fn part(&mut self, value: &Json, pointer: &mut String, depth: usize) -> Part {
        if depth > DEPTH_MAX {
            let message = format!("the value is nested deeper than {DEPTH_MAX} levels");
            let error = ParseError::limit(0..0, message, "Flatten it.");
            self.errors.push(TemplateError { pointer: pointer.clone(), span: 0..0, error });
            return Part::Literal(Arc::new(Json::Null));
        }
        match value {
            Json::String(text) if text.contains(OPEN) => self.string(text, pointer),
            Json::Array(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let part =
                        |this: &mut Self, pointer: &mut String| this.part(item, pointer, depth + 1);
                    parts.push(self.below(pointer, index, part));
                }
                match parts.iter().all(|it| matches!(it, Part::Literal(_))) {
                    true => Part::Literal(Arc::new(value.clone())),
                    false => Part::List(parts),
                }
            }
            Json::Object(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    self.field_name(name, pointer);
                    let part = |this: &mut Self, pointer: &mut String| {
                        this.part(field, pointer, depth + 1)
                    };
                    parts.push((name.clone(), self.below(pointer, Escaped(name), part)));
                }
                match parts.iter().all(|(_, it)| matches!(it, Part::Literal(_))) {
                    true => Part::Literal(Arc::new(value.clone())),
                    false => Part::Object(parts),
                }
            }
            _ => Part::Literal(Arc::new(value.clone())),
        }
    }

    fn below(
        &mut self,
        pointer: &mut String,
        segment: impl fmt::Display,
        read: impl FnOnce(&mut Self, &mut String) -> Part,
    ) -> Part {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&segment.to_string());
        let part = read(self, pointer);
        pointer.truncate(length);
        part
    }

    fn field_name(&mut self, name: &str, pointer: &str) {
        if name.contains(OPEN) {
            let error =
                ParseError::syntax(0..name.len(), "the name of a field is never a template")
                    .with_hint("Build the object in one expression: ${{ {key: value} }}.");
            self.errors.push(TemplateError {
                pointer: pointer.to_owned(),
                span: 0..name.len(),
                error,
            });
        }
    }

    fn string(&mut self, text: &str, pointer: &str) -> Part {
        match pieces(text, pointer) {
            Ok(mut pieces) => match (pieces.pop(), pieces.is_empty()) {
                (Some(Piece::Hole(hole)), true) => Part::Expression(hole),
                (Some(Piece::Plain(text)), true) => Part::Literal(Arc::new(Json::String(text))),
                (last, _) => {
                    pieces.extend(last);
                    Part::Text(pieces)
                }
            },
            Err(errors) => {
                self.errors.extend(errors);
                Part::Literal(Arc::new(Json::Null))
            }
        }
    }
}

/// A name in a JSON pointer.
struct Escaped<'s>(&'s str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('~', "~0").replace('/', "~1"))
    }
}

/// Cuts a string into text and expressions.
fn pieces(text: &str, pointer: &str) -> Result<Vec<Piece>, Vec<TemplateError>> {
    let mut pieces = Vec::new();
    let mut errors = Vec::new();
    let mut report = |error: ParseError| {
        let span = error.span.clone();
        errors.push(TemplateError { pointer: pointer.to_owned(), span, error });
    };
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(OPEN) {
        let open = at + found;
        if text[at..open].ends_with('$') {
            // The dollar before the opening was the escape.
            plain.push_str(&text[at..open - 1]);
            plain.push_str(OPEN);
            at = open + OPEN.len();
            continue;
        }
        plain.push_str(&text[at..open]);
        let start = open + OPEN.len();
        let Some(length) = closing(&text[start..]) else {
            report(
                ParseError::syntax(open..text.len(), "this `${{` has no `}}`")
                    .with_hint(format!("Close it, or write {ESCAPED_OPEN} for the text itself.")),
            );
            break;
        };
        match Expr::parse(&text[start..start + length]) {
            Ok(expr) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                }
                let pointer = pointer.to_owned();
                pieces.push(Piece::Hole(Hole { pointer, expr, offset: start }));
            }
            Err(mut error) => {
                // An empty expression has no bytes of its own to point at.
                let is_empty = error.span.is_empty();
                error.span = if is_empty {
                    open..start + length + CLOSE.len()
                } else {
                    error.span.start + start..error.span.end + start
                };
                report(error);
            }
        }
        at = start + length + CLOSE.len();
    }
    plain.push_str(&text[at.min(text.len())..]);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    if errors.is_empty() { Ok(pieces) } else { Err(errors) }
}

/// Returns where the `}}` of an expression is: the first that is neither inside a text nor the
/// end of a map.
fn closing(text: &str) -> Option<usize> {
    let mut lexer = Lexer::new(text);
    let mut depth = 0_usize;
    loop {
        match lexer.next() {
            Ok((Token::Symbol("{"), _)) => depth += 1,
            Ok((Token::Symbol("}"), span)) if depth == 0 => {
                return text[span.start..].starts_with(CLOSE).then_some(span.start);
            }
            Ok((Token::Symbol("}"), _)) => depth -= 1,
            Ok((Token::End, _)) => return None,
            Ok(_) => {}
            // Cut where it was probably meant to end; the parser will tell what is wrong.
            Err(_) => return text.find(CLOSE),
        }
    }
}
