//! JSON with expressions inside.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use surefoot_core::expr::{Budget, EvalErrorKind, Template, TemplateError};

use super::data;

fn check(template: Json, expected: Json) {
    let parsed = Template::parse(&template).unwrap();
    assert_eq!(parsed.eval(&data(), &Budget::default()), Ok(expected), "{template}");
}

#[test]
fn a_string_that_is_one_expression_keeps_its_type() {
    check(json!("${{ input.count }}"), json!(3));
    check(json!("${{input.order.tags}}"), json!(["new", "b2b"]));
    check(json!("${{ {'a': {'b': 1}} }}"), json!({"a": {"b": 1}}));
    check(json!("${{{'a': {'b': 1}}}}"), json!({"a": {"b": 1}}));
    check(json!("${{ '}}' }}"), json!("}}"));
    check(json!("${{ null }}"), Json::Null);
}

#[test]
fn text_around_makes_text() {
    check(json!("n=${{ input.count }}"), json!("n=3"));
    check(json!("${{ input.count }}${{ input.rate }}"), json!("30.5"));
    check(json!(" ${{ input.count }}"), json!(" 3"));
    check(json!("<${{ input.none }}>"), json!("<>"));
    check(json!("<${{ input.order.tags }}>"), json!("<[\"new\",\"b2b\"]>"));
    check(json!("<${{ duration('90s') }} ${{ true }} ${{ b'hi' }}>"), json!("<90s true aGk=>"));
    check(json!("Order ${{ input.order.id }} in ${{ 'Köln' }}!"), json!("Order A-7 in Köln!"));
}

#[test]
fn the_escape_writes_the_opening() {
    check(json!("$${{ input.count }}"), json!("${{ input.count }}"));
    check(json!("$${{ x }} ${{ 1 }}"), json!("${{ x }} 1"));
    check(json!("costs $5 }} {{ ${ }"), json!("costs $5 }} {{ ${ }"));
}

#[test]
fn all_strings_of_a_value_are_templates_but_names_are_not() {
    check(
        json!({"a": ["${{ index }}", 1, {"b": "${{ input.rate }}"}], "c": null}),
        json!({"a": [1, 1, {"b": 0.5}], "c": null}),
    );
    let errors = Template::parse(&json!({"${{ x }}": 1})).unwrap_err();
    assert_eq!(errors[0].to_string(), "the name of a field is never a template");
}

#[test]
fn literals_are_shared() {
    let literal = Template::parse(&json!({"a": ["b", 1]})).unwrap();
    assert!(literal.is_literal());
    let eval = || literal.eval_shared(&data(), &Budget::default()).unwrap();
    assert!(Arc::ptr_eq(&eval(), &eval()));
    let raw = Template::literal(json!("${{ nope"));
    assert_eq!(raw.eval(&data(), &Budget::default()), Ok(json!("${{ nope")));
    assert!(!Template::parse(&json!(["${{ 1 }}"])).unwrap().is_literal());
}

fn check_error(template: Json, pointer: &str, part: &str, message: &str) {
    let errors = Template::parse(&template).expect_err(&template.to_string());
    let TemplateError { pointer: actual, span, error } = &errors[0];
    let string = template.pointer(pointer).unwrap().as_str().unwrap();
    let actual = (actual.as_str(), &string[span.clone()], error.message.as_str());
    assert_eq!(actual, (pointer, part, message), "{template}");
}

#[test]
fn errors_say_in_which_string_and_where() {
    check_error(json!("ü ${{ a. }}"), "", ".", "expected a field name after this");
    check_error(json!({"a/b": ["x", "${{ 1 +"]}), "/a~1b/1", "${{ 1 +", "this `${{` has no `}}`");
    check_error(json!("${{ 'a }}"), "", "'a ", "this text has no closing quote");
    check_error(json!("${{ }}"), "", " ", "the expression is empty");
    check_error(json!("${{}}"), "", "${{}}", "the expression is empty");
    check_error(json!("${{ a } b }}"), "", "${{ a } b }}", "this `${{` has no `}}`");
    let errors = Template::parse(&json!(["${{ a. }}", "${{ b. }} and ${{ c. }}"])).unwrap_err();
    assert_eq!(errors.len(), 3, "all of them are reported");
}

#[test]
fn evaluation_errors_say_in_which_string_and_where() {
    let string = "total: ${{ 1 / 0 }}";
    let template = Template::parse(&json!({"body": {"x": string}})).unwrap();
    let error = template.eval(&data(), &Budget::default()).unwrap_err();
    assert_eq!(error.pointer, "/body/x");
    assert_eq!(&string[error.error.span.clone()], "1 / 0");
    assert_eq!(error.error.kind, EvalErrorKind::DivisionByZero);
}

#[test]
fn expressions_know_their_place() {
    let string = "a ${{ x.y }} b ${{ z }}";
    let template = Template::parse(&json!([0, string])).unwrap();
    let places: Vec<_> = template
        .expressions()
        .map(|it| (it.pointer.as_str(), &string[it.span_in_string(&it.expr.ast().span)]))
        .collect();
    assert_eq!(places, [("/1", "x.y"), ("/1", "z")]);
    let roots: Vec<_> = template.references().into_iter().map(|(_, it)| it.root).collect();
    assert_eq!(roots, ["x", "z"]);
}
