//! The OpenAPI document that is checked in is the one that the code makes.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::Server;

#[tokio::test]
async fn the_document_that_is_checked_in_is_that_of_the_code() {
    let server = Server::open().await;
    let text = server.service.document().to_pretty_json().unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    if std::env::var_os("SUREFOOT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/reference/openapi.json is not what the code makes: run this test with SUREFOOT_BLESS=1"
    );
}

#[tokio::test]
async fn every_declared_route_is_in_the_document_with_its_problems() {
    let server = Server::open().await;
    let document: Value =
        serde_json::from_str(&server.service.document().to_json().unwrap()).unwrap();
    for route in server.service.declared() {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        assert!(operation["summary"].is_string(), "{} {}", route.method, route.path);
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert!(problem.is_object(), "{} {}", route.method, route.path);
    }
    let served = server.get("/openapi.json").await;
    assert_eq!(served.body, document);
    assert_eq!(document["openapi"], "3.1.0");
}
