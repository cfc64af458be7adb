//! What is known of a value before it exists. Typing is gradual: `Any` fits everywhere, and a
//! mistake is reported only where no value could make the expression succeed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    /// A number from data: int, uint or double. JSON Schema's `integer` is one as well, since
    /// `1.0` is an integer to it.
    Number,
    String,
    Bytes,
    List(Arc<Type>),
    Map(Arc<MapType>),
    Timestamp,
    Duration,
    Type,
    Union(Arc<[Type]>),
}

/// The fields of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapType {
    pub fields: BTreeMap<String, FieldType>,
    /// What all other fields are; None if there are no others.
    pub rest: Option<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldType {
    pub ty: Type,
    /// The field is always there.
    pub required: bool,
}

/// The types of the variables of an expression.
pub trait TypeScope {
    /// Returns the type of a variable, or None if there is no such variable.
    fn type_of(&self, name: &str) -> Option<Type>;
}

impl TypeScope for BTreeMap<String, Type> {
    fn type_of(&self, name: &str) -> Option<Type> {
        self.get(name).cloned()
    }
}

/// A set of types, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask(u16);

impl Mask {
    pub const NULL: Mask = Mask(1);
    pub const BOOL: Mask = Mask(1 << 1);
    pub const INT: Mask = Mask(1 << 2);
    pub const UINT: Mask = Mask(1 << 3);
    pub const DOUBLE: Mask = Mask(1 << 4);
    pub const STRING: Mask = Mask(1 << 5);
    pub const BYTES: Mask = Mask(1 << 6);
    pub const LIST: Mask = Mask(1 << 7);
    pub const MAP: Mask = Mask(1 << 8);
    pub const TIMESTAMP: Mask = Mask(1 << 9);
    pub const DURATION: Mask = Mask(1 << 10);
    pub const TYPE: Mask = Mask(1 << 11);
    pub const ANY: Mask = Mask((1 << 12) - 1);
    pub const NUMBER: Mask = Mask::INT.or(Mask::UINT).or(Mask::DOUBLE);
    /// Everything that has one natural text.
    pub const SCALAR: Mask = Mask::BOOL
        .or(Mask::NUMBER)
        .or(Mask::STRING)
        .or(Mask::BYTES)
        .or(Mask::TIMESTAMP)
        .or(Mask::DURATION)
        .or(Mask::TYPE);

    pub const fn or(self, other: Mask) -> Mask {
        Mask(self.0 | other.0)
    }

    pub fn overlaps(self, other: Mask) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = [
            (Mask::NULL, "null"),
            (Mask::BOOL, "bool"),
            (Mask::INT, "int"),
            (Mask::UINT, "uint"),
            (Mask::DOUBLE, "double"),
            (Mask::STRING, "string"),
            (Mask::BYTES, "bytes"),
            (Mask::LIST, "list"),
            (Mask::MAP, "map"),
            (Mask::TIMESTAMP, "timestamp"),
            (Mask::DURATION, "duration"),
            (Mask::TYPE, "type"),
        ];
        let names: Vec<&str> =
            types.iter().filter(|(mask, _)| self.overlaps(*mask)).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}

impl Type {
    pub fn list(items: Type) -> Type {
        Type::List(Arc::new(items))
    }

    /// A map with any keys, whose values are all of one type.
    pub fn map_of(values: Type) -> Type {
        Type::Map(Arc::new(MapType { fields: BTreeMap::new(), rest: Some(values) }))
    }

    /// A map that has these fields, all of them, and no others.
    pub fn record(fields: impl IntoIterator<Item = (String, Type)>) -> Type {
        let required = |(name, ty)| (name, FieldType { ty, required: true });
        let fields = fields.into_iter().map(required).collect();
        Type::Map(Arc::new(MapType { fields, rest: None }))
    }

    /// Joins types; one that is already there adds nothing.
    pub fn union(types: impl IntoIterator<Item = Type>) -> Type {
        let mut members: Vec<Type> = Vec::new();
        let mut add = |ty: Type| match ty {
            Type::Any => false,
            ty if !members.contains(&ty) => {
                members.push(ty);
                true
            }
            _ => true,
        };
        for ty in types {
            let is_known = match ty {
                Type::Union(inner) => inner.iter().all(|it| add(it.clone())),
                ty => add(ty),
            };
            if !is_known {
                return Type::Any;
            }
        }
        match members.len() {
            0 => Type::Any,
            1 => members.remove(0),
            _ => Type::Union(members.into()),
        }
    }

    pub(super) fn mask(&self) -> Mask {
        match self {
            Type::Any => Mask::ANY,
            Type::Null => Mask::NULL,
            Type::Bool => Mask::BOOL,
            Type::Int => Mask::INT,
            Type::Uint => Mask::UINT,
            Type::Double => Mask::DOUBLE,
            Type::Number => Mask::NUMBER,
            Type::String => Mask::STRING,
            Type::Bytes => Mask::BYTES,
            Type::List(_) => Mask::LIST,
            Type::Map(_) => Mask::MAP,
            Type::Timestamp => Mask::TIMESTAMP,
            Type::Duration => Mask::DURATION,
            Type::Type => Mask::TYPE,
            Type::Union(members) => members.iter().fold(Mask(0), |mask, it| mask.or(it.mask())),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any"),
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::Number => f.write_str("number"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::List(items) => match &**items {
                Type::Any => f.write_str("list"),
                items => write!(f, "list of {items}"),
            },
            Type::Map(_) => f.write_str("map"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::Type => f.write_str("type"),
            Type::Union(members) => {
                let names: Vec<String> = members.iter().map(Type::to_string).collect();
                f.write_str(&names.join(" or "))
            }
        }
    }
}
