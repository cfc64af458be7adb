//! What the checker infers and what it refuses.

use std::collections::BTreeMap;

use serde_json::json;
use surefoot_core::expr::{Expr, Template, Type, TypeErrorKind};

fn scope() -> BTreeMap<String, Type> {
    let input = Type::from_json_schema(&json!({
        "type": "object",
        "required": ["total"],
        "additionalProperties": false,
        "properties": {
            "total": {"type": "number"},
            "name": {"type": "string"},
            "note": {"type": ["string", "null"]},
            "items": {"type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}
            }},
            "anything": {}
        }
    }));
    BTreeMap::from([
        ("input".to_owned(), input),
        ("vars".to_owned(), Type::Any),
        ("open".to_owned(), Type::map_of(Type::Bool)),
    ])
}

fn check(source: &str, expected: &str) {
    let (ty, errors) = Expr::parse(source).unwrap().check(&scope());
    assert!(errors.is_empty(), "{source}: {errors:?}");
    assert_eq!(ty.to_string(), expected, "{source}");
}

/// Each error: the part of the source, the message, the hint.
fn check_error(source: &str, part: &str, message: &str, hint: &str) {
    let (_, errors) = Expr::parse(source).unwrap().check(&scope());
    let [error] = &errors[..] else { panic!("{source}: {errors:?}") };
    let actual = (&source[error.span.clone()], error.message.as_str());
    assert_eq!(actual, (part, message), "{source}");
    assert_eq!(error.hint.as_deref().unwrap_or(""), hint, "{source}");
}

#[test]
fn types_are_inferred() {
    check("input.total", "number");
    check("input.total + 1", "number");
    check("input.total > 1000.0 && input.name == 'x'", "bool");
    check("input.items.map(it, it.sku)", "list of string");
    check("input.items.filter(it, it.n > 1)[0].sku", "string");
    check("input.items[0].n * 2.5", "double");
    check("vars.what.ever[0] + 1", "number");
    check("vars.x + vars.y", "string or bytes or list or timestamp or duration or number");
    check("open.x ? 1 : 'a'", "int or string");
    check("{'a': 1, 'b': [input.name]}.b", "list of string");
    check("timestamp(input.name) - duration('1h')", "timestamp");
    check("input.note", "string or null");
    check("input.note + 'x'", "string");
    check("'a'.size() + 1", "int");
    check("default(input.note, 1)", "string or null or int");
    check("default(input.nope, 1)", "any");
    check("type(1) == int", "bool");
    check("toJson(input)", "string");
    check("[1, 'a'].exists(x, x == 1)", "bool");
}

#[test]
fn what_cannot_succeed_is_refused() {
    check_error("inptu.total", "inptu", "there is no value named `inptu`", "");
    check_error("input.totl > 1", "totl", "there is no field `totl`", "Did you mean `total`?");
    check_error("input['nope']", "'nope'", "there is no field `nope`", "Did you mean `note`?");
    check_error(
        "input.items.map(it, it.skuu)",
        "skuu",
        "there is no field `skuu`",
        "Did you mean `sku`?",
    );
    check_error("input.total.x", "input.total", "only a map has fields, this is number", "");
    check_error("input.name + 1", "input.name + 1", "`+` does not take string and int", "");
    check_error("input.name > 1", "input.name > 1", "`>` does not take string and int", "");
    check_error("input.total && true", "input.total", "`&&` takes bools, this is number", "");
    check_error("!input.name", "input.name", "`!` takes a bool, this is string", "");
    check_error("input.name ? 1 : 2", "input.name", "a condition is a bool, this is string", "");
    check_error(
        "input.total.startsWith('x')",
        "input.total",
        "`startsWith` takes string here, this is number",
        "",
    );
    check_error("'a'.startsWith()", "startsWith", "`startsWith` takes 1 argument, here are 0", "");
    check_error(
        "'a'.startWith('b')",
        "startWith",
        "there is no function named `startWith`",
        "Did you mean `startsWith`?",
    );
    check_error(
        "sort([1])",
        "sort",
        "there is no function named `sort`",
        "It is written x.sort().",
    );
    check_error("now()", "now", "there is no function named `now`", "");
    check_error(
        "input.name.all(x, true)",
        "input.name",
        "`all` walks over a list or a map, this is string",
        "",
    );
    check_error("[1].all(x, x + 1)", "x + 1", "a condition is a bool, this is int", "");
    check_error("input.name.matches('(')", "'('", "not a regular expression: unclosed group", "");
    check_error(
        "duration('3 weeks')",
        "duration('3 weeks')",
        "`3 weeks` is not a duration such as 1h30m, 90s or 1.5s",
        "",
    );
    check_error("1 / 0", "1 / 0", "division by zero", "");
    check_error("1 in 2", "1 in 2", "`in` does not take int and int", "");
}

#[test]
fn unknown_fields_come_with_the_known_ones() {
    let (_, errors) = Expr::parse("input.items[0].price").unwrap().check(&scope());
    let known = vec!["n".to_owned(), "sku".to_owned()];
    assert_eq!(errors[0].kind, TypeErrorKind::UnknownField { field: "price".to_owned(), known });
}

#[test]
fn templates_have_types() {
    let template =
        json!({"a": "${{ input.total }}", "b": "x${{ input.nope }}", "c": [1, "${{ 'a' }}"]});
    let template = Template::parse(&template).unwrap();
    let (ty, errors) = template.check(&scope());
    let expected = [
        ("a".to_owned(), Type::Number),
        ("b".to_owned(), Type::String),
        ("c".to_owned(), Type::list(Type::union([Type::Number, Type::String]))),
    ];
    assert_eq!(ty, Type::record(expected));
    assert_eq!((errors.len(), errors[0].0.pointer.as_str()), (1, "/b"));
}
