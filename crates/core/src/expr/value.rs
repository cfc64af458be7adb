//! The values of an evaluation. Data stays where it is: lists, maps and strings of the scope and
//! literals of the source are borrowed, only what an expression makes is allocated.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::budget::Meter;
use super::error::Fault;
pub use super::key::Key;
use super::scope::Object;

#[derive(Clone)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Arc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    /// A map whose fields are looked up when they are used.
    Object(Rc<dyn Object<'a> + 'a>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Type(TypeName),
}

/// The type of a value, as `type(x)` returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeName {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    List,
    Map,
    Timestamp,
    Duration,
    Type,
}

impl TypeName {
    const ALL: [TypeName; 12] = [
        TypeName::Null,
        TypeName::Bool,
        TypeName::Int,
        TypeName::Uint,
        TypeName::Double,
        TypeName::String,
        TypeName::Bytes,
        TypeName::List,
        TypeName::Map,
        TypeName::Timestamp,
        TypeName::Duration,
        TypeName::Type,
    ];

    /// Returns the name that CEL gives to this type.
    pub fn as_str(self) -> &'static str {
        match self {
            TypeName::Null => "null_type",
            TypeName::Bool => "bool",
            TypeName::Int => "int",
            TypeName::Uint => "uint",
            TypeName::Double => "double",
            TypeName::String => "string",
            TypeName::Bytes => "bytes",
            TypeName::List => "list",
            TypeName::Map => "map",
            TypeName::Timestamp => "google.protobuf.Timestamp",
            TypeName::Duration => "google.protobuf.Duration",
            TypeName::Type => "type",
        }
    }

    pub(crate) fn find(name: &str) -> Option<TypeName> {
        TypeName::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

impl fmt::Display for TypeName {
    /// Writes the type for people: `null`, not `null_type`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TypeName::Null => "null",
            TypeName::Timestamp => "timestamp",
            TypeName::Duration => "duration",
            _ => self.as_str(),
        })
    }
}

#[derive(Clone)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

#[derive(Clone)]
pub enum List<'a> {
    Json(&'a [Json]),
    Shared(Rc<[Value<'a>]>),
}

impl<'a> List<'a> {
    pub fn len(&self) -> usize {
        match self {
            List::Json(items) => items.len(),
            List::Shared(items) => items.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            List::Json(items) => items.get(index).map(Value::from),
            List::Shared(items) => items.get(index).cloned(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[derive(Clone)]
pub enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Shared(Rc<BTreeMap<Key<'a>, Value<'a>>>),
}

impl<'a> Map<'a> {
    pub fn len(&self) -> usize {
        match self {
            Map::Json(fields) => fields.len(),
            Map::Shared(entries) => entries.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Map::Json(fields) => fields.get(name).map(Value::from),
            Map::Shared(entries) => entries.get(&Key::String(Text::Borrowed(name))).cloned(),
        }
    }

    pub fn get(&self, key: &Key<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (_, Key::String(name)) => self.field(name),
            (Map::Json(_), _) => None,
            (Map::Shared(entries), key) => entries.get(key).cloned(),
        }
    }

    pub fn keys(&self) -> Vec<Key<'a>> {
        match self {
            Map::Json(fields) => {
                fields.keys().map(|it| Key::String(Text::Borrowed(it.as_str()))).collect()
            }
            Map::Shared(entries) => entries.keys().cloned().collect(),
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = (Key<'a>, Value<'a>)> + '_ {
        self.keys().into_iter().filter_map(|key| {
            let value = self.get(&key)?;
            Some((key, value))
        })
    }
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Value<'a> {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => number_value(number),
            Json::String(text) => Value::String(Text::Borrowed(text)),
            Json::Array(items) => Value::List(List::Json(items)),
            Json::Object(fields) => Value::Map(Map::Json(fields)),
        }
    }
}

/// Integers that fit are int, larger ones uint, all others double.
fn number_value<'a>(number: &serde_json::Number) -> Value<'a> {
    if let Some(value) = number.as_i64() {
        Value::Int(value)
    } else if let Some(value) = number.as_u64() {
        Value::Uint(value)
    } else {
        Value::Double(number.as_f64().unwrap_or(f64::NAN))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Uint(value) => write!(f, "{value}u"),
            Value::Double(value) => write!(f, "{value:?}"),
            Value::String(text) => write!(f, "{:?}", &**text),
            Value::Bytes(bytes) => write!(f, "b{bytes:?}"),
            Value::List(list) => f.debug_list().entries(list.iter()).finish(),
            Value::Map(map) => f
                .debug_map()
                .entries(map.entries().map(|(key, value)| (Value::from(key), value)))
                .finish(),
            Value::Object(_) => f.write_str("object"),
            Value::Timestamp(at) => write!(f, "timestamp({at})"),
            Value::Duration(length) => write!(f, "duration({length:?})"),
            Value::Type(name) => write!(f, "{}", name.as_str()),
        }
    }
}

impl<'a> Value<'a> {
    pub fn type_name(&self) -> TypeName {
        match self {
            Value::Null => TypeName::Null,
            Value::Bool(_) => TypeName::Bool,
            Value::Int(_) => TypeName::Int,
            Value::Uint(_) => TypeName::Uint,
            Value::Double(_) => TypeName::Double,
            Value::String(_) => TypeName::String,
            Value::Bytes(_) => TypeName::Bytes,
            Value::List(_) => TypeName::List,
            Value::Map(_) | Value::Object(_) => TypeName::Map,
            Value::Timestamp(_) => TypeName::Timestamp,
            Value::Duration(_) => TypeName::Duration,
            Value::Type(_) => TypeName::Type,
        }
    }

    /// Makes a string that the expression produced.
    pub(super) fn text(text: impl Into<Rc<str>>, meter: &Meter) -> Result<Value<'a>, Fault> {
        let text = text.into();
        meter.produce(text.len())?;
        Ok(Value::String(Text::Shared(text)))
    }

    /// Makes a list that the expression produced.
    pub(super) fn list(items: Vec<Value<'a>>, meter: &Meter) -> Result<Value<'a>, Fault> {
        meter.produce(items.len() * size_of::<Value<'_>>())?;
        Ok(Value::List(List::Shared(items.into())))
    }

    /// Makes a map that the expression produced.
    pub(super) fn map(
        entries: BTreeMap<Key<'a>, Value<'a>>,
        meter: &Meter,
    ) -> Result<Value<'a>, Fault> {
        meter.produce(entries.len() * size_of::<(Key<'_>, Value<'_>)>())?;
        Ok(Value::Map(Map::Shared(Rc::new(entries))))
    }

    /// Takes over data that was made for this evaluation.
    pub(super) fn owned(json: Json, meter: &Meter) -> Result<Value<'a>, Fault> {
        Ok(match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => number_value(&number),
            Json::String(text) => Value::text(text, meter)?,
            Json::Array(items) => {
                let items = items.into_iter().map(|it| Value::owned(it, meter));
                Value::list(items.collect::<Result<_, _>>()?, meter)?
            }
            Json::Object(fields) => {
                let mut entries = BTreeMap::new();
                for (name, value) in fields {
                    meter.produce(name.len())?;
                    let key = Key::String(Text::Shared(name.into()));
                    entries.insert(key, Value::owned(value, meter)?);
                }
                Value::map(entries, meter)?
            }
        })
    }

    /// Replaces an object by the map of all its fields.
    pub(super) fn materialize(self, meter: &Meter) -> Result<Value<'a>, Fault> {
        match self {
            Value::Object(object) => Value::owned(object.to_json(), meter),
            value => Ok(value),
        }
    }
}
