//! The same expressions through the `cel` crate: both give the same value, or both fail.
//!
//! Generated are well-typed expressions over ints, bools, strings and lists, with operands that
//! overflow, divide by zero or are out of bounds now and then. What Surefoot adds to CEL is left
//! out.

use std::collections::BTreeMap;

use cel::{Context, Program, Value as Theirs};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use surefoot_core::expr::value::Value as Ours;
use surefoot_core::expr::{Budget, Expr, Meter};

fn variables() -> BTreeMap<String, Json> {
    let values = json!({"n": 7, "s": "Grüße", "b": true, "xs": [3, 1, 2], "ss": ["a", "bc"]});
    values.as_object().unwrap().clone().into_iter().collect()
}

fn their_context() -> Context<'static, 'static> {
    let mut context = Context::default();
    context.add_variable_from_value("n", 7_i64);
    context.add_variable_from_value("s", "Grüße");
    context.add_variable_from_value("b", true);
    context.add_variable_from_value("xs", vec![3_i64, 1, 2]);
    context.add_variable_from_value("ss", vec!["a", "bc"]);
    context
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Int,
    Bool,
    Text,
    Ints,
}

/// Builds an expression of a kind from a list of choices, so that proptest can shrink it.
fn build(kind: Kind, choices: &mut impl Iterator<Item = u8>, depth: usize) -> String {
    let choice = choices.next().unwrap_or(0);
    let mut sub = |kind| build(kind, choices, depth + 1);
    if depth > 5 || choice < 60 {
        let atoms: &[&str] = match kind {
            Kind::Int => &["1", "0", "n", "-3", "9223372036854775807", "size(s)", "xs[0]"],
            Kind::Bool => &["true", "false", "b", "(n > 3)"],
            Kind::Text => &["'a'", "''", "s", "'ü'", "ss[1]"],
            Kind::Ints => &["[]", "xs", "[1, 2]"],
        };
        return atoms[choice as usize % atoms.len()].to_owned();
    }
    match (kind, choice % 8) {
        (Kind::Int, operator @ 0..=4) => {
            let operator = ["+", "-", "*", "/", "%"][operator as usize];
            format!("({} {operator} {})", sub(Kind::Int), sub(Kind::Int))
        }
        (Kind::Int, 5) => format!("size({})", sub(Kind::Ints)),
        (Kind::Int, 6) => format!("{}[{}]", sub(Kind::Ints), sub(Kind::Int)),
        (Kind::Int, _) => {
            format!("({} ? {} : {})", sub(Kind::Bool), sub(Kind::Int), sub(Kind::Int))
        }
        (Kind::Bool, 0) => format!("({} && {})", sub(Kind::Bool), sub(Kind::Bool)),
        (Kind::Bool, 1) => format!("({} || {})", sub(Kind::Bool), sub(Kind::Bool)),
        (Kind::Bool, 2) => format!("!{}", sub(Kind::Bool)),
        (Kind::Bool, 3) => format!("({} < {})", sub(Kind::Int), sub(Kind::Int)),
        (Kind::Bool, 4) => format!("({} == {})", sub(Kind::Text), sub(Kind::Text)),
        (Kind::Bool, 5) => format!("({} in {})", sub(Kind::Int), sub(Kind::Ints)),
        (Kind::Bool, 6) => format!("{}.startsWith({})", sub(Kind::Text), sub(Kind::Text)),
        (Kind::Bool, _) => {
            format!("{}.exists(x, x > {} && {})", sub(Kind::Ints), sub(Kind::Int), sub(Kind::Bool))
        }
        (Kind::Text, 0..=3) => format!("({} + {})", sub(Kind::Text), sub(Kind::Text)),
        (Kind::Text, 4..=5) => format!("string({})", sub(Kind::Int)),
        (Kind::Text, _) => {
            format!("({} ? {} : {})", sub(Kind::Bool), sub(Kind::Text), sub(Kind::Text))
        }
        (Kind::Ints, 0..=1) => format!("({} + {})", sub(Kind::Ints), sub(Kind::Ints)),
        (Kind::Ints, 2..=3) => format!("{}.map(x, x + {})", sub(Kind::Ints), sub(Kind::Int)),
        (Kind::Ints, 4..=5) => format!("{}.filter(x, x > {})", sub(Kind::Ints), sub(Kind::Int)),
        (Kind::Ints, _) => format!("[{}, {}]", sub(Kind::Int), sub(Kind::Int)),
    }
}

fn same(ours: &Ours<'_>, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (Ours::Int(ours), Theirs::Int(theirs)) => ours == theirs,
        (Ours::Bool(ours), Theirs::Bool(theirs)) => ours == theirs,
        (Ours::String(ours), Theirs::String(theirs)) => **ours == ***theirs,
        (Ours::List(ours), Theirs::List(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs.iter()).all(|(ours, theirs)| same(&ours, theirs))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_and_failures_agree(
        kind in prop::sample::select(vec![Kind::Int, Kind::Bool, Kind::Text, Kind::Ints]),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let source = build(kind, &mut choices.into_iter(), 0);
        let expr = Expr::parse(&source).unwrap();
        let (scope, meter) = (variables(), Meter::new(&Budget::default()));
        let ours = expr.evaluate(&scope, &meter);
        let theirs = Program::compile(&source).unwrap().execute(&their_context());
        let agree = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => same(ours, theirs),
            (Err(_), Err(_)) => true,
            _ => false,
        };
        prop_assert!(agree, "{source}: ours {ours:?}, theirs {theirs:?}");
    }
}
