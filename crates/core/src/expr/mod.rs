//! The expression language: CEL over JSON in place, with a budget.
//!
//! An [`Expr`] is parsed once per definition and evaluated against a [`Scope`] that is read where
//! it is. A [`Template`] is a JSON value with expressions inside its strings. What an expression
//! reads ([`Expr::references`]) and what can be wrong with it ([`Expr::check`]) is known before a
//! run. Evaluation is pure: there is no clock and no randomness to ask.
//!
//! The language is the core of CEL as its conformance cases define it; `tests/data/cel` has the
//! cases, the deviations and a list of what is added.

pub mod ast;
pub mod value;

mod arithmetic;
mod budget;
mod check;
mod compare;
mod error;
mod eval;
mod functions;
mod json;
mod key;
mod lexer;
mod macros;
mod nearest;
mod operators;
mod parser;
mod references;
mod schema;
mod scope;
mod template;
mod types;

use std::sync::Arc;

use serde_json::Value as Json;

pub use budget::{Budget, Meter};
pub use check::{TypeError, TypeErrorKind};
pub use error::{EvalError, EvalErrorKind, Limit, ParseError, ParseErrorKind};
pub use references::Reference;
pub(crate) use references::path_of;
pub use scope::{Lookup, Object, Scope};
pub use template::{Hole, Shape, Template, TemplateError, TemplateEvalError};
pub use types::{FieldType, MapType, Type, TypeScope};

/// A parsed expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expr {
    inner: Arc<Parsed>,
}

#[derive(Debug)]
struct Parsed {
    source: Box<str>,
    root: ast::Node,
}

impl Expr {
    /// Reads an expression. Names and types are not checked: see [`Expr::check`].
    pub fn parse(source: &str) -> Result<Expr, ParseError> {
        let root = parser::parse(source)?;
        Ok(Expr { inner: Arc::new(Parsed { source: source.into(), root }) })
    }

    pub fn source(&self) -> &str {
        &self.inner.source
    }

    pub fn ast(&self) -> &ast::Node {
        &self.inner.root
    }

    /// Returns every path that the expression reads, in the order of the source.
    pub fn references(&self) -> Vec<Reference> {
        references::collect(self.ast())
    }

    /// Infers the type and finds what cannot succeed, whatever the data.
    pub fn check(&self, scope: &dyn TypeScope) -> (Type, Vec<TypeError>) {
        check::check(self.ast(), scope)
    }

    /// Evaluates to JSON.
    pub fn eval(&self, scope: &dyn Scope, budget: &Budget) -> Result<Json, EvalError> {
        self.eval_metered(scope, &Meter::new(budget))
    }

    /// Evaluates a condition. Whatever is not true or false is an error.
    pub fn eval_bool(&self, scope: &dyn Scope, budget: &Budget) -> Result<bool, EvalError> {
        let meter = Meter::new(budget);
        match self.evaluate(scope, &meter)? {
            value::Value::Bool(value) => Ok(value),
            other => Err(EvalError {
                kind: EvalErrorKind::NotBoolean,
                message: format!(
                    "a condition must be true or false, this is {}",
                    other.type_name()
                ),
                span: self.ast().span.clone(),
            }),
        }
    }

    /// Evaluates to a value of CEL, which keeps types that JSON does not have and borrows from the
    /// scope and the expression.
    pub fn evaluate<'e>(
        &'e self,
        scope: &'e dyn Scope,
        meter: &'e Meter,
    ) -> Result<value::Value<'e>, EvalError> {
        eval::Evaluator::new(scope, meter).eval(self.ast()).map_err(|fault| *fault)
    }

    /// Evaluates a part of an expression that stands in no macro.
    pub(crate) fn evaluate_node<'e>(
        node: &'e ast::Node,
        scope: &'e dyn Scope,
        meter: &'e Meter,
    ) -> Result<value::Value<'e>, EvalError> {
        eval::Evaluator::new(scope, meter).eval(node).map_err(|fault| *fault)
    }

    /// Evaluates to JSON at the cost of a budget that other expressions share.
    fn eval_metered(&self, scope: &dyn Scope, meter: &Meter) -> Result<Json, EvalError> {
        let value = self.evaluate(scope, meter)?;
        json::from_value(&value, meter).map_err(|fault| self.at_root(*fault))
    }

    fn at_root(&self, error: EvalError) -> EvalError {
        EvalError { span: self.ast().span.clone(), ..error }
    }
}
