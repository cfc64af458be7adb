//! `+ - * / %` and the sign. Integers never wrap, and a number from data may be int or double:
//! JSON does not say which, so the two mix and the result is a double.

use jiff::{SignedDuration, Timestamp};

use super::ast::Binary;
use super::budget::Meter;
use super::compare::as_double;
use super::error::{EvalError, EvalErrorKind, Fault};
use super::value::Value;

type Outcome<'a> = Result<Value<'a>, Fault>;

pub(super) fn apply<'a>(
    operator: Binary,
    left: Value<'a>,
    right: Value<'a>,
    meter: &Meter,
) -> Outcome<'a> {
    match (&left, &right) {
        (Value::Int(left), Value::Int(right)) => ints(operator, *left, *right),
        (Value::Uint(left), Value::Uint(right)) => uints(operator, *left, *right),
        (Value::Double(_), _) | (_, Value::Double(_)) if operator != Binary::Remainder => {
            match (as_double(&left), as_double(&right)) {
                (Some(left), Some(right)) => Ok(Value::Double(doubles(operator, left, right))),
                _ => Err(no_overload(operator, &left, &right)),
            }
        }
        _ => match operator {
            Binary::Add => add(&left, &right, meter),
            Binary::Subtract => subtract(&left, &right),
            _ => Err(no_overload(operator, &left, &right)),
        },
    }
}

pub(super) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => {
            let message = format!("`-` does not take {}", other.type_name());
            Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message))
        }
    }
}

fn ints<'a>(operator: Binary, left: i64, right: i64) -> Outcome<'a> {
    if right == 0 && matches!(operator, Binary::Divide | Binary::Remainder) {
        return Err(division_by_zero());
    }
    let value = match operator {
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    value.map(Value::Int).ok_or_else(overflow)
}

fn uints<'a>(operator: Binary, left: u64, right: u64) -> Outcome<'a> {
    if right == 0 && matches!(operator, Binary::Divide | Binary::Remainder) {
        return Err(division_by_zero());
    }
    let value = match operator {
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    value.map(Value::Uint).ok_or_else(overflow)
}

fn doubles(operator: Binary, left: f64, right: f64) -> f64 {
    match operator {
        Binary::Add => left + right,
        Binary::Subtract => left - right,
        Binary::Multiply => left * right,
        _ => left / right,
    }
}

fn add<'a>(left: &Value<'a>, right: &Value<'a>, meter: &Meter) -> Outcome<'a> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => {
            meter.scan(left.len() + right.len())?;
            meter.produce(left.len() + right.len())?;
            let mut text = String::with_capacity(left.len() + right.len());
            text.push_str(left);
            text.push_str(right);
            Ok(Value::String(super::value::Text::Shared(text.into())))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.produce(left.len() + right.len())?;
            Ok(Value::Bytes([&left[..], &right[..]].concat().into()))
        }
        (Value::List(left), Value::List(right)) => {
            meter.steps(left.len() + right.len())?;
            Value::list(left.iter().chain(right.iter()).collect(), meter)
        }
        (Value::Timestamp(at), Value::Duration(length))
        | (Value::Duration(length), Value::Timestamp(at)) => timestamp(at.checked_add(*length)),
        (Value::Duration(left), Value::Duration(right)) => duration(left.checked_add(*right)),
        _ => Err(no_overload(Binary::Add, left, right)),
    }
}

fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Timestamp(at), Value::Duration(length)) => timestamp(at.checked_sub(*length)),
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            duration(Some(left.duration_since(*right)))
        }
        (Value::Duration(left), Value::Duration(right)) => duration(left.checked_sub(*right)),
        _ => Err(no_overload(Binary::Subtract, left, right)),
    }
}

/// CEL's instants begin with the year 1.
const TIMESTAMP_NANOS_MIN: i128 = -62_135_596_800_000_000_000;
/// CEL's durations span ten thousand years.
const DURATION_SECONDS_MAX: u64 = 315_576_000_000;

pub(super) fn timestamp<'a>(at: Result<Timestamp, jiff::Error>) -> Outcome<'a> {
    match at {
        // In nanoseconds: whole seconds are cut towards zero.
        Ok(at) if at.as_nanosecond() >= TIMESTAMP_NANOS_MIN => Ok(Value::Timestamp(at)),
        _ => Err(EvalError::fault(
            EvalErrorKind::Overflow,
            "the timestamp is out of range: the years are 1 to 9999",
        )),
    }
}

pub(super) fn duration<'a>(length: Option<SignedDuration>) -> Outcome<'a> {
    match length {
        Some(length) if length.as_secs().unsigned_abs() <= DURATION_SECONDS_MAX => {
            Ok(Value::Duration(length))
        }
        _ => Err(EvalError::fault(
            EvalErrorKind::Overflow,
            "the duration is out of range: at most 10,000 years",
        )),
    }
}

pub(super) fn overflow() -> Fault {
    EvalError::fault(EvalErrorKind::Overflow, "the result does not fit a 64-bit integer")
}

fn division_by_zero() -> Fault {
    EvalError::fault(EvalErrorKind::DivisionByZero, "division by zero")
}

pub(super) fn no_overload(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> Fault {
    let (left, right) = (left.type_name(), right.type_name());
    let message = format!("`{}` does not take {left} and {right}", operator.symbol());
    EvalError::fault(EvalErrorKind::NoSuchOverload, message)
}
