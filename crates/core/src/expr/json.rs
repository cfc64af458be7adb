//! Values to JSON: the way out of an evaluation, and `toJson` inside one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::SignedDuration;
use serde_json::Value as Json;

use super::budget::Meter;
use super::error::{EvalError, EvalErrorKind, Fault};
use super::value::Value;

/// What a JSON value takes in memory besides its text.
const NODE_BYTES: usize = size_of::<Json>();

/// Converts a value. Bytes become Base64, timestamps RFC 3339, durations seconds such as `3.5s`,
/// types their names.
pub(super) fn from_value(value: &Value<'_>, meter: &Meter) -> Result<Json, Fault> {
    meter.produce(NODE_BYTES)?;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Double(value) => from_double(*value)?,
        Value::String(text) => from_text(text, meter)?,
        Value::Bytes(bytes) => from_text(&BASE64.encode(bytes), meter)?,
        Value::List(list) => {
            let items = list.iter().map(|it| from_value(&it, meter));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let mut fields = serde_json::Map::new();
            for (key, value) in map.entries() {
                let key = key.to_string();
                meter.produce(key.len())?;
                fields.insert(key, from_value(&value, meter)?);
            }
            Json::Object(fields)
        }
        Value::Object(object) => {
            let json = object.to_json();
            charge(&json, meter)?;
            json
        }
        Value::Timestamp(at) => from_text(&at.to_string(), meter)?,
        Value::Duration(length) => from_text(&seconds(*length), meter)?,
        Value::Type(name) => from_text(name.as_str(), meter)?,
    })
}

/// Charges for JSON that an object built.
fn charge(json: &Json, meter: &Meter) -> Result<(), Fault> {
    meter.produce(NODE_BYTES)?;
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        Json::String(text) => meter.produce(text.len()),
        Json::Array(items) => items.iter().try_for_each(|it| charge(it, meter)),
        Json::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            meter.produce(name.len())?;
            charge(value, meter)
        }),
    }
}

fn from_text(text: &str, meter: &Meter) -> Result<Json, Fault> {
    meter.produce(text.len())?;
    Ok(Json::String(text.to_owned()))
}

fn from_double(value: f64) -> Result<Json, Fault> {
    serde_json::Number::from_f64(value).map(Json::Number).ok_or_else(|| {
        let message = format!("{value} is not a number that JSON can hold");
        EvalError::fault(EvalErrorKind::NoJsonForm, message)
    })
}

/// Writes a duration as CEL does: `3.5s`, `-0.001s`.
pub(super) fn seconds(length: SignedDuration) -> String {
    let sign = if length.is_negative() { "-" } else { "" };
    let (whole, nanos) = (length.as_secs().unsigned_abs(), length.subsec_nanos().unsigned_abs());
    let text = format!("{sign}{whole}.{nanos:09}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}
