//! Conversions between types, JSON text, Base64 and hashes.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::super::budget::Meter;
use super::super::error::{EvalError, EvalErrorKind, Fault};
use super::super::json;
use super::super::value::{Text, Value};
use super::{Called, Function, invalid};
use crate::limits::DEPTH_MAX;

pub(super) fn call<'e>(function: Function, value: &Value<'e>, meter: &Meter) -> Called<'e> {
    match function {
        Function::Type => Ok(Some(Value::Type(value.type_name()))),
        Function::Dyn => Ok(Some(value.clone())),
        Function::Bool => to_bool(value),
        Function::Int => to_int(value),
        Function::Uint => to_uint(value),
        Function::Double => to_double(value),
        Function::String => to_text(value, meter),
        Function::Bytes => to_bytes(value, meter),
        Function::Json => match value {
            Value::String(text) => from_json_text(text, meter).map(Some),
            _ => Ok(None),
        },
        Function::ToJson => {
            let text = json::from_value(value, meter)?.to_string();
            Value::text(text, meter).map(Some)
        }
        Function::Base64Encode => match value {
            Value::String(text) => Value::text(STANDARD.encode(text.as_bytes()), meter).map(Some),
            Value::Bytes(bytes) => Value::text(STANDARD.encode(bytes), meter).map(Some),
            _ => Ok(None),
        },
        Function::Base64Decode => match value {
            Value::String(text) => from_base64(text, meter).map(Some),
            _ => Ok(None),
        },
        Function::Hash => {
            // Keys of an object are sorted, so equal values have equal text.
            let text = json::from_value(value, meter)?.to_string();
            meter.scan(text.len())?;
            Value::text(blake3::hash(text.as_bytes()).to_hex().as_str(), meter).map(Some)
        }
        _ => Ok(None),
    }
}

fn to_bool<'e>(value: &Value<'e>) -> Called<'e> {
    Ok(match value {
        Value::Bool(value) => Some(Value::Bool(*value)),
        Value::String(text) => Some(match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
            other => return Err(invalid(format!("`{}` is not a bool", excerpt(other)))),
        }),
        _ => None,
    })
}

fn to_int<'e>(value: &Value<'e>) -> Called<'e> {
    let int = match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        // The largest doubles below 2^63 do not reach the largest int: it is out of range.
        Value::Double(value) => {
            let bound = 9_223_372_036_854_775_808.0;
            (*value > -bound && *value < bound).then_some(*value as i64)
        }
        Value::String(text) => {
            let parsed = text.parse();
            Some(parsed.map_err(|_| invalid(format!("`{}` is not an int", excerpt(text))))?)
        }
        Value::Timestamp(at) => Some(at.as_second()),
        Value::Duration(length) => Some(length.as_secs()),
        _ => return Ok(None),
    };
    int.map(|it| Some(Value::Int(it))).ok_or_else(|| out_of_range(value, "int"))
}

fn to_uint<'e>(value: &Value<'e>) -> Called<'e> {
    let uint = match value {
        Value::Uint(value) => Some(*value),
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Double(value) => {
            let fits = *value > -1.0 && *value < 18_446_744_073_709_551_616.0;
            fits.then_some(*value as u64)
        }
        Value::String(text) => {
            let parsed = text.parse();
            Some(parsed.map_err(|_| invalid(format!("`{}` is not a uint", excerpt(text))))?)
        }
        _ => return Ok(None),
    };
    uint.map(|it| Some(Value::Uint(it))).ok_or_else(|| out_of_range(value, "uint"))
}

fn to_double<'e>(value: &Value<'e>) -> Called<'e> {
    Ok(Some(Value::Double(match value {
        Value::Double(value) => *value,
        Value::Int(value) => *value as f64,
        Value::Uint(value) => *value as f64,
        Value::String(text) => {
            text.parse().map_err(|_| invalid(format!("`{}` is not a double", excerpt(text))))?
        }
        _ => return Ok(None),
    })))
}

fn to_text<'e>(value: &Value<'e>, meter: &Meter) -> Called<'e> {
    if let Value::Bytes(bytes) = value {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| invalid("the bytes are not UTF-8 text"))?;
        return Value::text(text, meter).map(Some);
    }
    match plain_text(value) {
        Some(Text::Shared(text)) => Value::text(text, meter).map(Some),
        Some(text) => Ok(Some(Value::String(text))),
        None => Ok(None),
    }
}

/// Returns the text of a value that has one and only one natural text.
pub(in super::super) fn plain_text<'e>(value: &Value<'e>) -> Option<Text<'e>> {
    let text: String = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => double_text(*value),
        Value::Timestamp(at) => at.to_string(),
        Value::Duration(length) => json::seconds(*length),
        Value::Type(name) => name.as_str().to_owned(),
        _ => return None,
    };
    Some(Text::Shared(Rc::from(text)))
}

/// Writes a double in the shortest form that reads back as itself.
fn double_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && magnitude.is_finite() && !(1e-5..1e21).contains(&magnitude) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

fn to_bytes<'e>(value: &Value<'e>, meter: &Meter) -> Called<'e> {
    Ok(match value {
        Value::Bytes(bytes) => Some(Value::Bytes(bytes.clone())),
        Value::String(text) => {
            meter.produce(text.len())?;
            Some(Value::Bytes(text.as_bytes().into()))
        }
        _ => None,
    })
}

fn from_base64<'e>(text: &str, meter: &Meter) -> Result<Value<'e>, Fault> {
    meter.produce(text.len())?;
    let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
    let bytes = bytes.map_err(|error| invalid(format!("the text is not Base64: {error}")))?;
    Ok(Value::Bytes(bytes.into()))
}

fn from_json_text<'e>(text: &str, meter: &Meter) -> Result<Value<'e>, Fault> {
    meter.steps(text.len())?;
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| invalid(format!("the text is not JSON: {error}")))?;
    if depth(&json) > DEPTH_MAX {
        return Err(invalid(format!("the JSON is nested deeper than {DEPTH_MAX} levels")));
    }
    Value::owned(json, meter)
}

fn depth(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn out_of_range(value: &Value<'_>, name: &str) -> Fault {
    EvalError::fault(EvalErrorKind::Overflow, format!("{value:?} is out of the range of {name}"))
}

/// Returns as much of a text as an error message should quote.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
