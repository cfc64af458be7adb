//! Functions on lists and maps.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::arithmetic;
use super::super::ast::Binary;
use super::super::budget::Meter;
use super::super::compare;
use super::super::error::{EvalError, EvalErrorKind, Fault};
use super::super::value::{List, Map, Value};
use super::{Called, Function, invalid};

pub(super) fn call<'e>(function: Function, arguments: &[Value<'e>], meter: &Meter) -> Called<'e> {
    match (function, arguments) {
        (Function::Size, [value]) => size(value, meter),
        (Function::IndexOf, [value, item]) => index_of(value, item, meter),
        (Function::Merge, [Value::Map(left), Value::Map(right)]) => {
            meter.steps(left.len() + right.len())?;
            Value::map(left.entries().chain(right.entries()).collect(), meter).map(Some)
        }
        (Function::Keys, [Value::Map(map)]) => {
            Value::list(map.keys().into_iter().map(Value::from).collect(), meter).map(Some)
        }
        (Function::Values, [Value::Map(map)]) => {
            Value::list(map.entries().map(|(_, value)| value).collect(), meter).map(Some)
        }
        (_, [Value::List(list)]) => on_list(function, list, meter),
        _ => Ok(None),
    }
}

fn on_list<'e>(function: Function, list: &List<'e>, meter: &Meter) -> Called<'e> {
    meter.steps(list.len())?;
    let value = match function {
        Function::Sum => sum(list, meter),
        Function::Sort => sort(list, meter),
        Function::Distinct => distinct(list, meter),
        Function::Flatten => flatten(list, meter),
        Function::First => list.get(0).ok_or_else(empty),
        Function::Last => list.get(list.len().wrapping_sub(1)).ok_or_else(empty),
        _ => return Ok(None),
    };
    value.map(Some)
}

fn empty() -> Fault {
    EvalError::fault(EvalErrorKind::IndexOutOfRange, "the list is empty")
}

fn size<'e>(value: &Value<'e>, meter: &Meter) -> Called<'e> {
    let size = match value {
        Value::String(text) => {
            meter.scan(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return Ok(None),
    };
    Ok(Some(Value::Int(size as i64)))
}

/// Returns where an item or a part of a text is, or -1.
fn index_of<'e>(value: &Value<'e>, item: &Value<'e>, meter: &Meter) -> Called<'e> {
    let found = match (value, item) {
        (Value::String(text), Value::String(part)) => {
            meter.scan(text.len())?;
            text.find(&**part).map(|at| text[..at].chars().count())
        }
        (Value::List(list), item) => {
            let mut found = None;
            for (index, candidate) in list.iter().enumerate() {
                meter.step()?;
                if compare::equal(&candidate, item, meter)? {
                    found = Some(index);
                    break;
                }
            }
            found
        }
        _ => return Ok(None),
    };
    Ok(Some(Value::Int(found.map_or(-1, |it| it as i64))))
}

fn sum<'e>(list: &List<'e>, meter: &Meter) -> Result<Value<'e>, Fault> {
    let mut items = list.iter();
    let Some(first) = items.next() else {
        return Ok(Value::Int(0));
    };
    if !matches!(first, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
        return Err(invalid(format!(
            "`sum` needs a list of numbers, here is {}",
            first.type_name()
        )));
    }
    items.try_fold(first, |total, item| arithmetic::apply(Binary::Add, total, item, meter))
}

fn sort<'e>(list: &List<'e>, meter: &Meter) -> Result<Value<'e>, Fault> {
    let mut items: Vec<Value<'e>> = list.iter().collect();
    let mut fault = None;
    // After the first fault the order no longer matters, only the end of the sort.
    items.sort_by(|left, right| {
        if fault.is_some() {
            return Ordering::Equal;
        }
        order(left, right, meter).unwrap_or_else(|it| {
            fault = Some(it);
            Ordering::Equal
        })
    });
    match fault {
        Some(fault) => Err(fault),
        None => Value::list(items, meter),
    }
}

fn order(left: &Value<'_>, right: &Value<'_>, meter: &Meter) -> Result<Ordering, Fault> {
    meter.step()?;
    compare::compare(left, right, meter)?.ok_or_else(|| {
        let (left, right) = (left.type_name(), right.type_name());
        invalid(format!("{left} and {right} have no order"))
    })
}

/// Keeps the first of equal items, in their order.
fn distinct<'e>(list: &List<'e>, meter: &Meter) -> Result<Value<'e>, Fault> {
    let mut kept: Vec<Value<'e>> = Vec::new();
    let mut by_hash: HashMap<u64, Vec<usize>> = HashMap::new();
    for item in list.iter() {
        let mut hasher = DefaultHasher::new();
        fingerprint(&item, &mut hasher, meter)?;
        let same_hash = by_hash.entry(hasher.finish()).or_default();
        let mut is_new = true;
        for index in same_hash.iter() {
            meter.step()?;
            is_new &= !compare::equal(&kept[*index], &item, meter)?;
        }
        if is_new {
            meter.produce(size_of::<Value<'_>>())?;
            same_hash.push(kept.len());
            kept.push(item);
        }
    }
    Ok(Value::List(List::Shared(kept.into())))
}

/// Hashes a value so that equal values have equal hashes.
fn fingerprint(value: &Value<'_>, hasher: &mut DefaultHasher, meter: &Meter) -> Result<(), Fault> {
    meter.step()?;
    if let Some(number) = compare::as_double(value) {
        // Zero has two signs and one value.
        (number + 0.0).to_bits().hash(hasher);
        return Ok(());
    }
    match value {
        Value::Bool(value) => value.hash(hasher),
        Value::String(text) => {
            meter.scan(text.len())?;
            text.hash(hasher);
        }
        Value::Bytes(bytes) => {
            meter.scan(bytes.len())?;
            bytes.hash(hasher);
        }
        Value::List(list) => list.iter().try_for_each(|it| fingerprint(&it, hasher, meter))?,
        Value::Map(map) => return fingerprint_map(map, hasher, meter),
        Value::Timestamp(at) => at.hash(hasher),
        Value::Duration(length) => length.hash(hasher),
        // Few and cheap to compare: one bucket is enough.
        _ => value.type_name().as_str().hash(hasher),
    }
    Ok(())
}

fn fingerprint_map(map: &Map<'_>, hasher: &mut DefaultHasher, meter: &Meter) -> Result<(), Fault> {
    for (key, value) in map.entries() {
        fingerprint(&Value::from(key), hasher, meter)?;
        fingerprint(&value, hasher, meter)?;
    }
    Ok(())
}

/// Replaces items that are lists by their items, one level deep.
fn flatten<'e>(list: &List<'e>, meter: &Meter) -> Result<Value<'e>, Fault> {
    let mut flat = Vec::new();
    for item in list.iter() {
        match item {
            Value::List(inner) => {
                meter.steps(inner.len())?;
                meter.produce(inner.len() * size_of::<Value<'_>>())?;
                flat.extend(inner.iter());
            }
            other => {
                meter.produce(size_of::<Value<'_>>())?;
                flat.push(other);
            }
        }
    }
    Ok(Value::List(List::Shared(flat.into())))
}
