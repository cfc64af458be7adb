//! What a variable can be: a few known values, whole numbers within bounds, or anything. Always at
//! least what it really can be.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::expr::ast::Binary;

/// Values that are told apart; more become a range, or anything.
const KNOWN_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Known(Vec<Json>),
    /// Whole numbers from `min` to `max`, both included; without a bound where there is none.
    Whole {
        min: Option<i64>,
        max: Option<i64>,
    },
    Any,
}

/// What a condition can come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub is_true: bool,
    pub is_false: bool,
    pub fails: bool,
}

impl Truth {
    pub const ANY: Truth = Truth { is_true: true, is_false: true, fails: true };

    pub fn of(value: bool) -> Truth {
        Truth { is_true: value, is_false: !value, fails: false }
    }

    pub fn failure() -> Truth {
        Truth { fails: true, ..Truth::default() }
    }

    pub fn may_be(self, outcome: bool) -> bool {
        if outcome { self.is_true } else { self.is_false }
    }

    pub fn or(self, other: Truth) -> Truth {
        Truth {
            is_true: self.is_true || other.is_true,
            is_false: self.is_false || other.is_false,
            fails: self.fails || other.fails,
        }
    }

    pub fn negated(self) -> Truth {
        Truth { is_true: self.is_false, is_false: self.is_true, ..self }
    }
}

impl Values {
    pub fn one(value: Json) -> Values {
        Values::Known(vec![value])
    }

    /// What is in one or the other.
    pub fn join(&self, other: &Values) -> Values {
        if let (Values::Known(one), Values::Known(more)) = (self, other) {
            let mut all = one.clone();
            all.extend(more.iter().filter(|it| !one.contains(it)).cloned());
            if all.len() <= KNOWN_MAX {
                return Values::Known(all);
            }
        }
        match (self.bounds(), other.bounds()) {
            (Some((low, high)), Some((other_low, other_high))) => Values::Whole {
                min: low.zip(other_low).map(|(a, b)| a.min(b)),
                max: high.zip(other_high).map(|(a, b)| a.max(b)),
            },
            _ => Values::Any,
        }
    }

    /// As `self` grows to `grown`, lets a bound that moved go on to the next landmark, so that
    /// growing comes to an end.
    pub fn widened(&self, grown: Values, landmarks: &BTreeSet<i64>) -> Values {
        let (Values::Whole { min, max }, Values::Whole { min: low, max: high }) = (self, &grown)
        else {
            return grown;
        };
        let below = |it: i64| landmarks.range(..=it).next_back().copied();
        let above = |it: i64| landmarks.range(it..).next().copied();
        Values::Whole {
            min: if min == low { *low } else { low.and_then(below) },
            max: if max == high { *high } else { high.and_then(above) },
        }
    }

    /// The smallest and the largest, if all are whole numbers.
    pub fn bounds(&self) -> Option<(Option<i64>, Option<i64>)> {
        match self {
            Values::Known(all) => {
                let numbers: Vec<i64> = all.iter().map(Json::as_i64).collect::<Option<_>>()?;
                Some((numbers.iter().min().copied(), numbers.iter().max().copied()))
            }
            Values::Whole { min, max } => Some((*min, *max)),
            Values::Any => None,
        }
    }

    /// All of them moved by `step`.
    pub fn shifted(&self, step: i64) -> Option<Values> {
        let (min, max) = self.bounds()?;
        // A number that would overflow fails the expression instead.
        let moved = |it: Option<i64>| it.map(|it| it.saturating_add(step));
        Some(Values::Whole { min: moved(min), max: moved(max) })
    }

    /// Keeps the whole numbers from `min` to `max`; nothing if there are none.
    pub fn within(&self, min: Option<i64>, max: Option<i64>) -> Option<Values> {
        let inside = |it: i64| min.is_none_or(|min| min <= it) && max.is_none_or(|max| it <= max);
        match self {
            Values::Known(all) => {
                let kept = all.iter().filter(|it| it.as_i64().is_none_or(inside));
                let kept: Vec<Json> = kept.cloned().collect();
                (!kept.is_empty()).then_some(Values::Known(kept))
            }
            Values::Whole { min: low, max: high } => {
                let low = (*low).max(min);
                let high = high.map_or(max, |it| Some(max.map_or(it, |max| it.min(max))));
                let is_empty = low.zip(high).is_some_and(|(low, high)| low > high);
                (!is_empty).then_some(Values::Whole { min: low, max: high })
            }
            Values::Any => Some(Values::Any),
        }
    }

    /// What comparing any of these with any of those can come to.
    pub fn compare(&self, operator: Binary, other: &Values) -> Truth {
        if let (Values::Known(left), Values::Known(right)) = (self, other) {
            let pairs = left.iter().flat_map(|left| right.iter().map(move |right| (left, right)));
            return pairs
                .map(|(left, right)| compare(operator, left, right))
                .fold(Truth::default(), Truth::or);
        }
        match (self.bounds(), other.bounds()) {
            (Some(left), Some(right)) => compare_ranges(operator, left, right),
            _ => Truth::ANY,
        }
    }
}

/// Only what needs no rule of its own: everything else may come to anything.
fn compare(operator: Binary, left: &Json, right: &Json) -> Truth {
    let order = match (left, right) {
        (Json::Number(_), Json::Number(_)) => {
            left.as_i64().zip(right.as_i64()).map(|it| it.0.cmp(&it.1))
        }
        (Json::String(left), Json::String(right)) => Some(left.cmp(right)),
        (Json::Bool(left), Json::Bool(right)) => Some(left.cmp(right)),
        (Json::Null, Json::Null) if matches!(operator, Binary::Equal | Binary::NotEqual) => {
            return Truth::of(operator == Binary::Equal);
        }
        _ => None,
    };
    let Some(order) = order else { return Truth::ANY };
    match operator {
        Binary::Equal => Truth::of(order.is_eq()),
        Binary::NotEqual => Truth::of(order.is_ne()),
        Binary::Less => Truth::of(order.is_lt()),
        Binary::LessOrEqual => Truth::of(order.is_le()),
        Binary::Greater => Truth::of(order.is_gt()),
        Binary::GreaterOrEqual => Truth::of(order.is_ge()),
        Binary::Add
        | Binary::Subtract
        | Binary::Multiply
        | Binary::Divide
        | Binary::Remainder
        | Binary::In => Truth::ANY,
    }
}

type Bounds = (Option<i64>, Option<i64>);

fn compare_ranges(operator: Binary, left: Bounds, right: Bounds) -> Truth {
    /// Whether some number of the first is less than some of the second.
    fn some_less(left: Bounds, right: Bounds, or_equal: bool) -> bool {
        left.0.zip(right.1).is_none_or(|(low, high)| low < high || or_equal && low == high)
    }
    let less = |or_equal| Truth {
        is_true: some_less(left, right, or_equal),
        is_false: some_less(right, left, !or_equal),
        fails: false,
    };
    let equal = Truth {
        is_true: some_less(left, right, true) && some_less(right, left, true),
        is_false: left != right || left.0.is_none() || left.0 != left.1,
        fails: false,
    };
    match operator {
        Binary::Less => less(false),
        Binary::LessOrEqual => less(true),
        Binary::Greater => less(true).negated(),
        Binary::GreaterOrEqual => less(false).negated(),
        Binary::Equal => equal,
        Binary::NotEqual => equal.negated(),
        Binary::Add
        | Binary::Subtract
        | Binary::Multiply
        | Binary::Divide
        | Binary::Remainder
        | Binary::In => Truth::ANY,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole(min: i64, max: i64) -> Values {
        Values::Whole { min: Some(min), max: Some(max) }
    }

    #[test]
    fn comparing_ranges_agrees_with_comparing_their_numbers() {
        let operators = [
            Binary::Less,
            Binary::LessOrEqual,
            Binary::Greater,
            Binary::GreaterOrEqual,
            Binary::Equal,
            Binary::NotEqual,
        ];
        let ranges = (-2..3).flat_map(|low| (low..3).map(move |high| (low, high)));
        let ranges: Vec<(i64, i64)> = ranges.collect();
        for (left, right) in ranges.iter().flat_map(|it| ranges.iter().map(move |to| (*it, *to))) {
            let known = |it: (i64, i64)| Values::Known((it.0..=it.1).map(|it| json!(it)).collect());
            for operator in operators {
                let expected = known(left).compare(operator, &known(right));
                let found = whole(left.0, left.1).compare(operator, &whole(right.0, right.1));
                assert_eq!(found, expected, "{left:?} {} {right:?}", operator.symbol());
            }
        }
    }

    #[test]
    fn a_bound_that_moves_goes_on_to_a_landmark() {
        let landmarks = BTreeSet::from([0, 10, 100]);
        let grown = whole(0, 4).widened(whole(0, 5), &landmarks);
        assert_eq!(grown, whole(0, 10));
        let grown = grown.widened(whole(0, 101), &landmarks);
        assert_eq!(grown, Values::Whole { min: Some(0), max: None });
    }

    #[test]
    fn many_known_values_become_a_range_or_anything() {
        let numbers = (0..40).map(|it| Values::one(json!(it)));
        let joined = numbers.reduce(|one, other| one.join(&other));
        assert_eq!(joined, Some(whole(0, 39)));
        let texts = (0..40).map(|it| Values::one(json!(it.to_string())));
        assert_eq!(texts.reduce(|one, other| one.join(&other)), Some(Values::Any));
    }
}
