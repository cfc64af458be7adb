//! Every limit holds, quickly, on a small stack, and no operator absorbs it.

use serde_json::json;
use surefoot_core::expr::{Budget, EvalErrorKind, Expr, Limit, ParseErrorKind, Template};
use surefoot_core::limits::{EXPRESSION_BRACKETS_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

use super::data;

/// The stack that threads of the engine have.
const STACK_BYTES: usize = 2 * 1024 * 1024;

fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test).unwrap().join().unwrap();
}

#[test]
fn nesting_is_limited_whatever_nests() {
    on_small_stack(|| {
        let shapes = [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{1: ", "1", "}"),
            ("!", "true", ""),
            ("-", "x", ""),
            ("true ? 1 : ", "1", ""),
            ("size(", "'a'", ")"),
            ("[0].map(x, ", "x", ")"),
            ("[0].all(x, ", "true", ")"),
            ("default(", "1", ", 2)"),
            ("true && (", "true", ")"),
            ("1 + (", "1", ")"),
            ("", "input", ".a"),
            ("", "[0]", "[0]"),
            ("", "1", " + 1"),
            ("", "'a'", ".trim()"),
            ("a[", "0", "]"),
        ];
        for (open, core, close) in shapes {
            let nested = |depth: usize| {
                let source = format!("{}{core}{}", open.repeat(depth), close.repeat(depth));
                Expr::parse(&source)
            };
            // What is accepted is also evaluated, checked and walked without trouble.
            let expr = nested(EXPRESSION_BRACKETS_MAX - 1).unwrap();
            let _ = expr.eval(&data(), &Budget::default());
            let _ = expr.check(&std::collections::BTreeMap::new());
            let _ = expr.references();
            for depth in [EXPRESSION_DEPTH_MAX + 1, 2_000] {
                let error = nested(depth).expect_err(open);
                assert_eq!(error.kind, ParseErrorKind::Limit, "{open}{close} {depth}: {error}");
            }
        }
    });
}

#[test]
fn the_deepest_expression_evaluates_on_a_small_stack() {
    on_small_stack(|| {
        for (open, core, close) in [
            ("[0].map(x, ", "x", ")"),
            ("[0].map(x, x == 0, ", "x", ")"),
            ("default(", "1", ", 2)"),
            ("[", "1", "]"),
            ("{1: ", "1", "}"),
            ("max(1, 2, ", "1", ")"),
            ("true ? ", "1", " : 2"),
        ] {
            let deepest = (1..=EXPRESSION_DEPTH_MAX)
                .rev()
                .find_map(|depth| {
                    let source = format!("{}{core}{}", open.repeat(depth), close.repeat(depth));
                    Expr::parse(&source).ok()
                })
                .unwrap();
            deepest.eval(&data(), &Budget::default()).unwrap();
            assert!(deepest.check(&std::collections::BTreeMap::new()).1.is_empty());
        }
    });
}

#[test]
fn ten_thousand_brackets_are_refused() {
    on_small_stack(|| {
        for source in ["(".repeat(10_000), "[".repeat(10_000), format!("{}1", "-".repeat(10_000))] {
            assert_eq!(Expr::parse(&source).unwrap_err().kind, ParseErrorKind::Limit);
        }
    });
}

#[test]
fn length_is_limited() {
    let source = |length: usize| format!("'{}'", "a".repeat(length - 2));
    assert!(Expr::parse(&source(EXPRESSION_BYTES_MAX)).is_ok());
    let error = Expr::parse(&source(EXPRESSION_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::Limit);
    assert_eq!(error.message, "the expression has 16385 bytes, more than the limit of 16384");
}

#[test]
fn long_chains_of_conditions_are_not_deep() {
    let chain = vec!["input.count == 3"; 800].join(" && ");
    assert_eq!(Expr::parse(&chain).unwrap().eval_bool(&data(), &Budget::default()), Ok(true));
}

fn check_exceeded(source: &str, which: Limit) {
    let mut data = data();
    data.insert("many".to_owned(), (0..800).collect());
    data.insert("long".to_owned(), json!("a".repeat(100_000)));
    // Smaller than the default, so that the test is quick without optimisation as well.
    let budget = Budget { steps: 100_000, bytes: 4 * 1024 * 1024 };
    let error = Expr::parse(source).unwrap().eval(&data, &budget).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::BudgetExceeded { which }, "{source}: {error}");
}

#[test]
fn work_and_memory_are_limited() {
    let doubled = format!("['a']{}.size()", ".map(x, x + x)".repeat(40));
    for (source, which) in [
        ("many.all(a, many.all(b, many.all(c, many.all(d, true))))", Limit::Steps),
        ("many.map(a, many.map(b, many.map(c, long + long)))", Limit::Bytes),
        ("many.exists(a, many.exists(b, long.contains('b')))", Limit::Steps),
        ("many.exists(a, long.matches('(a+)+$b'))", Limit::Steps),
        ("many.map(a, many)", Limit::Bytes),
        ("many.map(a, many.map(b, many))", Limit::Steps),
        ("many.map(a, long.replace('a', long))", Limit::Bytes),
        ("many.map(a, toJson(many))", Limit::Bytes),
        ("many.map(a, many.sort())", Limit::Steps),
        (&doubled, Limit::Bytes),
        // Nothing absorbs an exceeded budget.
        ("many.all(a, many.all(b, many.all(c, true))) || true", Limit::Steps),
        ("default(many.all(a, many.all(b, many.all(c, true))), 1)", Limit::Steps),
        ("many.exists(x, many.all(a, many.all(b, many.all(c, true))))", Limit::Steps),
    ] {
        check_exceeded(source, which);
    }
}

#[test]
fn regular_expressions_are_linear_and_bounded() {
    let mut data = data();
    data.insert("long".to_owned(), json!("a".repeat(100_000) + "!"));
    let eval = |source: &str| Expr::parse(source).unwrap().eval(&data, &Budget::default());
    assert_eq!(eval("long.matches('(a+)+$')"), Ok(json!(false)));
    for pattern in ["((a{100}){100}){100}".to_owned(), "a".repeat(2_000)] {
        let error = eval(&format!("long.matches('{pattern}')")).unwrap_err();
        assert_eq!(error.kind, EvalErrorKind::InvalidArgument, "{error}");
    }
}

#[test]
fn a_template_has_one_budget() {
    let one = json!("${{ [1, 2, 3].map(x, x) }}");
    let budget = Budget { steps: 20, ..Budget::default() };
    assert!(Template::parse(&one).unwrap().eval(&data(), &budget).is_ok());
    let error = Template::parse(&json!([one, one, one, one])).unwrap().eval(&data(), &budget);
    let error = error.unwrap_err();
    assert_eq!(error.error.kind, EvalErrorKind::BudgetExceeded { which: Limit::Steps });
}
