//! Numbers as the regions need them: in the order of their exact values, and compared as
//! expressions compare them.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

/// From here on, neighbouring integers can be one double: comparing an integer with a double
/// rounds, so the two must be told apart.
pub(super) const ROUNDING: i128 = 1 << 53;

/// A finite number of JSON. Ordered by exact value; where these are equal, by representation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Num {
    /// A number that fits `i64` or `u64`, or a whole double of less than 2^53, which no comparison
    /// tells from the integer.
    Int(i128),
    Double(f64),
}

impl Num {
    pub fn of_double(value: f64) -> Option<Num> {
        let is_small = value.fract() == 0.0 && value.abs() < ROUNDING as f64;
        match value {
            _ if !value.is_finite() => None,
            _ if is_small => Some(Num::Int(value as i128)),
            _ => Some(Num::Double(value)),
        }
    }

    /// Returns an integer if JSON has it exactly.
    pub fn of_int(value: i128) -> Option<Num> {
        (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(Num::Int(value))
    }

    pub fn of_json(number: &Number) -> Option<Num> {
        match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Some(Num::Int(value.into())),
            (_, Some(value)) => Some(Num::Int(value.into())),
            _ => number.as_f64().and_then(Num::of_double),
        }
    }

    pub fn to_json(self) -> Json {
        match self {
            Num::Int(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => Json::from(value),
                (_, Ok(value)) => Json::from(value),
                _ => Json::from(value as f64),
            },
            Num::Double(value) => Json::from(value),
        }
    }

    pub fn as_double(self) -> f64 {
        match self {
            Num::Int(value) => value as f64,
            Num::Double(value) => value,
        }
    }

    pub fn is_whole(self) -> bool {
        match self {
            Num::Int(_) => true,
            Num::Double(value) => value.fract() == 0.0,
        }
    }

    /// Tells whether no comparison rounds this number.
    pub fn is_small(self) -> bool {
        self.as_double().abs() < ROUNDING as f64
    }

    /// Compares as an expression does: with a double, as doubles.
    pub fn compare(self, other: Num) -> Ordering {
        match (self, other) {
            (Num::Int(left), Num::Int(right)) => left.cmp(&right),
            _ => self.as_double().partial_cmp(&other.as_double()).unwrap_or(Ordering::Equal),
        }
    }

    /// The exact value of what a double cannot tell from its neighbours.
    fn exact(self) -> i128 {
        match self {
            Num::Int(value) => value,
            Num::Double(value) => value as i128,
        }
    }

    fn is_double(self) -> bool {
        matches!(self, Num::Double(_))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Num) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Num {}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Num) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Num {
    fn cmp(&self, other: &Num) -> Ordering {
        (self.as_double().total_cmp(&other.as_double()))
            .then_with(|| self.exact().cmp(&other.exact()))
            .then_with(|| self.is_double().cmp(&other.is_double()))
    }
}
