//! Text that becomes something else, and too much of it.

use serde_json::json;

use crate::access::raw;
use crate::expressions::{deploy, ended, valued};
use crate::support::{Server, answer};
use crate::tenants::WAITS;

pub async fn filters_are_data() {
    let server = Server::open().await;
    let run = server
        .started("waits", &format!("{{id: waits, version: 1.0.0, {WAITS}}}"), json!({}))
        .await;
    for injected in ["' OR '1'='1", "x' UNION SELECT * FROM items --", "%", "_____", "*"] {
        for name in ["workflow", "key", "label.x"] {
            let request = server.request("GET", "/v1/runs").query(&[(name, injected)]);
            let listed = answer(request).await;
            assert!(!listed.text.contains(&run), "{name}={injected}: {}", listed.text);
            assert!(matches!(listed.status, 200 | 400), "{name}={injected}: {}", listed.text);
        }
    }
    assert_eq!(server.get("/v1/runs").await.body["items"].as_array().unwrap().len(), 1);
}

pub async fn names_are_data(names: &[&str]) {
    let server = Server::open().await;
    for name in names {
        let segment = surefoot_client::segment(name);
        for segment in [&segment, *name] {
            for path in [
                format!("/v1/workflows/{segment}"),
                format!("/v1/workflows/{segment}/versions/{segment}"),
                format!("/v1/schedules/{segment}"),
                format!("/v1/runs/{segment}"),
                format!("/v1/runs/{segment}/tasks/{segment}/logs"),
                format!("/errors/{segment}"),
                format!("/v1/subscriptions/{segment}"),
            ] {
                let head = format!(
                    "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
                    path.replace(' ', "%20")
                );
                let status = raw(&server, &head).await;
                assert!(matches!(status, 400 | 404), "{path}: {status}");
            }
        }
        let put = server.request("PUT", &format!("/v1/workflows/{segment}"));
        let put = put.header("content-type", "application/yaml");
        let source = json!({"id": name, "tasks": {"t": {"uses": "log", "with": {"message": "m"}}}});
        let told = answer(put.body(source.to_string())).await;
        assert!(matches!(told.status, 400 | 404 | 422), "{name}: {}", told.text);
    }
    assert_eq!(server.get("/v1/workflows").await.body["items"], json!([]));
}

pub async fn another_content_type_is_not_read_as_json() {
    let server = Server::open().await;
    for kind in
        ["multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded", ""]
    {
        let mut request = server.request("POST", "/v1/tokens");
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let told = answer(request.body(r#"{"name":"x","role":"admin"}"#)).await;
        assert_eq!((told.status, told.code()), (415, "SF4003"), "{kind}: {}", told.text);
    }
}

pub async fn nothing_is_markup() {
    let server = Server::open().await;
    let nasty = "<img src=x onerror=alert(1)></script>";
    for path in ["/v1/runs/%3Cscript%3E", "/%3Cscript%3Ealert(1)%3C/script%3E", "/errors/%3Cb%3E"] {
        let told = server.get(path).await;
        assert_eq!(told.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(told.header("x-content-type-options"), "nosniff", "{path}");
    }
    assert_eq!(deploy(&server, valued(nasty)).await.status, 201);
    ended(&server, json!({"name": nasty})).await;
    for path in [
        "/v1/runs",
        "/v1/workflows",
        "/v1/workflows/probe",
        "/healthz",
        "/metrics",
        "/errors/SF4012",
    ] {
        let told = server.get(path).await;
        assert_eq!(told.status, 200, "{path}");
        assert!(!told.header("content-type").contains("html"), "{path}");
        assert_eq!(told.header("x-content-type-options"), "nosniff", "{path}");
    }
}

pub async fn strange_labels_end_nothing() {
    let server = Server::open().await;
    assert_eq!(deploy(&server, valued("x")).await.status, 201);
    let long = "x".repeat(100_000);
    for labels in [
        json!({"": ""}),
        json!({"a": long}),
        json!({"workflows.argoproj.io/x": "\u{202e}\u{200b}"}),
        json!({"a": null}),
        json!({"a": {"b": 1}}),
        json!([]),
        json!("x"),
    ] {
        let body = json!({"input": {}, "labels": labels});
        let told = server.post("/v1/workflows/probe/runs", body).await;
        assert!(told.status < 500, "{labels}: {}", told.text);
        assert_eq!(server.get("/v1/runs?label.a=x").await.status, 200);
    }
}

pub async fn text_that_is_no_text_is_refused() {
    let server = Server::open().await;
    assert_eq!(deploy(&server, valued("x")).await.status, 201);
    for bytes in
        [&b"{\"input\": {\"a\": \"\xff\"}}"[..], b"\xc3\x28", b"{\"key\": \"\xed\xa0\x80\"}"]
    {
        let request = server.request("POST", "/v1/workflows/probe/runs");
        let request = request.header("content-type", "application/json").body(bytes.to_vec());
        let told = answer(request).await;
        assert_eq!((told.status, told.code()), (400, "SF4001"), "{}", told.text);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

pub async fn a_pattern_that_explodes_ends() {
    let server = Server::open().await;
    let pattern = "^(a+)+$";
    let source = json!({"id": "probe", "version": "1.0.0", "input": {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}, "tasks": {"t": {"uses": "transform", "with": 1}}});
    assert_eq!(deploy(&server, source.to_string()).await.status, 201);
    let text = format!("{}!", "a".repeat(100_000));
    let told = server.post("/v1/workflows/probe/runs", json!({"input": {"a": text}})).await;
    assert_eq!((told.status, told.code()), (422, "SF4017"), "{}", told.status);
}

pub async fn nests_are_refused() {
    let server = Server::open().await;
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for source in [deep("[", "]"), deep("{a: ", "}"), "- ".repeat(100_000)] {
        let told = deploy(&server, source).await;
        assert!(matches!(told.status, 400 | 422), "{}", told.status);
    }
    let laughs: String =
        (1..=30).map(|it| format!("a{it}: &a{it} [*a{0}, *a{0}]\n", it - 1)).collect();
    let request = server.request("POST", "/v1/check").header("content-type", "application/yaml");
    let told = answer(request.body(format!("a0: &a0 [x, x]\n{laughs}"))).await;
    assert!(matches!(told.status, 200 | 400 | 422) && told.text.len() < 1 << 20, "{}", told.status);
    assert_eq!(server.get("/healthz").await.status, 200);
}

pub async fn lengths_do_not_overflow() {
    let server = Server::open().await;
    for (path, status) in [
        ("/v1/runs?limit=18446744073709551616", 400),
        ("/v1/runs?limit=-9223372036854775808", 400),
        ("/v1/runs?limit=4294967297", 400),
        ("/v1/audit?limit=99999999999999999999999", 400),
    ] {
        assert_eq!(server.get(path).await.status, status, "{path}");
    }
    for length in ["4294967296", "9223372036854775807", "18446744073709551615"] {
        let head = format!(
            "POST /v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\ncontent-length: {length}\r\n\r\n"
        );
        let status = raw(&server, &head).await;
        assert!(matches!(status, 413 | 431), "{length}: {status}");
    }
}
