//! Where the names of an expression come from. A scope hands out what is asked for and no more, so
//! that `tasks.pay.output.id` touches one task of ten thousand and copies nothing.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::value::Value;

/// The variables of an evaluation.
pub trait Scope {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>>;
}

/// What a name or a field stands for.
pub enum Lookup<'a> {
    /// Data that outlives the evaluation; read in place.
    Value(&'a Json),
    /// Data made for this evaluation; meant for small values.
    Owned(Json),
    /// A value with fields of its own, resolved one by one. See [`Lookup::object`].
    Object(Rc<dyn Object<'a> + 'a>),
    /// A value that JSON has no type for, such as a timestamp.
    Typed(Value<'a>),
}

impl<'a> Lookup<'a> {
    /// Wraps a view, which is usually a few references in a struct.
    pub fn object(view: impl Object<'a> + 'a) -> Lookup<'a> {
        Lookup::Object(Rc::new(view))
    }
}

/// A value whose fields are looked up when they are used. What it hands out may outlive it, so a
/// view can make further views on the way down.
pub trait Object<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>>;
    /// Builds the whole value, for expressions that print it, compare it or walk over it.
    fn to_json(&self) -> Json;
}

impl Scope for serde_json::Map<String, Json> {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>> {
        self.get(name).map(Lookup::Value)
    }
}

impl Scope for BTreeMap<String, Json> {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>> {
        self.get(name).map(Lookup::Value)
    }
}
