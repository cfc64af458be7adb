//! Functions on numbers.

use std::cmp::Ordering;

use super::super::arithmetic::overflow;
use super::super::budget::Meter;
use super::super::compare;
use super::super::error::{EvalError, EvalErrorKind};
use super::super::value::{Key, List, Value};
use super::{Called, Function, invalid};

pub(super) fn call<'e>(function: Function, arguments: &[Value<'e>], meter: &Meter) -> Called<'e> {
    match function {
        Function::Min => extreme(arguments, Ordering::Less, meter),
        Function::Max => extreme(arguments, Ordering::Greater, meter),
        Function::Abs => match &arguments[0] {
            Value::Int(value) => {
                value.checked_abs().map(|it| Some(Value::Int(it))).ok_or_else(overflow)
            }
            other => Ok(on_double(other, f64::abs)),
        },
        // Halves go away from zero, as people round.
        Function::Round => Ok(on_double(&arguments[0], f64::round)),
        Function::Floor => Ok(on_double(&arguments[0], f64::floor)),
        Function::Ceil => Ok(on_double(&arguments[0], f64::ceil)),
        _ => Ok(None),
    }
}

/// Applies `change` to a double; integers are as round and positive as can be.
fn on_double<'e>(value: &Value<'e>, change: fn(f64) -> f64) -> Option<Value<'e>> {
    match value {
        Value::Double(value) => Some(Value::Double(change(*value))),
        Value::Int(_) | Value::Uint(_) => Some(value.clone()),
        _ => None,
    }
}

/// Returns the least or the greatest of the arguments, or of the items of the only one.
fn extreme<'e>(arguments: &[Value<'e>], wanted: Ordering, meter: &Meter) -> Called<'e> {
    let items = match arguments {
        [Value::List(list)] => list.clone(),
        _ => List::Shared(arguments.into()),
    };
    let mut best: Option<Value<'e>> = None;
    for item in items.iter() {
        meter.step()?;
        let Some(current) = &best else {
            best = Some(item);
            continue;
        };
        match compare::compare(&item, current, meter)? {
            Some(order) if order == wanted => best = Some(item),
            Some(_) => {}
            None => {
                let (left, right) = (current.type_name(), item.type_name());
                return Err(invalid(format!("{left} and {right} have no order")));
            }
        }
    }
    let empty = || {
        EvalError::fault(EvalErrorKind::IndexOutOfRange, "the list is empty, so nothing is chosen")
    };
    best.map(Some).ok_or_else(empty)
}

/// Returns a whole number of any numeric type.
pub(super) fn whole(value: &Value<'_>) -> Option<i128> {
    match (value, Key::of(value)?) {
        (Value::Int(_) | Value::Uint(_) | Value::Double(_), Key::Int(value)) => Some(value.into()),
        (Value::Int(_) | Value::Uint(_) | Value::Double(_), Key::Uint(value)) => Some(value.into()),
        _ => None,
    }
}
