//! Values inside events. A large one is taken out of its record and kept once, under its hash.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;

/// Values whose JSON is at least this long are kept apart from the record.
pub const KEPT_APART_BYTES_MIN: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Payload {
    #[serde(rename = "v")]
    Inline(Arc<Value>),
    /// Only between the store and the fold; a loaded record has none left.
    #[serde(rename = "kept")]
    Kept(Digest),
}

impl Payload {
    pub fn new(value: Value) -> Payload {
        Payload::Inline(Arc::new(value))
    }

    pub fn null() -> Payload {
        Payload::new(Value::Null)
    }

    /// Returns the value.
    ///
    /// # Panics
    /// If the payload was not fetched: a record is resolved before it is folded.
    pub fn value(&self) -> &Arc<Value> {
        match self {
            Payload::Inline(value) => value,
            Payload::Kept(digest) => panic!("payload {digest} was not fetched before the fold"),
        }
    }

    /// Replaces a large value by its hash and returns what is to be kept, as
    /// text and as it was.
    pub(super) fn take_large(&mut self) -> Option<(Digest, Vec<u8>, Arc<Value>)> {
        let Payload::Inline(value) = self else { return None };
        if size(value, KEPT_APART_BYTES_MIN) < KEPT_APART_BYTES_MIN {
            return None;
        }
        let bytes = serde_json::to_vec(value).expect("a JSON value has a text");
        let digest = Digest::of(&bytes);
        let value = value.clone();
        *self = Payload::Kept(digest);
        Some((digest, bytes, value))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Payload {
        Payload::new(value)
    }
}

/// Returns about how many bytes the JSON text of a value has, counting no further than `enough`.
pub fn size(value: &Value, enough: usize) -> usize {
    fn add(value: &Value, total: &mut usize, enough: usize) {
        *total += match value {
            Value::Null | Value::Bool(_) => 5,
            Value::Number(_) => 8,
            Value::String(text) => text.len() + 3,
            Value::Array(_) | Value::Object(_) => 2,
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    if *total >= enough {
                        return;
                    }
                    *total += 1;
                    add(item, total, enough);
                }
            }
            Value::Object(entries) => {
                for (key, item) in entries {
                    if *total >= enough {
                        return;
                    }
                    *total += key.len() + 4;
                    add(item, total, enough);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut total = 0;
    add(value, &mut total, enough);
    total
}
