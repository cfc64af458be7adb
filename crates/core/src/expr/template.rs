//! JSON with expressions inside its strings: `"Order ${{ input.id }}"`.
//!
//! A string that is one expression and nothing else becomes its value, of whatever type. With text
//! around it, the value becomes text. `$${{` writes a literal `${{`. Names of fields are never
//! templates.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use super::budget::{Budget, Meter};
use super::check::TypeError;
use super::error::{EvalError, ParseError};
use super::functions::plain_text;
use super::lexer::{Lexer, Token};
use super::references::Reference;
use super::scope::Scope;
use super::types::{Type, TypeScope};
use super::value::Value;
use super::{Expr, json};
use crate::limits::DEPTH_MAX;

const OPEN: &str = "${{";
const ESCAPED_OPEN: &str = "$${{";
const CLOSE: &str = "}}";

/// A JSON value with expressions inside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Template {
    root: Arc<Part>,
}

/// An expression that cannot be read, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TemplateError {
    /// JSON pointer (RFC 6901) of the string; of the object, if a field's name is wrong.
    pub pointer: String,
    /// Bytes of that string.
    pub span: Range<usize>,
    /// Its own span counts from the start of the string as well.
    pub error: ParseError,
}

/// An expression that has no value, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TemplateEvalError {
    /// JSON pointer (RFC 6901) of the string.
    pub pointer: String,
    /// Its span counts from the start of the string.
    pub error: EvalError,
}

/// An expression of a template.
#[derive(Clone, Debug)]
pub struct Hole {
    /// JSON pointer (RFC 6901) of the string that it stands in.
    pub pointer: String,
    pub expr: Expr,
    /// Where its source begins in that string.
    pub offset: usize,
}

impl Hole {
    /// Converts bytes of the expression's source to bytes of the string around it.
    pub fn span_in_string(&self, span: &Range<usize>) -> Range<usize> {
        span.start + self.offset..span.end + self.offset
    }
}

#[derive(Debug)]
enum Part {
    /// A whole subtree without expressions.
    Literal(Arc<Json>),
    Expression(Hole),
    Text(Vec<Piece>),
    List(Vec<Part>),
    Object(Vec<(String, Part)>),
}

#[derive(Debug)]
enum Piece {
    Plain(String),
    Hole(Hole),
}

impl Template {
    /// Reads all expressions of a value, and reports all that are wrong.
    pub fn parse(value: &Json) -> Result<Template, Vec<TemplateError>> {
        let mut errors = Vec::new();
        let root = Reader { errors: &mut errors }.part(value, &mut String::new(), 0);
        if errors.is_empty() { Ok(Template { root: Arc::new(root) }) } else { Err(errors) }
    }

    /// Makes a template that is this value, whatever its strings look like.
    pub fn literal(value: Json) -> Template {
        Template { root: Arc::new(Part::Literal(Arc::new(value))) }
    }

    pub fn is_literal(&self) -> bool {
        matches!(*self.root, Part::Literal(_))
    }

    /// Returns the expressions, in the order of the value.
    pub fn expressions(&self) -> impl Iterator<Item = &Hole> {
        let mut holes = Vec::new();
        self.root.collect(&mut holes);
        holes.into_iter()
    }

    /// Returns every path that is read, with the expression that reads it.
    pub fn references(&self) -> Vec<(&Hole, Reference)> {
        let of = |hole: &'_ Hole| hole.expr.references();
        self.expressions().flat_map(|hole| of(hole).into_iter().map(move |it| (hole, it))).collect()
    }

    /// Infers the type of the result and finds what cannot succeed, whatever the data.
    pub fn check(&self, scope: &dyn TypeScope) -> (Type, Vec<(&Hole, TypeError)>) {
        let mut errors = Vec::new();
        let ty = self.root.check(scope, &mut errors);
        (ty, errors)
    }

    /// Evaluates all expressions at the cost of one budget.
    pub fn eval(&self, scope: &dyn Scope, budget: &Budget) -> Result<Json, TemplateEvalError> {
        self.root.eval(scope, &Meter::new(budget))
    }

    /// As `eval`, but a literal is shared instead of copied.
    pub fn eval_shared(
        &self,
        scope: &dyn Scope,
        budget: &Budget,
    ) -> Result<Arc<Json>, TemplateEvalError> {
        match &*self.root {
            Part::Literal(value) => Ok(Arc::clone(value)),
            _ => self.eval(scope, budget).map(Arc::new),
        }
    }
}

impl Part {
    fn collect<'t>(&'t self, holes: &mut Vec<&'t Hole>) {
        match self {
            Part::Literal(_) => {}
            Part::Expression(hole) => holes.push(hole),
            Part::Text(pieces) => holes.extend(pieces.iter().filter_map(|it| match it {
                Piece::Plain(_) => None,
                Piece::Hole(hole) => Some(hole),
            })),
            Part::List(items) => items.iter().for_each(|it| it.collect(holes)),
            Part::Object(fields) => fields.iter().for_each(|(_, it)| it.collect(holes)),
        }
    }

    fn eval(&self, scope: &dyn Scope, meter: &Meter) -> Result<Json, TemplateEvalError> {
        Ok(match self {
            Part::Literal(value) => Json::clone(value),
            Part::Expression(hole) => {
                hole.expr.eval_metered(scope, meter).map_err(|it| hole.error(it))?
            }
            Part::Text(pieces) => Json::String(text(pieces, scope, meter)?),
            Part::List(items) => {
                Json::Array(items.iter().map(|it| it.eval(scope, meter)).collect::<Result<_, _>>()?)
            }
            Part::Object(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, it)| Ok((name.clone(), it.eval(scope, meter)?)));
                Json::Object(fields.collect::<Result<_, _>>()?)
            }
        })
    }

    fn check<'t>(&'t self, scope: &dyn TypeScope, errors: &mut Vec<(&'t Hole, TypeError)>) -> Type {
        match self {
            Part::Literal(value) => Type::of_json(value),
            Part::Expression(hole) => {
                let (ty, found) = hole.expr.check(scope);
                errors.extend(found.into_iter().map(|it| (hole, it)));
                ty
            }
            Part::Text(pieces) => {
                for piece in pieces {
                    if let Piece::Hole(hole) = piece {
                        errors.extend(hole.expr.check(scope).1.into_iter().map(|it| (hole, it)));
                    }
                }
                Type::String
            }
            Part::List(items) => {
                let types: Vec<Type> = items.iter().map(|it| it.check(scope, errors)).collect();
                Type::list(Type::union(types))
            }
            Part::Object(fields) => {
                let fields = fields.iter();
                Type::record(fields.map(|(name, it)| (name.clone(), it.check(scope, errors))))
            }
        }
    }
}

impl Hole {
    fn error(&self, mut error: EvalError) -> TemplateEvalError {
        error.span = self.span_in_string(&error.span);
        TemplateEvalError { pointer: self.pointer.clone(), error }
    }
}

fn text(pieces: &[Piece], scope: &dyn Scope, meter: &Meter) -> Result<String, TemplateEvalError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Plain(plain) => text.push_str(plain),
            Piece::Hole(hole) => {
                let value = hole.expr.evaluate(scope, meter).map_err(|error| hole.error(error))?;
                let charge = meter.produce(append(&mut text, &value, meter, hole)?);
                charge.map_err(|fault| hole.error(hole.expr.at_root(*fault)))?;
            }
        }
    }
    Ok(text)
}

/// Writes a value into text: null is nothing, lists and maps are JSON. Returns the bytes written.
fn append(
    text: &mut String,
    value: &Value<'_>,
    meter: &Meter,
    hole: &Hole,
) -> Result<usize, TemplateEvalError> {
    let before = text.len();
    match (value, plain_text(value)) {
        (Value::Null, _) => {}
        (_, Some(plain)) => text.push_str(&plain),
        _ => match json::from_value(value, meter) {
            Ok(Json::String(plain)) => text.push_str(&plain),
            Ok(json) => text.push_str(&json.to_string()),
            Err(fault) => return Err(hole.error(hole.expr.at_root(*fault))),
        },
    }
    Ok(text.len() - before)
}

/// Reads the strings of a value.
struct Reader<'r> {
    errors: &'r mut Vec<TemplateError>,
}

impl Reader<'_> {
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
