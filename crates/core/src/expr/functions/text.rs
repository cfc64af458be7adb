//! Functions on strings. Positions count characters, not bytes.

use std::ops::Range;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::super::ast::{Call, Literal, NodeKind};
use super::super::budget::Meter;
use super::super::error::{EvalError, EvalErrorKind, Fault};
use super::super::value::{List, Text, Value};
use super::{Called, Function, invalid};
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX};

pub(super) fn call<'e>(function: Function, arguments: &[Value<'e>], meter: &Meter) -> Called<'e> {
    if let (Function::Join, [Value::List(list), rest @ ..]) = (function, arguments) {
        return join(list, rest, meter);
    }
    let Some(Value::String(text)) = arguments.first() else {
        return Ok(None);
    };
    meter.scan(text.len())?;
    let value = match (function, &arguments[1..]) {
        (Function::Contains, [Value::String(part)]) => Value::Bool(text.contains(&**part)),
        (Function::StartsWith, [Value::String(part)]) => Value::Bool(text.starts_with(&**part)),
        (Function::EndsWith, [Value::String(part)]) => Value::Bool(text.ends_with(&**part)),
        (Function::LowerAscii, []) => Value::text(text.to_ascii_lowercase(), meter)?,
        (Function::UpperAscii, []) => Value::text(text.to_ascii_uppercase(), meter)?,
        (Function::Trim, []) => trim(text, meter)?,
        (Function::Split, [Value::String(separator)]) => split(text, separator, meter)?,
        (Function::Replace, [Value::String(from), Value::String(to)]) => {
            replace(text, from, to, meter)?
        }
        (Function::Substring, [start]) => return substring(text, start, None, meter),
        (Function::Substring, [start, end]) => return substring(text, start, Some(end), meter),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Returns a part of a string, borrowed if the string is.
fn part<'e>(text: &Text<'e>, range: Range<usize>, meter: &Meter) -> Result<Value<'e>, Fault> {
    match text {
        Text::Borrowed(text) => Ok(Value::String(Text::Borrowed(&text[range]))),
        Text::Shared(text) => Value::text(&text[range], meter),
    }
}

fn trim<'e>(text: &Text<'e>, meter: &Meter) -> Result<Value<'e>, Fault> {
    let start = text.len() - text.trim_start().len();
    part(text, start..start + text.trim().len(), meter)
}

/// Splits at a separator; an empty one splits between characters.
fn split<'e>(text: &Text<'e>, separator: &str, meter: &Meter) -> Result<Value<'e>, Fault> {
    let mut parts = Vec::new();
    let mut push = |range: Range<usize>| -> Result<(), Fault> {
        meter.produce(size_of::<Value<'_>>())?;
        parts.push(part(text, range, meter)?);
        Ok(())
    };
    if separator.is_empty() {
        for (at, char) in text.char_indices() {
            push(at..at + char.len_utf8())?;
        }
    } else {
        let mut start = 0;
        for (at, found) in text.match_indices(separator) {
            push(start..at)?;
            start = at + found.len();
        }
        push(start..text.len())?;
    }
    Ok(Value::List(List::Shared(parts.into())))
}

fn join<'e>(list: &List<'e>, rest: &[Value<'e>], meter: &Meter) -> Called<'e> {
    let separator = match rest {
        [] => "",
        [Value::String(separator)] => separator,
        _ => return Ok(None),
    };
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(text) = item else {
            let message = format!("`join` needs a list of strings, here is {}", item.type_name());
            return Err(invalid(message));
        };
        let before = if index == 0 { "" } else { separator };
        meter.step()?;
        meter.produce(before.len() + text.len())?;
        joined.push_str(before);
        joined.push_str(&text);
    }
    Ok(Some(Value::String(Text::Shared(Rc::from(joined)))))
}

fn replace<'e>(text: &str, from: &str, to: &str, meter: &Meter) -> Result<Value<'e>, Fault> {
    // Known before it is built: a long replacement must not be built to be refused.
    let count = text.matches(from).count();
    let length = text.len().saturating_add(count.saturating_mul(to.len()));
    meter.produce(length)?;
    Ok(Value::String(Text::Shared(Rc::from(text.replace(from, to)))))
}

fn substring<'e>(
    text: &Text<'e>,
    start: &Value<'e>,
    end: Option<&Value<'e>>,
    meter: &Meter,
) -> Called<'e> {
    let length = text.chars().count();
    let Some(start) = super::number::whole(start) else {
        return Ok(None);
    };
    let end = match end {
        None => length as i128,
        Some(end) => match super::number::whole(end) {
            Some(end) => end,
            None => return Ok(None),
        },
    };
    if start < 0 || start > end || end > length as i128 {
        let message = format!("a string of {length} characters has no range {start} to {end}");
        return Err(EvalError::fault(EvalErrorKind::IndexOutOfRange, message));
    }
    let (start, end) = (start as usize, end as usize);
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    part(text, byte(start)..byte(end), meter).map(Some)
}

/// Searches for a regular expression. Time is linear in the text, whatever the pattern.
pub(super) fn matches<'e>(call: &'e Call, arguments: &[Value<'e>], meter: &Meter) -> Called<'e> {
    let [Value::String(text), Value::String(pattern)] = arguments else {
        return Ok(None);
    };
    // A large pattern over a large text visits each of its states for each byte.
    meter.steps(text.len() / 4)?;
    if let Some(regex) = call.pattern.get() {
        return Ok(Some(Value::Bool(regex.is_match(text))));
    }
    meter.steps(COMPILE_STEPS)?;
    let regex = compile(pattern).map_err(invalid)?;
    let found = regex.is_match(text);
    if is_literal(call) {
        // Another thread may have been first; its pattern is the same.
        let _ = call.pattern.set(regex);
    }
    Ok(Some(Value::Bool(found)))
}

/// What compiling a pattern may cost, next to looking at a node.
const COMPILE_STEPS: usize = 20_000;

fn is_literal(call: &Call) -> bool {
    let pattern = call.arguments.get(1).map(|it| &it.kind);
    matches!(pattern, Some(NodeKind::Literal(Literal::String(_))))
}

/// Compiles a pattern, or says what is wrong with it.
pub(in super::super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let length = pattern.len();
        return Err(format!(
            "the regular expression has {length} bytes, more than the limit of {PATTERN_BYTES_MAX}"
        ));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(PATTERN_COMPILED_BYTES_MAX).dfa_size_limit(PATTERN_COMPILED_BYTES_MAX);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the regular expression is too large once its repetitions are spelled out".to_owned()
        }
        // The last line of the parser's drawing is its reason.
        error => {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            format!("not a regular expression: {}", reason.trim_start_matches("error: "))
        }
    })
}
