//! What the binary operators take and give, for the checker. `arithmetic.rs` and `compare.rs` do
//! the work.

use super::ast::Binary;
use super::types::{Mask, Type};

/// Returns the type of `left operator right`, or None if it fails for all values of these types.
pub(super) fn result(operator: Binary, left: &Type, right: &Type) -> Option<Type> {
    let (left_mask, right_mask) = (left.mask(), right.mask());
    match operator {
        Binary::Equal | Binary::NotEqual => Some(Type::Bool),
        Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => ORDERED
            .iter()
            .any(|kind| left_mask.overlaps(*kind) && right_mask.overlaps(*kind))
            .then_some(Type::Bool),
        Binary::In => right_mask.overlaps(Mask::LIST.or(Mask::MAP)).then_some(Type::Bool),
        Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
            let fits = |it: &&Rule| {
                it.operators.contains(&operator)
                    && left_mask.overlaps(it.left)
                    && right_mask.overlaps(it.right)
            };
            let results: Vec<Type> =
                RULES.iter().filter(fits).map(|it| it.result(left, right)).collect();
            (!results.is_empty()).then(|| simplify(results))
        }
    }
}

/// Kinds of values that have an order among themselves.
const ORDERED: [Mask; 6] =
    [Mask::NUMBER, Mask::BOOL, Mask::STRING, Mask::BYTES, Mask::TIMESTAMP, Mask::DURATION];

struct Rule {
    operators: &'static [Binary],
    left: Mask,
    right: Mask,
    gives: Type,
}

impl Rule {
    fn result(&self, left: &Type, right: &Type) -> Type {
        match (left, right) {
            (Type::List(left), Type::List(right)) => {
                Type::list(Type::union([Type::clone(left), Type::clone(right)]))
            }
            _ if self.left == Mask::LIST => Type::list(Type::Any),
            _ => self.gives.clone(),
        }
    }
}

const fn rule(operators: &'static [Binary], left: Mask, right: Mask, gives: Type) -> Rule {
    Rule { operators, left, right, gives }
}

const ADD: &[Binary] = &[Binary::Add];
const SUBTRACT: &[Binary] = &[Binary::Subtract];
const BOTH: &[Binary] = &[Binary::Add, Binary::Subtract];
const FOUR: &[Binary] = &[Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide];
const FIVE: &[Binary] =
    &[Binary::Add, Binary::Subtract, Binary::Multiply, Binary::Divide, Binary::Remainder];

static RULES: [Rule; 11] = [
    rule(FIVE, Mask::INT, Mask::INT, Type::Int),
    rule(FIVE, Mask::UINT, Mask::UINT, Type::Uint),
    rule(FOUR, Mask::DOUBLE, Mask::NUMBER, Type::Double),
    rule(FOUR, Mask::NUMBER, Mask::DOUBLE, Type::Double),
    rule(ADD, Mask::STRING, Mask::STRING, Type::String),
    rule(ADD, Mask::BYTES, Mask::BYTES, Type::Bytes),
    rule(ADD, Mask::LIST, Mask::LIST, Type::Any),
    rule(BOTH, Mask::TIMESTAMP, Mask::DURATION, Type::Timestamp),
    rule(ADD, Mask::DURATION, Mask::TIMESTAMP, Type::Timestamp),
    rule(SUBTRACT, Mask::TIMESTAMP, Mask::TIMESTAMP, Type::Duration),
    rule(BOTH, Mask::DURATION, Mask::DURATION, Type::Duration),
];

/// Writes int or uint or double as number.
fn simplify(mut results: Vec<Type>) -> Type {
    let numbers = [Type::Int, Type::Uint, Type::Double];
    if numbers.iter().filter(|it| results.contains(it)).count() > 1 {
        results.retain(|it| !numbers.contains(it));
        results.push(Type::Number);
    }
    Type::union(results)
}
