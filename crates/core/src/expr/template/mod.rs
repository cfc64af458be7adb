//! JSON with expressions inside its strings: `"Order ${{ input.id }}"`.
//!
//! A string that is one expression and nothing else becomes its value, of whatever type. With text
//! around it, the value becomes text. `$${{` writes a literal `${{`. Names of fields are never
//! templates.

mod reader;
mod shape;

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use super::budget::{Budget, Meter};
use super::check::TypeError;
use super::error::{EvalError, ParseError};
use super::functions::plain_text;
use super::references::Reference;
use super::scope::Scope;
use super::types::{Type, TypeScope};
use super::value::Value;
use super::{Expr, json};

pub use shape::Shape;

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
        reader::read(value).map(|root| Template { root: Arc::new(root) })
    }

    /// Makes a template that is this value, whatever its strings look like.
    pub fn literal(value: Json) -> Template {
        Template { root: Arc::new(Part::Literal(Arc::new(value))) }
    }

    pub fn is_literal(&self) -> bool {
        matches!(*self.root, Part::Literal(_))
    }

    /// Whether another template is written in the same way, places apart.
    pub fn is_same(&self, other: &Template) -> bool {
        self.root.is_same(&other.root)
    }

    /// Returns the expression that the whole template is, if it is one and nothing else.
    pub fn as_expression(&self) -> Option<&Expr> {
        match &*self.root {
            Part::Expression(hole) => Some(&hole.expr),
            _ => None,
        }
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
    fn is_same(&self, other: &Part) -> bool {
        let same = |one: &Hole, other: &Hole| one.expr.source() == other.expr.source();
        match (self, other) {
            (Part::Literal(one), Part::Literal(other)) => one == other,
            (Part::Expression(one), Part::Expression(other)) => same(one, other),
            (Part::Text(one), Part::Text(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|it| match it {
                        (Piece::Plain(one), Piece::Plain(other)) => one == other,
                        (Piece::Hole(one), Piece::Hole(other)) => same(one, other),
                        (Piece::Plain(_), Piece::Hole(_)) | (Piece::Hole(_), Piece::Plain(_)) => {
                            false
                        }
                    })
            }
            (Part::List(one), Part::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.is_same(b))
            }
            (Part::Object(one), Part::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, it)| {
                        let named = other.iter().find(|(other, _)| other == name);
                        named.is_some_and(|(_, other)| it.is_same(other))
                    })
            }
            // Of different shapes; a shape that comes to exist must say here what it equals.
            (
                Part::Literal(_)
                | Part::Expression(_)
                | Part::Text(_)
                | Part::List(_)
                | Part::Object(_),
                _,
            ) => false,
        }
    }

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
