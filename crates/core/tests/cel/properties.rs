//! What holds for every source: nothing panics, budgets hold, and the checker is never wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use surefoot_core::expr::{Budget, Expr, Template, Type};

use super::data;

/// Pieces of the language, so that random text is often nearly an expression.
fn source() -> impl Strategy<Value = String> {
    let pieces = vec![
        "input",
        "index",
        "x",
        ".order",
        ".items",
        ".n",
        "[0]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "?",
        "1",
        "0",
        "2.5",
        "3u",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        " in ",
        "'a'",
        "b'x'",
        "''",
        "r'\\d'",
        "true",
        "null",
        ".size()",
        ".map(x,",
        ".all(x,",
        ".exists(",
        "has(",
        "default(",
        "int(",
        "timestamp(",
        ".matches(",
        ".",
        "`a b`",
        "ü",
        "\\",
        "'",
        "}}",
        "${{",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..20).prop_map(|it| it.concat())
}

/// Expressions without parts whose value may not be needed, typed at random.
fn strict_expression() -> impl Strategy<Value = String> {
    let atoms = vec![
        "1",
        "-2",
        "0",
        "3u",
        "2.5",
        "'ab'",
        "''",
        "b'x'",
        "true",
        "null",
        "[]",
        "[1, 'a']",
        "{'a': 1}",
        "input.count",
        "input.rate",
        "input.text",
        "input.items",
        "input.none",
        "input.order",
        "input.order.paid",
        "input.nope",
        "index",
        "nope",
        "duration('1h')",
        "timestamp(0)",
        "int",
    ];
    let operators = vec!["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in"];
    let functions = vec![
        "size",
        "trim",
        "lowerAscii",
        "sum",
        "sort",
        "distinct",
        "flatten",
        "first",
        "last",
        "keys",
        "values",
        "getHours",
        "getFullYear",
        "nope",
    ];
    let plain = vec![
        "type",
        "dyn",
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "timestamp",
        "duration",
        "json",
        "toJson",
        "base64encode",
        "base64decode",
        "hash",
        "min",
        "abs",
        "round",
        "-",
        "!",
    ];
    let methods =
        vec!["contains", "split", "join", "indexOf", "merge", "matches", "substring", "startsWith"];
    let atom = prop::sample::select(atoms).prop_map(str::to_owned);
    atom.prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(operators.clone()), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (inner.clone(), prop::sample::select(functions.clone()))
                .prop_map(|(target, name)| format!("({target}).{name}()")),
            (inner.clone(), prop::sample::select(plain.clone()))
                .prop_map(|(argument, name)| format!("{name}({argument})")),
            (inner.clone(), prop::sample::select(methods.clone()), inner.clone())
                .prop_map(|(target, name, argument)| format!("({target}).{name}({argument})")),
            (inner.clone(), inner.clone()).prop_map(|(list, index)| format!("({list})[{index}]")),
            inner.clone().prop_map(|operand| format!("({operand}).a")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("[{left}, {right}]")),
        ]
    })
}

fn types() -> BTreeMap<String, Type> {
    data().iter().map(|(name, value)| (name.clone(), Type::of_json(value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check_total(&text);
    }

    #[test]
    fn nearly_expressions_are_read_or_refused(text in source()) {
        check_total(&text);
    }

    /// The checker reports only what fails, and infers only types that the value has.
    #[test]
    fn the_checker_is_never_wrong(text in strict_expression()) {
        let expr = Expr::parse(&text).unwrap();
        let (ty, errors) = expr.check(&types());
        let result = expr.eval(&data(), &Budget::default());
        if let Ok(value) = &result {
            prop_assert!(errors.is_empty(), "{text} is {value}, but: {errors:?}");
            prop_assert!(fits(value, &ty), "{text} is {value}, not {ty}");
        }
    }
}

/// Reads, evaluates, checks and walks: whatever happens, it ends without a panic, and every span
/// lies inside the source.
fn check_total(text: &str) {
    let budget = Budget { steps: 10_000, bytes: 100_000 };
    match Expr::parse(text) {
        Ok(expr) => {
            if let Err(error) = expr.eval(&data(), &budget) {
                assert!(text.get(error.span.clone()).is_some_and(|it| !it.is_empty()), "{text:?}");
            }
            for error in expr.check(&types()).1 {
                assert!(text.get(error.span).is_some(), "{text:?}");
            }
            for reference in expr.references() {
                assert!(text.get(reference.span).is_some(), "{text:?}");
            }
        }
        Err(error) => assert!(text.get(error.span.clone()).is_some(), "{text:?}: {error:?}"),
    }
    for string in [text.to_owned(), format!("a${{{{{text}}}}}b")] {
        match Template::parse(&json!(string)) {
            Ok(template) => drop(template.eval(&data(), &budget)),
            Err(errors) => {
                assert!(
                    errors.iter().all(|it| string.get(it.span.clone()).is_some()),
                    "{string:?}"
                );
            }
        }
    }
}

/// Tells whether a JSON value is one of a type, as far as JSON can tell.
fn fits(value: &serde_json::Value, ty: &Type) -> bool {
    match ty {
        Type::Any => true,
        Type::Null => value.is_null(),
        Type::Bool => value.is_boolean(),
        Type::Int => value.is_i64(),
        Type::Uint => value.is_u64(),
        Type::Double => value.is_f64(),
        Type::Number => value.is_number(),
        // These become text on the way out.
        Type::String | Type::Bytes | Type::Timestamp | Type::Duration | Type::Type => {
            value.is_string()
        }
        Type::List(items) => value.as_array().is_some_and(|it| it.iter().all(|it| fits(it, items))),
        Type::Map(map) => value.as_object().is_some_and(|fields| {
            fields.iter().all(|(name, value)| match (map.fields.get(name), &map.rest) {
                (Some(field), _) => fits(value, &field.ty),
                (None, Some(rest)) => fits(value, rest),
                (None, None) => false,
            })
        }),
        Type::Union(members) => members.iter().any(|it| fits(value, it)),
    }
}
