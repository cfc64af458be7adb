//! Which paths an expression reads, and which of them may be absent.

use surefoot_core::expr::Expr;

/// Paths are written with dots, and with a question mark if they are guarded.
fn check(source: &str, expected: &[&str]) {
    let references = Expr::parse(source).unwrap().references();
    let paths: Vec<String> = references
        .iter()
        .map(|it| {
            let path = [std::slice::from_ref(&it.root), &it.segments[..]].concat().join(".");
            path + if it.guarded { "?" } else { "" }
        })
        .collect();
    assert_eq!(paths, expected, "{source}");
}

#[test]
fn paths_go_as_far_as_they_are_known() {
    check("tasks.pay.output.json.id", &["tasks.pay.output.json.id"]);
    check("tasks['pay'].output", &["tasks.pay.output"]);
    check("input.items[index].price", &["input.items", "index"]);
    check("input.items.size() > vars.least", &["input.items", "vars.least"]);
    check("f(a.b, [c.d], {'k': e.f})", &["a.b", "c.d", "e.f"]);
    check("1 + 2", &[]);
}

#[test]
fn variables_of_macros_are_not_data() {
    check("input.items.all(item, item.price > vars.least)", &["input.items", "vars.least"]);
    check("input.a.map(x, x.b, x.c + y.d)", &["input.a", "y.d"]);
    check("x.a.map(x, .x.b + x.c)", &["x.a", "x.b"]);
}

#[test]
fn guards_are_seen() {
    check("has(a.b.c)", &["a.b.c?"]);
    check("default(a.b, c.d)", &["a.b?", "c.d"]);
    check("has(a.b) ? a.b.c : a.b", &["a.b?", "a.b.c?", "a.b"]);
    check("!has(a.b) ? a.b : a.b", &["a.b?", "a.b", "a.b?"]);
    check("has(a.b) && a.b.c > 1", &["a.b?", "a.b.c?"]);
    check("a.b > 1 && has(a.b)", &["a.b?", "a.b?"]);
    check("!has(a.b) || a.b > 1", &["a.b?", "a.b?"]);
    check("has(a.b) || a.b > 1", &["a.b?", "a.b"]);
    check("has(a.b) && has(c.d) ? a.b + c.d : 0", &["a.b?", "c.d?", "a.b?", "c.d?"]);
    check("has(a.b) && a.c", &["a.b?", "a.c"]);
}

#[test]
fn a_status_guards_the_output() {
    check(
        "tasks.a.status == 'completed' ? tasks.a.output.x : 0",
        &["tasks.a.status", "tasks.a.output.x?"],
    );
    check(
        "'completed' == tasks.a.status && tasks.a.output.x > 1",
        &["tasks.a.status", "tasks.a.output.x?"],
    );
    check(
        "tasks.a.status == 'failed' ? tasks.a.output.x : 0",
        &["tasks.a.status", "tasks.a.output.x"],
    );
    check("tasks.b.status == 'completed' && tasks.a.output", &["tasks.b.status", "tasks.a.output"]);
    check(
        "tasks.a.output != null && tasks.a.output.x > 1",
        &["tasks.a.output?", "tasks.a.output.x?"],
    );
    check(
        "tasks.a.output == null || tasks.a.output.x > 1",
        &["tasks.a.output?", "tasks.a.output.x?"],
    );
    check("tasks.a.output.x == null", &["tasks.a.output.x"]);
    check("input.x == null", &["input.x"]);
}

#[test]
fn spans_cover_the_path() {
    let source = "1 + tasks.pay.output.id";
    let references = Expr::parse(source).unwrap().references();
    assert_eq!(&source[references[0].span.clone()], "tasks.pay.output.id");
}
