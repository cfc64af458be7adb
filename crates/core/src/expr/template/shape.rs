//! What a template certainly makes, whatever the data.

use serde_json::Value as Json;

use super::{Part, Template};
use crate::expr::ast::{Literal, Node, NodeKind};

/// Values that a place of a template may have; more are not listed.
const VALUES_MAX: usize = 64;

/// What is known of a place of a template's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One of these values.
    OneOf(Vec<Json>),
    /// An object with fields that are known.
    Object,
    Text,
    /// It is there; nothing more is known.
    Any,
    /// There is no such field.
    Missing,
}

impl Template {
    /// Returns what is known of the value at a path below the root.
    ///
    /// ```
    /// use serde_json::json;
    /// use surefoot_core::expr::{Shape, Template};
    ///
    /// let with = json!({"grade": "${{ input.n > 3 ? 'high' : 'low' }}"});
    /// let template = Template::parse(&with).unwrap();
    /// assert_eq!(template.shape(&["grade"]), Shape::OneOf(vec![json!("high"), json!("low")]));
    /// ```
    pub fn shape(&self, segments: &[impl AsRef<str>]) -> Shape {
        let mut part = &*self.root;
        for (at, segment) in segments.iter().enumerate() {
            let segment = segment.as_ref();
            match part {
                Part::Object(fields) => match fields.iter().find(|it| it.0 == segment) {
                    Some((_, field)) => part = field,
                    None => return Shape::Missing,
                },
                Part::Literal(value) => return of_literal(value, &segments[at..]),
                Part::Expression(_) => return Shape::Any,
                Part::Text(_) | Part::List(_) => return Shape::Missing,
            }
        }
        match part {
            Part::Literal(value) => of_literal(value, &[] as &[&str]),
            Part::Object(_) => Shape::Object,
            Part::Text(_) => Shape::Text,
            Part::List(_) => Shape::Any,
            Part::Expression(hole) => {
                let mut values = Vec::new();
                match collect(hole.expr.ast(), &mut values) {
                    true => Shape::OneOf(values),
                    false => Shape::Any,
                }
            }
        }
    }
}

fn of_literal(value: &Json, segments: &[impl AsRef<str>]) -> Shape {
    let found = segments.iter().try_fold(value, |at, it| at.get(it.as_ref()));
    match found {
        Some(Json::Object(_)) => Shape::Object,
        Some(value) => Shape::OneOf(vec![value.clone()]),
        None => Shape::Missing,
    }
}

/// Collects the values that an expression may have, if they are few and known.
fn collect(node: &Node, values: &mut Vec<Json>) -> bool {
    match &node.kind {
        NodeKind::Conditional(it) => collect(&it.then, values) && collect(&it.otherwise, values),
        NodeKind::Literal(literal) => {
            let value = match literal {
                Literal::Null => Json::Null,
                Literal::Bool(value) => (*value).into(),
                Literal::Int(value) => (*value).into(),
                Literal::Uint(value) => (*value).into(),
                Literal::Double(value) => (*value).into(),
                Literal::String(value) => (**value).into(),
                Literal::Bytes(_) => return false,
            };
            if !values.contains(&value) {
                values.push(value);
            }
            values.len() <= VALUES_MAX
        }
        _ => false,
    }
}
