//! Equality and order. Equality is total, across types as well; order is not.

use std::cmp::Ordering;

use super::budget::Meter;
use super::error::Fault;
use super::value::{List, Map, Value};

/// Tells whether two values are equal. Numbers are equal across their types, values of different
/// types are not, and no comparison is an error but one that exceeds its budget.
pub(super) fn equal(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<bool, Fault> {
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::String(left), Value::String(right)) => {
            meter.scan(left.len().min(right.len()))?;
            **left == **right
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.scan(left.len().min(right.len()))?;
            left == right
        }
        (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Type(left), Value::Type(right)) => left == right,
        (Value::List(left), Value::List(right)) => lists_equal(left, right, meter)?,
        (Value::Map(left), Value::Map(right)) => maps_equal(left, right, meter)?,
        (Value::Object(_), Value::Map(_) | Value::Object(_))
        | (Value::Map(_), Value::Object(_)) => {
            let left = left.clone().materialize(meter)?;
            equal(&left, &right.clone().materialize(meter)?, meter)?
        }
        _ => compare_numbers(left, right) == Some(Ordering::Equal),
    })
}

fn lists_equal(left: &List<'_>, right: &List<'_>, meter: &Meter) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right.iter()) {
        meter.step()?;
        if !equal(&left, &right, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(left: &Map<'_>, right: &Map<'_>, meter: &Meter) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (key, left) in left.entries() {
        meter.step()?;
        match right.get(&key) {
            Some(right) if equal(&left, &right, meter)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Returns the order of two values of one ordered type, or of two numbers; None for all others.
/// Not a number is neither less nor greater than anything: see `is_ordered`.
pub(super) fn compare(
    left: &Value<'_>,
    right: &Value<'_>,
    meter: &Meter,
) -> Result<Option<Ordering>, Fault> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => {
            meter.scan(left.len().min(right.len()))?;
            Some((**left).cmp(&**right))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.scan(left.len().min(right.len()))?;
            Some(left.cmp(right))
        }
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => compare_numbers(left, right),
    })
}

/// Tells whether `<` is defined on these types, whatever the values.
pub(super) fn is_ordered(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Bool(_), Value::Bool(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bytes(_), Value::Bytes(_))
        | (Value::Timestamp(_), Value::Timestamp(_))
        | (Value::Duration(_), Value::Duration(_)) => true,
        _ => as_double(left).is_some() && as_double(right).is_some(),
    }
}

fn compare_numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&(*right).into())),
        (Value::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&(*right).into())),
        // As in the reference implementation, a double compares with the nearest double.
        _ => as_double(left)?.partial_cmp(&as_double(right)?),
    }
}

pub(super) fn as_double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}
