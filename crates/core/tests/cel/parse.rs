//! Sources that cannot be read: where the error points, what it says and what it advises.

use surefoot_core::expr::{Expr, ParseErrorKind};

fn check(source: &str, part: &str, message: &str, hint: &str) {
    let error = Expr::parse(source).expect_err(source);
    assert_eq!(error.kind, ParseErrorKind::Syntax, "{source}");
    let actual = (&source[error.span.clone()], error.message.as_str());
    assert_eq!(actual, (part, message), "{source}");
    assert_eq!(error.hint.as_deref().unwrap_or(""), hint, "{source}");
}

#[test]
fn errors_say_where_and_what() {
    check("", "", "the expression is empty", "Write a value, such as input.total > 100.");
    check("a.", ".", "expected a field name after this", "");
    check("a +", "+", "expected a value after this", "");
    check("a b", "b", "expected an operator or the end, found `b`", "");
    check(
        "a and b",
        "and",
        "expected an operator or the end, found `and`",
        "Write && for \"and\".",
    );
    check(
        "a = 1",
        "=",
        "unexpected character `=`",
        "Write == to compare; an expression cannot assign.",
    );
    check("(1 + 2", "2", "expected `)` after this", "The `(` at character 1 has no `)`.");
    check("[1, 2}", "}", "expected `]`, found `}`", "The `[` at character 1 has no `]`.");
    check("a ? b", "b", "expected `:` after this", "The `?` at character 3 has no `:`.");
    check("{'a' 1}", "1", "expected `:`, found `1`", "");
    check("'abc", "'abc", "this text has no closing quote", "Close it with '.");
    check(
        "'\\d'",
        "\\d",
        "`\\d` is not an escape sequence",
        "Write \\\\ for a backslash, or put r before the quote: r'\\d+'.",
    );
    check(
        "1abc",
        "1abc",
        "`1abc` is neither a number nor a name",
        "Text needs quotes, and names begin with a letter.",
    );
    check(
        "9223372036854775808",
        "9223372036854775808",
        "9223372036854775808 does not fit a 64-bit integer",
        "Write it with a decimal point for a double, or with u.",
    );
    check("1e999", "1e999", "`1e999` is not a number that fits 64 bits", "");
    check(
        "if",
        "if",
        "`if` is a reserved word",
        "It can be a field, after a dot, but not the name of a value.",
    );
    check(
        "has(a)",
        "a",
        "`has` takes one field, written with a dot",
        "Write has(input.order.note), or \"note\" in input.order.",
    );
    check(
        "a.all(1, true)",
        "1",
        "the first argument of `all` names its variable",
        "Write one plain name, such as item.",
    );
    check(
        "a.all(x)",
        "all",
        "`all` takes a variable and an expression",
        "Write items.all(item, ...).",
    );
    check(
        "default(a)",
        "default",
        "`default` takes two arguments",
        "Write default(input.note, \"none\").",
    );
    check(
        "a.?b",
        "?",
        "expected a field name, found `?`",
        "Write default(a.b, fallback), or has(a.b) ? a.b : fallback.",
    );
    check("“a”", "“", "unexpected character `“`", "Use straight quotes: ' or \".");
}

#[test]
fn spans_cover_what_was_written() {
    let source = " a.b[0] + f(1) // note\n";
    let expr = Expr::parse(source).unwrap();
    assert_eq!(&source[expr.ast().span.clone()], "a.b[0] + f(1)");
    let mut parts = Vec::new();
    expr.ast().for_each_child(&mut |it| parts.push(&source[it.span.clone()]));
    assert_eq!(parts, ["a.b[0]", "f(1)"]);
}
