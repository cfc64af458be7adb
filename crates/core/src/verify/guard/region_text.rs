//! What a region is, for people: `input.total > 1000`, `input.kind is "x"`.

use serde_json::Value as Json;

use super::candidate::{Candidate, Shape};
use super::number::Num;
use super::number_places::Place;
use super::path::Path;

/// Values that one text names.
const NAMED_MAX: usize = 4;

/// Describes what some values of a path stand for together.
pub(super) fn describe(path: &Path, candidates: &[&Candidate]) -> String {
    let (unexpected, expected): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|it| it.is_unexpected());
    let mut parts = describe_expected(path, &expected);
    match &unexpected[..] {
        [] => {}
        [only] => parts.push(one(path, only)),
        _ => parts.push(format!("{path} is of another type")),
    }
    let more = parts.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        parts.truncate(NAMED_MAX);
        parts.push(format!("{more} more"));
    }
    parts.join(" or ")
}

fn describe_expected(path: &Path, candidates: &[&Candidate]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut range: Option<Range> = None;
    for candidate in candidates {
        if let Shape::Number(place) = candidate.shape {
            if !range.as_mut().is_some_and(|it| it.extend(place)) {
                parts.extend(range.replace(Range::of(place)).map(|it| it.text(path)));
            }
        } else {
            parts.extend(range.take().map(|it| it.text(path)));
            parts.push(one(path, candidate));
        }
    }
    parts.extend(range.map(|it| it.text(path)));
    parts.dedup();
    parts
}

fn one(path: &Path, candidate: &Candidate) -> String {
    let Some(value) = &candidate.value else { return format!("{path} is missing") };
    match (&candidate.shape, value) {
        (Shape::Text { after, before }, _) => {
            let after = after.as_ref().map(|it| format!("after {it:?}"));
            let before = before.as_ref().map(|it| format!("before {it:?}"));
            let limits: Vec<String> = after.into_iter().chain(before).collect();
            format!("{path} is a text {}", limits.join(" and "))
        }
        (Shape::OtherText, _) => format!("{path} is another text"),
        (Shape::Length(length), _) => format!("{path} is a {} of {length}", kind(value)),
        (Shape::Kind, _) => format!("{path} is a {}", kind(value)),
        (Shape::Value | Shape::Number(_), _) => format!("{path} is {value}"),
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "text",
        Json::Array(_) => "list",
        Json::Object(_) => "map",
    }
}

/// Numbers in a row.
struct Range {
    low: Option<Num>,
    has_low: bool,
    high: Option<Num>,
    has_high: bool,
}

impl Range {
    fn of(place: Place) -> Range {
        match place {
            Place::At(at) => Range { low: Some(at), has_low: true, high: Some(at), has_high: true },
            Place::Between(low, high) => Range { low, has_low: false, high, has_high: false },
        }
    }

    /// Takes in a place that follows, if it does without a gap.
    fn extend(&mut self, place: Place) -> bool {
        match place {
            Place::At(at) if self.high == Some(at) => {
                self.has_high = true;
                true
            }
            Place::Between(low, high) if self.high == low && self.has_high && low.is_some() => {
                (self.high, self.has_high) = (high, false);
                true
            }
            // Another number of the same place.
            Place::Between(_, high) => !self.has_high && self.high == high,
            Place::At(_) => false,
        }
    }

    fn text(&self, path: &Path) -> String {
        let low = self.low.map(|it| (if self.has_low { ">=" } else { ">" }, it.text()));
        let high = self.high.map(|it| (if self.has_high { "<=" } else { "<" }, it.text()));
        match (low, high) {
            (Some((_, low)), Some((_, high))) if low == high => format!("{path} = {low}"),
            (Some((over, low)), Some((under, high))) => {
                format!("{path} {over} {low} and {under} {high}")
            }
            (Some((sign, bound)), None) | (None, Some((sign, bound))) => {
                format!("{path} {sign} {bound}")
            }
            (None, None) => format!("{path} is a number"),
        }
    }
}
