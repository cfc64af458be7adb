//! What values a path may have before anything is known of a run.
//!
//! A domain may be too large, never too small: only what a type or a schema rules out for certain
//! is left out, and everything else that a schema says is ignored.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::number::Num;
use super::path::Path;
use crate::expr::Type;

/// Tells the domain of each path that the expressions read.
pub trait Domains {
    /// Returns what the path may be, given that the path above it is an object.
    fn domain(&self, path: &Path) -> Domain;
}

/// One domain for every path; for tests and for expressions without a schema.
impl Domains for Domain {
    fn domain(&self, _path: &Path) -> Domain {
        self.clone()
    }
}

/// The values that a path may have.
///
/// ```
/// use serde_json::json;
/// use surefoot_core::verify::guard::Domain;
///
/// let schema = json!({"required": ["total"], "properties": {"total": {"minimum": 0}}});
/// let total = Domain::at(&schema, &["total"]);
/// assert!(!total.may_be_missing() && total.allows(&json!("many")) && !total.allows(&json!(-1)));
/// assert!(Domain::at(&schema, &["note"]).may_be_missing());
/// ```
#[derive(Clone, Debug)]
pub struct Domain {
    pub(super) kinds: Kinds,
    missing: bool,
    /// Numbers are whole.
    pub(super) whole: bool,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    /// The only values that there are, other limits apart.
    pub(super) values: Option<Arc<[Json]>>,
    /// Values are of types that JSON does not have.
    pub(super) beyond_json: bool,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    at: Num,
    is_excluded: bool,
}

impl Bound {
    /// Tells whether a number lies beyond the bound, `side` being what lies beyond. A number that
    /// merely rounds to the bound does not.
    fn excludes(self, number: Num, side: Ordering) -> bool {
        let order = number.compare(self.at);
        order == side || (self.is_excluded && number == self.at)
    }
}

impl Domain {
    /// Any JSON value, or none.
    pub fn any() -> Domain {
        Domain::of_kinds(Kinds::ALL).optional()
    }

    /// One of these values.
    pub fn one_of(values: impl IntoIterator<Item = Json>) -> Domain {
        Domain { values: Some(values.into_iter().collect()), ..Domain::of_kinds(Kinds::ALL) }
    }

    /// The same, or missing.
    pub fn optional(self) -> Domain {
        Domain { missing: true, ..self }
    }

    /// The same, or `null`.
    pub fn or_null(self) -> Domain {
        let values = self.values.map(|it| it.iter().cloned().chain([Json::Null]).collect());
        Domain { kinds: self.kinds.or(Kinds::NULL), values, ..self }
    }

    fn of_kinds(kinds: Kinds) -> Domain {
        Domain {
            kinds,
            missing: false,
            whole: false,
            minimum: None,
            maximum: None,
            values: None,
            beyond_json: false,
        }
    }

    /// Reads the domain of a field from the type of what it lies in; without segments, the domain
    /// of the type itself.
    ///
    /// ```
    /// use surefoot_core::expr::Type;
    /// use surefoot_core::verify::guard::Domain;
    ///
    /// let task = Type::record([("status".to_owned(), Type::String)]);
    /// assert!(!Domain::of_type(&task, &["status"]).may_be_missing());
    /// assert!(Domain::of_type(&Type::Any, &["status"]).may_be_missing());
    /// ```
    pub fn of_type<S: AsRef<str>>(ty: &Type, segments: &[S]) -> Domain {
        let Some((first, below)) = segments.split_first() else {
            return Domain::of_whole_type(ty);
        };
        match ty {
            Type::Any => Domain::any(),
            Type::Map(map) => match (map.fields.get(first.as_ref()), &map.rest) {
                (Some(field), _) => {
                    let found = Domain::of_type(&field.ty, below);
                    if field.required || !below.is_empty() { found } else { found.optional() }
                }
                (None, Some(rest)) if below.is_empty() => Domain::of_type(rest, below).optional(),
                (None, Some(rest)) => Domain::of_type(rest, below),
                (None, None) => Domain::of_kinds(Kinds::NONE).optional(),
            },
            Type::Union(members) => members
                .iter()
                .filter(|it| matches!(it, Type::Any | Type::Map(_)))
                .map(|it| Domain::of_type(it, segments))
                .reduce(Domain::or)
                .unwrap_or(Domain::of_kinds(Kinds::NONE).optional()),
            _ => Domain::of_kinds(Kinds::NONE).optional(),
        }
    }

    fn of_whole_type(ty: &Type) -> Domain {
        let kinds = match ty {
            Type::Any => Kinds::ALL,
            Type::Null => Kinds::NULL,
            Type::Bool => Kinds::BOOL,
            Type::Int | Type::Uint | Type::Double | Type::Number => Kinds::NUMBER,
            Type::String => Kinds::STRING,
            Type::List(_) => Kinds::LIST,
            Type::Map(_) => Kinds::MAP,
            Type::Bytes | Type::Timestamp | Type::Duration | Type::Type => {
                return Domain { beyond_json: true, ..Domain::of_kinds(Kinds::ALL) };
            }
            Type::Union(members) => {
                let members = members.iter().map(Domain::of_whole_type);
                return members.reduce(Domain::or).unwrap_or_else(Domain::any);
            }
        };
        let whole = matches!(ty, Type::Int | Type::Uint);
        let minimum =
            matches!(ty, Type::Uint).then_some(Bound { at: Num::Int(0), is_excluded: false });
        Domain { whole, minimum, ..Domain::of_kinds(kinds) }
    }

    /// What may be one or the other. Limits that only one of them has are dropped.
    fn or(self, other: Domain) -> Domain {
        let both_whole = (self.whole || !self.kinds.has(Kinds::NUMBER))
            && (other.whole || !other.kinds.has(Kinds::NUMBER));
        Domain {
            missing: self.missing || other.missing,
            whole: both_whole,
            beyond_json: self.beyond_json || other.beyond_json,
            ..Domain::of_kinds(self.kinds.or(other.kinds))
        }
    }

    /// Reads the domain of a field from a JSON Schema of what it lies in. Of the schema, `type`,
    /// `enum`, `const`, the bounds of numbers, `required` and `properties` are used to rule values
    /// out; everything else could only rule out more.
    ///
    /// ```
    /// use serde_json::json;
    /// use surefoot_core::verify::guard::Domain;
    ///
    /// let schema = json!({"type": "string", "pattern": "^a", "$ref": "#/$defs/short"});
    /// let domain = Domain::at(&schema, &[] as &[&str]);
    /// assert!(domain.allows(&json!("b")) && !domain.allows(&json!(1)));
    /// ```
    pub fn at<S: AsRef<str>>(schema: &Json, segments: &[S]) -> Domain {
        let mut schema = schema;
        let mut missing = false;
        for segment in segments {
            let segment = segment.as_ref();
            let required = schema.get("required").and_then(Json::as_array);
            missing = !required.is_some_and(|it| it.iter().any(|it| it.as_str() == Some(segment)));
            let field = schema.get("properties").and_then(|it| it.get(segment));
            schema = field.unwrap_or(&Json::Bool(true));
        }
        let found = schema.as_object().map_or_else(Domain::any, Domain::of_schema);
        Domain { missing, ..found }
    }

    fn of_schema(schema: &Map<String, Json>) -> Domain {
        let names: Option<Vec<&str>> = match schema.get("type") {
            Some(Json::String(name)) => Some(vec![name]),
            Some(Json::Array(names)) => names.iter().map(Json::as_str).collect(),
            _ => None,
        };
        let kinds = names.as_ref().map_or(Kinds::ALL, |names| {
            names.iter().fold(Kinds::NONE, |kinds, it| kinds.or(Kinds::named(it)))
        });
        let whole = names.is_some_and(|it| it.contains(&"integer") && !it.contains(&"number"));
        let bound = |inclusive: &str, exclusive: &str, side: Ordering| {
            let read = |name: &str, is_excluded: bool| {
                let at = schema.get(name)?.as_number().and_then(Num::of_json)?;
                Some(Bound { at, is_excluded })
            };
            match (read(inclusive, false), read(exclusive, true)) {
                (Some(left), Some(right)) if right.excludes(left.at, side) => Some(right),
                (left, right) => left.or(right),
            }
        };
        let values = match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => Some(Arc::from([value.clone()])),
            (None, Some(Json::Array(values))) => Some(Arc::from(values.as_slice())),
            _ => None,
        };
        Domain {
            whole,
            minimum: bound("minimum", "exclusiveMinimum", Ordering::Less),
            maximum: bound("maximum", "exclusiveMaximum", Ordering::Greater),
            values,
            ..Domain::of_kinds(kinds)
        }
    }

    /// Tells whether the path may be missing where the path above it is an object.
    pub fn may_be_missing(&self) -> bool {
        self.missing
    }

    /// Tells whether the path may have this value.
    pub fn allows(&self, value: &Json) -> bool {
        let is_listed = |it: &Arc<[Json]>| it.iter().any(|it| is_same(it, value));
        self.kinds.has(Kinds::of(value))
            && self.values.as_ref().is_none_or(is_listed)
            && value.as_number().and_then(Num::of_json).is_none_or(|it| self.allows_number(it))
    }

    pub(super) fn allows_number(&self, number: Num) -> bool {
        (!self.whole || number.is_whole())
            && self.minimum.is_none_or(|it| !it.excludes(number, Ordering::Less))
            && self.maximum.is_none_or(|it| !it.excludes(number, Ordering::Greater))
    }

    /// Returns the numbers at which the domain ends; regions do not reach across them.
    pub(super) fn bounds(&self) -> impl Iterator<Item = Num> {
        self.minimum.into_iter().chain(self.maximum).map(|it| it.at)
    }

    /// The same without a list of values and without bounds, for a schema that contradicts itself.
    pub(super) fn unlimited(&self) -> Domain {
        Domain { missing: self.missing, ..Domain::of_kinds(Kinds::ALL) }
    }
}

/// Tells whether two values are equal to a schema: numbers by value.
pub(super) fn is_same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            match (Num::of_json(left), Num::of_json(right)) {
                (Some(left), Some(right)) => left.compare(right) == Ordering::Equal,
                _ => left == right,
            }
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(left), Json::Object(right)) => {
            let is_there = |(name, value): (&String, &Json)| {
                right.get(name).is_some_and(|it| is_same(value, it))
            };
            left.len() == right.len() && left.iter().all(is_there)
        }
        _ => left == right,
    }
}

/// A set of the types that JSON has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    pub const NULL: Kinds = Kinds(1);
    pub const BOOL: Kinds = Kinds(1 << 1);
    pub const NUMBER: Kinds = Kinds(1 << 2);
    pub const STRING: Kinds = Kinds(1 << 3);
    pub const LIST: Kinds = Kinds(1 << 4);
    pub const MAP: Kinds = Kinds(1 << 5);
    pub const ALL: Kinds = Kinds((1 << 6) - 1);

    pub fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub fn has(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    pub fn of(value: &Json) -> Kinds {
        match value {
            Json::Null => Kinds::NULL,
            Json::Bool(_) => Kinds::BOOL,
            Json::Number(_) => Kinds::NUMBER,
            Json::String(_) => Kinds::STRING,
            Json::Array(_) => Kinds::LIST,
            Json::Object(_) => Kinds::MAP,
        }
    }

    /// Reads a `type` of JSON Schema.
    fn named(name: &str) -> Kinds {
        match name {
            "null" => Kinds::NULL,
            "boolean" => Kinds::BOOL,
            "integer" | "number" => Kinds::NUMBER,
            "string" => Kinds::STRING,
            "array" => Kinds::LIST,
            "object" => Kinds::MAP,
            // A type that nobody knows rules nothing out.
            _ => Kinds::ALL,
        }
    }
}
