//! Random guards, as trees that can be written as expressions and handed to another tool as JSON.

use serde_json::{Value, json};

/// A generator of numbers (splitmix64): one seed, one sequence.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// What a leaf compares.
#[derive(Clone, Debug)]
pub enum Term {
    Path(&'static str),
    Default(&'static str, Value),
    Size(&'static str),
}

#[derive(Clone, Debug)]
pub enum Guard {
    Literal(bool),
    Compare(&'static str, Term, Value),
    Pair(&'static str, &'static str, &'static str),
    In(Term, Vec<Value>),
    Has(&'static str),
    StartsWith(&'static str, String),
    Bare(Term),
    Not(Box<Guard>),
    Logic(&'static str, Vec<Guard>),
    Conditional(Box<[Guard; 3]>),
    Same(&'static str, Box<[Guard; 2]>),
}

impl Term {
    fn source(&self) -> String {
        match self {
            Term::Path(path) => (*path).to_owned(),
            Term::Default(path, value) => format!("default({path}, {})", literal(value)),
            Term::Size(path) => format!("size({path})"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Term::Path(path) => json!({"path": path}),
            Term::Default(path, value) => json!({"path": path, "default": value}),
            Term::Size(path) => json!({"path": path, "size": true}),
        }
    }
}

/// Writes a value as an expression does: integers beyond `i64` are unsigned ones.
fn literal(value: &Value) -> String {
    match value.as_u64() {
        Some(large) if i64::try_from(large).is_err() => format!("{large}u"),
        _ => value.to_string(),
    }
}

impl Guard {
    /// Writes the guard as an expression.
    pub fn source(&self) -> String {
        match self {
            Guard::Literal(value) => value.to_string(),
            Guard::Compare(operator, term, value) => {
                format!("{} {operator} {}", term.source(), literal(value))
            }
            Guard::Pair(operator, left, right) => format!("{left} {operator} {right}"),
            Guard::In(term, values) => {
                let values: Vec<String> = values.iter().map(literal).collect();
                format!("{} in [{}]", term.source(), values.join(", "))
            }
            Guard::Has(path) => format!("has({path})"),
            Guard::StartsWith(path, prefix) => format!("{path}.startsWith({prefix:?})"),
            Guard::Bare(term) => term.source(),
            Guard::Not(operand) => format!("!({})", operand.source()),
            Guard::Logic(operator, operands) => {
                let operands: Vec<String> =
                    operands.iter().map(|it| format!("({})", it.source())).collect();
                operands.join(&format!(" {operator} "))
            }
            Guard::Conditional(it) => {
                let [condition, then, otherwise] = it.each_ref().map(Guard::source);
                format!("(({condition}) ? ({then}) : ({otherwise}))")
            }
            Guard::Same(operator, sides) => {
                let [left, right] = sides.each_ref().map(Guard::source);
                format!("({left}) {operator} ({right})")
            }
        }
    }

    /// Turns what may be another value into what is a bool or fails.
    fn bool(self) -> Guard {
        match self {
            Guard::Bare(_) | Guard::Conditional(_) => Guard::Not(Box::new(self)),
            other => other,
        }
    }

    /// Writes the guard for the solver.
    pub fn to_json(&self) -> Value {
        match self {
            Guard::Literal(value) => json!({"op": "literal", "value": value}),
            Guard::Compare(operator, term, value) => {
                json!({"op": "compare", "sign": operator, "term": term.to_json(), "value": value})
            }
            Guard::Pair(operator, left, right) => {
                json!({"op": "pair", "sign": operator, "left": left, "right": right})
            }
            Guard::In(term, values) => {
                json!({"op": "in", "term": term.to_json(), "values": values})
            }
            Guard::Has(path) => json!({"op": "has", "path": path}),
            Guard::StartsWith(path, prefix) => {
                json!({"op": "prefix", "path": path, "prefix": prefix})
            }
            Guard::Bare(term) => json!({"op": "bare", "term": term.to_json()}),
            Guard::Not(operand) => json!({"op": "not", "of": [operand.to_json()]}),
            Guard::Logic(operator, operands) => {
                json!({"op": operator, "of": operands.iter().map(Guard::to_json).collect::<Vec<_>>()})
            }
            Guard::Conditional(it) => {
                json!({"op": "if", "of": it.each_ref().map(Guard::to_json)})
            }
            Guard::Same(operator, sides) => {
                json!({"op": operator, "of": sides.each_ref().map(Guard::to_json)})
            }
        }
    }
}

/// What random guards are made of.
pub struct Vocabulary {
    pub paths: Vec<&'static str>,
    pub values: Vec<Value>,
    /// Also `size`, whose lengths are small numbers.
    pub sizes: bool,
    /// Also comparisons of two paths.
    pub pairs: bool,
    /// Only bools are compared as bools.
    pub strict: bool,
}

const SIGNS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl Vocabulary {
    pub fn guard(&self, dice: &mut Dice, depth: usize) -> Guard {
        if depth == 0 || dice.one_in(3) {
            return self.leaf(dice);
        }
        let [first, second, third] = [(); 3].map(|()| self.guard(dice, depth - 1));
        match dice.below(8) {
            0 => Guard::Not(Box::new(first)),
            1 => Guard::Conditional(Box::new([first, second, third])),
            2 => {
                let sides = [first, second].map(|it| if self.strict { it.bool() } else { it });
                Guard::Same(dice.pick(&SIGNS[..2]), Box::new(sides))
            }
            3 | 4 => Guard::Logic("||", vec![first, second]),
            5 => Guard::Logic("&&", vec![first, second, third]),
            _ => Guard::Logic("&&", vec![first, second]),
        }
    }

    fn leaf(&self, dice: &mut Dice) -> Guard {
        let path = dice.pick(&self.paths);
        let sign = dice.pick(&SIGNS);
        match dice.below(14) {
            0 => Guard::Has(path),
            1 => Guard::Bare(self.term(dice, path)),
            2 => {
                let values = (0..dice.below(4)).map(|_| dice.pick(&self.values)).collect();
                Guard::In(self.term(dice, path), values)
            }
            3 => Guard::StartsWith(path, dice.pick(&["a", "ab", ""]).to_owned()),
            4 | 5 if self.pairs => Guard::Pair(sign, path, dice.pick(&self.paths)),
            6 if self.sizes => {
                Guard::Compare(sign, Term::Size(path), dice.pick(&[0, 1, 2, 3]).into())
            }
            7 if dice.one_in(4) => Guard::Literal(dice.one_in(2)),
            _ => Guard::Compare(sign, self.term(dice, path), dice.pick(&self.values)),
        }
    }

    fn term(&self, dice: &mut Dice, path: &'static str) -> Term {
        if dice.one_in(5) { Term::Default(path, dice.pick(&self.values)) } else { Term::Path(path) }
    }
}
