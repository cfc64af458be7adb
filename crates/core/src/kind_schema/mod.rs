//! What each built-in kind of task takes and gives: JSON Schemas of `with` and of the output. The
//! checker types expressions against them, editors complete from them, and the kinds check their
//! evaluated parameters by them.
//!
//! The schemas describe evaluated values. A field whose value is a template is not checked before
//! the run. Schemas have no unions at the level of one field unless both readings are plain.

mod control;
mod effects;

use std::sync::LazyLock;

use serde_json::Value;

pub use control::{approval, fail, log, signal, transform, wait, workflow};
pub use effects::{emit, file, http, shell, sql};

/// Every built-in kind. Any other name in `uses` is a handler.
pub const BUILT_IN: [&str; 12] = [
    "http",
    "sql",
    "file",
    "shell",
    "transform",
    "wait",
    "signal",
    "approval",
    "workflow",
    "emit",
    "log",
    "fail",
];

/// The two schemas of a kind.
pub struct KindSchema {
    pub with: Value,
    pub output: Value,
}

/// In the order of [`BUILT_IN`].
static TABLE: LazyLock<[KindSchema; 12]> = LazyLock::new(|| {
    [
        http(),
        sql(),
        file(),
        shell(),
        transform(),
        wait(),
        signal(),
        approval(),
        workflow(),
        emit(),
        log(),
        fail(),
    ]
});

/// Returns the schema of `with`, or nothing for a name that is not built in.
pub fn with_schema(kind: &str) -> Option<&'static Value> {
    find(kind).map(|it| &it.with)
}

/// Returns the schema of the output, or nothing for a name that is not built in.
pub fn output_schema(kind: &str) -> Option<&'static Value> {
    find(kind).map(|it| &it.output)
}

fn find(kind: &str) -> Option<&'static KindSchema> {
    let at = BUILT_IN.iter().position(|it| *it == kind)?;
    Some(&TABLE[at])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepts(kind: &str, value: &Value) -> Result<(), String> {
        let schema = with_schema(kind).expect("a built-in kind");
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("with.json", schema.clone()).expect("a URL");
        let index = compiler.compile("with.json", &mut schemas).expect("a valid schema");
        schemas.validate(value, index).map_err(|it| it.to_string())
    }

    #[track_caller]
    fn check(kind: &str, value: Value, expected: bool) {
        let found = accepts(kind, &value);
        assert_eq!(found.is_ok(), expected, "{kind} {value}: {found:?}");
    }

    #[test]
    fn every_kind_has_two_valid_schemas() {
        for kind in BUILT_IN {
            for schema in [with_schema(kind), output_schema(kind)] {
                let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
                compiler.add_resource("it.json", schema.expect(kind).clone()).expect("a URL");
                compiler.compile("it.json", &mut schemas).expect(kind);
            }
        }
        assert!(with_schema("reserve_stock").is_none(), "a handler has no built-in schema");
    }

    #[test]
    fn the_parameters_of_the_kinds_with_effects() {
        check("http", json!({"url": "http://x", "method": "POST", "json": {"a": 1}}), true);
        check("http", json!({"method": "POST"}), false);
        check("http", json!({"url": "http://x", "method": "FOO BAR"}), false);
        check("http", json!({"url": "http://x", "json": 1, "body": "x"}), false);
        check("http", json!({"url": "http://x", "expect": {"status": [200, "300-399"]}}), true);
        check("http", json!({"url": "http://x", "auth": {"basic": {"user": "u"}}}), false);
        check("sql", json!({"database": "shop", "query": "SELECT 1"}), true);
        check("sql", json!({"database": "shop"}), false);
        check("sql", json!({"database": "shop", "query": "x", "statements": ["y"]}), false);
        check("sql", json!({"database": "shop", "statements": ["x", {"query": "y"}]}), true);
        check("file", json!({"op": "read", "path": "a.txt", "as": "json"}), true);
        check("file", json!({"op": "format", "path": "a.txt"}), false);
        check("shell", json!({"argv": ["ls", "-l"]}), true);
        check("shell", json!({"argv": []}), false);
        check("shell", json!({"script": "ls", "argv": ["ls"]}), false);
        check("emit", json!({"type": "order.paid", "data": [1]}), true);
        check("emit", json!({"data": [1]}), false);
    }

    #[test]
    fn the_parameters_of_the_kinds_that_the_engine_decides() {
        check("transform", json!([1, null]), true);
        check("wait", json!({"for": "5m"}), true);
        check("wait", json!({"for": "5m", "until": "2027-01-01T00:00:00Z"}), false);
        check("wait", json!({}), false);
        check("signal", json!({"name": "paid", "timeout": "1h", "on_timeout": "continue"}), true);
        check("signal", json!({"timeout": "1h"}), false);
        check("approval", json!({"prompt": "Release?", "groups": ["finance"]}), true);
        check("approval", json!({"prompt": "Release?", "timeout": "48h"}), false);
        check("approval", json!({"groups": ["a"], "quorum": 0}), false);
        check("workflow", json!({"id": "child", "input": {}, "wait": false}), true);
        check("log", json!({"message": "hello", "level": "shout"}), false);
        check("fail", json!({"message": "no", "retryable": true, "details": [1]}), true);
    }
}
