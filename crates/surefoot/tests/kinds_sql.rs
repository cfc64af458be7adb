//! The kind `sql` against a real SQLite file and a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::postgres::{PASSWORD, PostgresServer};
use support::{context, failed};
use surefoot::kinds::{Context, DatabaseConfig, Kind, SqlConfig, SqlKind, TaskError};

fn kind(url: &str) -> SqlKind {
    let database = DatabaseConfig { url: url.to_owned(), max_connections: 4 };
    SqlKind::new(SqlConfig::from([("shop".to_owned(), database)]))
}

async fn run(kind: &SqlKind, with: Value) -> Result<Value, TaskError> {
    run_as(kind, &context("sql"), with).await
}

async fn run_as(kind: &SqlKind, context: &Context, mut with: Value) -> Result<Value, TaskError> {
    let fields = with.as_object_mut().unwrap();
    fields.entry("database").or_insert("shop".into());
    kind.run(context, with).await
}

async fn rows(kind: &SqlKind, query: &str, params: Value) -> Value {
    run(kind, json!({"query": query, "params": params})).await.unwrap()["rows"].take()
}

/// What both databases must do alike. Starts without tables.
async fn both(kind: &SqlKind) {
    let setup = json!({"statements": [
        "CREATE TABLE stock (sku text PRIMARY KEY, quantity integer NOT NULL CHECK (quantity >= 0))",
        {"query": "INSERT INTO stock VALUES (:a, 5), (:b, 6)", "params": {"a": "s1", "b": "s2"}},
    ]});
    let output = run(kind, setup).await.unwrap();
    assert_eq!(output[1]["rows_affected"], 2);

    let update = "UPDATE stock SET quantity = quantity - :n WHERE sku = :sku";
    let with = json!({"query": update, "params": {"n": 2, "sku": "s1"}});
    let output = run(kind, with).await.unwrap();
    assert_eq!(output, json!({"rows": [], "columns": [], "rows_affected": 1, "truncated": false}));
    let hostile = "'; DROP TABLE stock; --";
    assert_eq!(
        rows(kind, "SELECT quantity FROM stock WHERE sku = ?", json!([hostile])).await,
        json!([])
    );
    assert_eq!(
        rows(kind, "SELECT quantity FROM stock WHERE sku = $1", json!(["s1"])).await,
        json!([{"quantity": 3}])
    );
    assert_eq!(rows(kind, "SELECT 1 AS a, 2 AS a", json!([])).await, json!([{"a": 1, "a_2": 2}]));

    let with = json!({"query": "SELECT sku FROM stock ORDER BY sku", "max_rows": 1});
    let output = run(kind, with).await.unwrap();
    assert_eq!((&output["rows"], &output["truncated"]), (&json!([{"sku": "s1"}]), &json!(true)));
    let with = json!({"query": "UPDATE stock SET quantity = 9 RETURNING sku", "max_rows": 1});
    assert_eq!(run(kind, with).await.unwrap()["truncated"], true);
    assert_eq!(
        rows(kind, "SELECT count(*) AS n FROM stock WHERE quantity = 9", json!([])).await,
        json!([{"n": 2}])
    );

    all_or_nothing(kind).await;
    errors_of_both(kind).await;
    exactly_once(kind).await;
}

async fn all_or_nothing(kind: &SqlKind) {
    let statements =
        json!(["UPDATE stock SET quantity = 1", "INSERT INTO stock VALUES ('s1', 1)",]);
    failed(run(kind, json!({"statements": statements})).await, "sql_constraint", false);
    let ones = "SELECT count(*) AS n FROM stock WHERE quantity = 1";
    assert_eq!(rows(kind, ones, json!([])).await, json!([{"n": 0}]));
    let with = json!({"statements": statements, "transaction": false});
    failed(run(kind, with).await, "sql_constraint", false);
    assert_eq!(rows(kind, ones, json!([])).await, json!([{"n": 2}]));
}

async fn errors_of_both(kind: &SqlKind) {
    for (with, expected) in [
        (json!({"query": "SELEC 1"}), "sql_syntax"),
        (json!({"query": "SELECT * FROM nowhere"}), "sql_missing_table"),
        (json!({"query": "SELECT none_such FROM stock"}), "sql_invalid"),
        (json!({"query": "INSERT INTO stock VALUES ('s1', 1)"}), "sql_constraint"),
        (json!({"query": "UPDATE stock SET quantity = -1"}), "sql_constraint"),
        (json!({"query": "SELECT 1; SELECT 2"}), "sql_multi"),
        (json!({"query": "SELECT ?, ?, ?, ?", "params": [1, 2, 3, 4, 5]}), "sql_binds"),
        (json!({"query": "SELECT :a", "params": {"b": 1}}), "sql_binds"),
        (json!({"query": "SELECT ?"}), "sql_binds"),
        (json!({"query": "COMMIT"}), "sql_transaction"),
        (json!({"database": "other", "query": "SELECT 1"}), "sql_database"),
        (json!({"query": "SELECT 1", "statements": ["x"]}), "bad_parameters"),
        (json!({"query": "SELECT 1", "params": "x"}), "bad_parameters"),
        (json!({"query": "SELECT 1", "timeout": "soon"}), "bad_parameters"),
        (
            json!({"query": "SELECT 1", "exactly_once": true, "transaction": false}),
            "bad_parameters",
        ),
    ] {
        failed(run(kind, with).await, expected, false);
    }
    let with =
        json!({"query": "SELECT :long_name AS x, FROM_HERE FRM y", "params": {"long_name": 1}});
    let error = failed(run(kind, with).await, "sql_syntax", false);
    assert_eq!(error.details["position"], 39, "{error:?}");
}

async fn exactly_once(kind: &SqlKind) {
    rows(kind, "UPDATE stock SET quantity = 0", json!([])).await;
    let with = json!({
        "query": "UPDATE stock SET quantity = quantity + 1 WHERE sku = 's1' RETURNING quantity",
        "exactly_once": true,
    });
    let context = context("once");
    let (one, two) =
        tokio::join!(run_as(kind, &context, with.clone()), run_as(kind, &context, with.clone()));
    assert_eq!(one.unwrap(), two.unwrap(), "two attempts at once have one effect");
    let again = run_as(kind, &context, with).await.unwrap();
    assert_eq!(again["rows"], json!([{"quantity": 1}]));
    let quantity = "SELECT quantity FROM stock WHERE sku = 's1'";
    assert_eq!(rows(kind, quantity, json!([])).await, json!([{"quantity": 1}]));

    let mut context = context;
    context.idempotency_key = "another".to_owned();
    let fails = json!({"statements": ["UPDATE stock SET quantity = 7", "SELECT none_such"], "exactly_once": true});
    failed(run_as(kind, &context, fails).await, "sql_invalid", false);
    let keys = "SELECT key FROM surefoot_once";
    assert_eq!(
        rows(kind, keys, json!([])).await,
        json!([{"key": "key-of-once"}]),
        "a failure keeps no key"
    );
}

#[tokio::test]
async fn sqlite_does_what_both_do() {
    let directory = tempfile::tempdir().unwrap();
    both(&kind(&format!("sqlite:{}", directory.path().join("shop.db").display()))).await;
}

#[tokio::test]
async fn sqlite_values_keep_their_types() {
    let directory = tempfile::tempdir().unwrap();
    let kind = kind(&format!("sqlite:{}", directory.path().join("shop.db").display()));
    let with = json!({
        "query": "SELECT ? AS i, ? AS f, ? AS t, ? AS b, ? AS n, ? AS j, x'ff00' AS x",
        "params": [5, 1.5, "é", true, null, {"a": [1]}],
    });
    let output = run(&kind, with).await.unwrap();
    let expected =
        json!([{"i": 5, "f": 1.5, "t": "é", "b": 1, "n": null, "j": "{\"a\":[1]}", "x": "/wA="}]);
    assert_eq!(output["rows"], expected);
    let types: Vec<&Value> =
        output["columns"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(types, ["integer", "real", "text", "integer", "null", "text", "blob"]);
}

#[tokio::test]
async fn sqlite_refusals_have_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.db");
    let shop = kind(&format!("sqlite:{}", path.display()));
    run(&shop, json!({"query": "CREATE TABLE t (a)"})).await.unwrap();
    let attach = json!({"query": "ATTACH '/tmp/elsewhere.db' AS other"});
    failed(run(&shop, attach).await, "sql_denied", false);
    failed(
        run(&kind("sqlite:/no/such/directory/a.db"), json!({"query": "SELECT 1"})).await,
        "sql_connection",
        true,
    );
    let store = format!("sqlite:{}", directory.path().join("store.db").display());
    let engine = surefoot::Engine::builder().store(&store).open().await.unwrap();
    let linked = directory.path().join("linked.db");
    std::os::unix::fs::symlink(directory.path().join("store.db"), &linked).unwrap();
    for url in [store, format!("sqlite:{}", linked.display())] {
        for query in ["SELECT * FROM runs", "DELETE FROM journal", "PRAGMA application_id = 0"] {
            failed(run(&kind(&url), json!({"query": query})).await, "sql_denied", false);
        }
    }
    engine.stop(std::time::Duration::ZERO).await.unwrap();
    let junk = directory.path().join("junk.db");
    std::fs::write(&junk, "x".repeat(10_000)).unwrap();
    let junk = kind(&format!("sqlite:{}", junk.display()));
    failed(run(&junk, json!({"query": "SELECT * FROM t"})).await, "sql_corrupt", false);
    failed(run(&kind("mysql://x"), json!({"query": "SELECT 1"})).await, "sql_database", false);

    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    failed(run(&shop, json!({"query": "INSERT INTO t VALUES (1)"})).await, "sql_locked", true);
    let with = json!({"query": "INSERT INTO t VALUES (1)", "timeout": "10ms"});
    failed(run(&shop, with).await, "timeout", true);
    other.execute_batch("COMMIT").unwrap();
    run(&shop, json!({"query": "INSERT INTO t VALUES (1)"})).await.unwrap();
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

#[tokio::test]
async fn sqlite_statements_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Arc::new(kind(&format!("sqlite:{}", directory.path().join("shop.db").display())));
    let with = json!({"query": ENDLESS, "timeout": "20ms"});
    failed(run(&shop, with).await, "timeout", true);
    let (context, inside) = (context("sql"), Arc::clone(&shop));
    let attempt = context.clone();
    let call =
        tokio::spawn(async move { run_as(&inside, &attempt, json!({"query": ENDLESS})).await });
    tokio::task::yield_now().await;
    context.cancel_for_test();
    failed(call.await.unwrap(), "cancelled", true);
}

#[test]
fn a_password_is_never_shown() {
    for (url, shown) in [
        ("postgres://u:hunter2@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
        ("postgres://u@h/d?password=hunter2", "postgres://u@h/d?password=***"),
        ("postgres://u:hunter2@h:port/d", "***"),
        ("sqlite:shop.db", "sqlite:shop.db"),
    ] {
        let config = DatabaseConfig { url: url.to_owned(), max_connections: 1 };
        assert_eq!(serde_json::to_value(&config).unwrap()["url"], shown);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

/// One server serves all checks: starting one takes longer than they do.
#[tokio::test]
async fn postgres_does_what_both_do_and_more() {
    let Some(server) = PostgresServer::start() else { return };
    let shop = Arc::new(kind(&server.url()));
    both(&shop).await;
    postgres_values(&shop).await;
    postgres_refusals(&server, &shop).await;
    postgres_sessions_are_clean(&shop).await;
    postgres_statements_can_be_stopped(&shop).await;
    postgres_tls(&server).await;
    postgres_lost_connections(&shop).await;
}

async fn postgres_values(shop: &SqlKind) {
    for (query, params, expected) in [
        (
            "SELECT $1::int8 AS v",
            json!([9_007_199_254_740_993_i64]),
            json!(9_007_199_254_740_993_i64),
        ),
        ("SELECT $1::int2 AS v", json!([-5]), json!(-5)),
        ("SELECT $1::float8 AS v", json!([0.1]), json!(0.1)),
        ("SELECT 'NaN'::float8 AS v", json!([]), json!("NaN")),
        ("SELECT $1::bool AS v", json!([true]), json!(true)),
        ("SELECT $1::text AS v", json!(["é ' \\ \u{1F600}"]), json!("é ' \\ \u{1F600}")),
        ("SELECT $1::text AS v", json!([null]), json!(null)),
        (
            "SELECT $1::numeric AS v",
            json!(["12345678901234567890.0012300"]),
            json!("12345678901234567890.0012300"),
        ),
        ("SELECT $1::numeric AS v", json!([-0.05]), json!("-0.05")),
        ("SELECT 10000::numeric AS v", json!([]), json!("10000")),
        ("SELECT 0.00001::numeric AS v", json!([]), json!("0.00001")),
        ("SELECT 'NaN'::numeric AS v", json!([]), json!("NaN")),
        ("SELECT $1::jsonb AS v", json!([{"a": [1, "x", null]}]), json!({"a": [1, "x", null]})),
        ("SELECT $1::json AS v", json!(["text"]), json!("text")),
        ("SELECT $1::jsonb ? 'a' AS v", json!([{"a": 1}]), json!(true)),
        (
            "SELECT $1::timestamptz AS v",
            json!(["2026-03-01T12:00:00+02:00"]),
            json!("2026-03-01T10:00:00Z"),
        ),
        ("SELECT $1::timestamptz AS v", json!(["infinity"]), json!("infinity")),
        (
            "SELECT $1::timestamp AS v",
            json!(["2026-03-01T12:00:00.5"]),
            json!("2026-03-01T12:00:00.5"),
        ),
        ("SELECT $1::date AS v", json!(["2026-03-01"]), json!("2026-03-01")),
        ("SELECT $1::time AS v", json!(["12:30:00"]), json!("12:30:00")),
        ("SELECT $1::interval AS v", json!(["1 month 2 days 3.5 seconds"]), json!("P1M2DT3.5S")),
        (
            "SELECT $1::uuid AS v",
            json!(["00112233-4455-6677-8899-aabbccddeeff"]),
            json!("00112233-4455-6677-8899-aabbccddeeff"),
        ),
        ("SELECT $1::bytea AS v", json!(["/wA="]), json!("/wA=")),
        ("SELECT $1::int4[] AS v", json!([[1, null, 3]]), json!([1, null, 3])),
        (
            "SELECT $1::text[] AS v",
            json!([["a,b", "c\"d\\", "{}", ""]]),
            json!(["a,b", "c\"d\\", "{}", ""]),
        ),
        ("SELECT $1::jsonb[] AS v", json!([[{"a": 1}, [2]]]), json!([{"a": 1}, [2]])),
        ("SELECT 5 = ANY($1::int4[]) AS v", json!([[4, 5]]), json!(true)),
        ("SELECT $1::inet AS v", json!(["10.0.0.1"]), json!("10.0.0.1")),
        ("SELECT '{}'::text[] AS v", json!([]), json!([])),
    ] {
        let output = run(shop, json!({"query": query, "params": params})).await;
        let found = output.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert_eq!(found["rows"], json!([{"v": expected}]), "{query}");
    }
    let output = run(shop, json!({"query": "SELECT 1 AS a, 'x'::text AS b"})).await.unwrap();
    let expected = json!([{"name": "a", "type": "int4"}, {"name": "b", "type": "text"}]);
    assert_eq!(output["columns"], expected);
}

async fn postgres_refusals(server: &PostgresServer, shop: &SqlKind) {
    for (query, params, expected) in [
        ("SELECT $1::int4", json!(["abc"]), "sql_data"),
        ("SELECT $1::bytea", json!(["%"]), "sql_data"),
        ("SELECT 1 / $1::int4", json!([0]), "sql_data"),
        ("SELECT point(1, 2) AS p", json!([]), "sql_data"),
    ] {
        failed(run(shop, json!({"query": query, "params": params})).await, expected, false);
    }
    let duplicate = json!({"query": "INSERT INTO stock VALUES ('s1', 1)"});
    let error = failed(run(shop, duplicate).await, "sql_constraint", false);
    assert_eq!(
        (&error.details["constraint"], &error.details["code"]),
        (&json!("stock_pkey"), &json!("23505"))
    );
    let with = json!({"query": "SELECT 1"});
    let wrong = kind(&server.url_with("127.0.0.1", "wrong", ""));
    failed(run(&wrong, with.clone()).await, "sql_auth", false);
    let missing = kind(&server.url().replace("/postgres", "/nowhere"));
    failed(run(&missing, with.clone()).await, "sql_database", false);
    let nobody = kind("postgres://u:hunter2@127.0.0.1:1/d");
    let error = failed(run(&nobody, with.clone()).await, "sql_connection", true);
    assert!(!error.message.contains(PASSWORD), "{error:?}");
    failed(run(&kind("postgres://u:hunter2@h/d?sslmode=maybe"), with).await, "sql_database", false);
}

/// Settings of one task do not meet the next one.
async fn postgres_sessions_are_clean(shop: &SqlKind) {
    run(shop, json!({"query": "SET search_path TO nowhere"})).await.unwrap();
    rows(shop, "SELECT * FROM stock", json!([])).await;
    run(shop, json!({"query": "VACUUM stock"})).await.unwrap();
    // Waiting for rows that are locked is the user's choice; not waiting has a name.
    let lock = json!({"statements": ["SELECT * FROM stock FOR UPDATE", "SELECT pg_sleep(1000)"], "timeout": "1h"});
    let nowait = json!({"query": "SELECT * FROM stock FOR UPDATE NOWAIT"});
    let context = context("lock");
    tokio::select! {
        _ = run_as(shop, &context, lock) => panic!("sleeps for long"),
        () = async { while run(shop, nowait.clone()).await.is_ok() {} } => {}
    }
    // The dropped attempt lets go of its locks.
    while let Err(error) = run(shop, nowait.clone()).await {
        assert_eq!((error.kind.as_str(), error.retryable), ("sql_locked", true), "{error:?}");
    }
}

async fn postgres_statements_can_be_stopped(shop: &Arc<SqlKind>) {
    let with = json!({"query": "SELECT pg_sleep(1000)", "timeout": "50ms"});
    failed(run(shop, with).await, "timeout", true);
    let (context, inside) = (context("sql"), Arc::clone(shop));
    let attempt = context.clone();
    let with = json!({"statements": ["UPDATE stock SET quantity = 77", "SELECT pg_sleep(1000)"]});
    let call = tokio::spawn(async move { run_as(&inside, &attempt, with).await });
    let sleeping = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while rows(shop, sleeping, json!([])).await != json!([{"n": 1}]) {}
    context.cancel_for_test();
    failed(call.await.unwrap(), "cancelled", true);
    assert_eq!(rows(shop, sleeping, json!([])).await, json!([{"n": 0}]), "the server stopped too");
    let changed = "SELECT count(*) AS n FROM stock WHERE quantity = 77";
    assert_eq!(rows(shop, changed, json!([])).await, json!([{"n": 0}]));
}

async fn postgres_tls(server: &PostgresServer) {
    let Some(certificate) = &server.certificate else { return };
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let root = format!("?sslmode=verify-full&sslrootcert={}", certificate.display());
    for (host, options, expected) in [
        ("localhost", root.as_str(), Ok(true)),
        ("127.0.0.1", "", Ok(true)),
        ("127.0.0.1", "?sslmode=require", Ok(true)),
        ("127.0.0.1", "?sslmode=disable", Ok(false)),
        ("127.0.0.1", root.as_str(), Err("sql_connection")),
        ("localhost", "?sslmode=verify-full&sslrootcert=/no/such/file", Err("tls")),
    ] {
        let kind = kind(&server.url_with(host, PASSWORD, options));
        let found = run(&kind, json!({"query": encrypted})).await;
        let found = found.map(|it| it["rows"][0]["ssl"] == true).map_err(|it| it.kind);
        assert_eq!(found, expected.map_err(str::to_owned), "{host}{options}");
    }
    let socket = server.socket_directory().to_str().unwrap().replace('/', "%2F");
    let kind = kind(&server.url_with(&socket, PASSWORD, ""));
    run(&kind, json!({"query": "SELECT 1"})).await.unwrap();
}

async fn postgres_lost_connections(shop: &SqlKind) {
    let mine = "SELECT pg_terminate_backend(pg_backend_pid())";
    // The session that was ended is never the one that the next task gets.
    for _ in 0..20 {
        failed(run(shop, json!({"query": mine})).await, "sql_connection", true);
        rows(shop, "SELECT 1", json!([])).await;
    }
    // Every other idle connection is cut; the next task takes a fresh one.
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    rows(shop, others, json!([])).await;
    while run(shop, json!({"query": "SELECT 1"})).await.is_err() {}
}
