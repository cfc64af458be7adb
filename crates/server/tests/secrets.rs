//! Secrets go in over HTTP and never come out.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::json;
use support::{Server, answer};
use surefoot::secrets::SecretsKey;
use surefoot::{Config, Engine, SecretsConfig};
use surefoot_server::ServerConfig;

const VALUE: &str = "correct horse battery staple";

async fn server(has_key: bool) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    SecretsKey::write_new(&file).unwrap();
    let secrets = SecretsConfig { key_file: has_key.then_some(file), ..SecretsConfig::default() };
    let engine = Engine::builder().config(Config { secrets, ..Config::default() });
    (Server::over(engine.open().await.unwrap(), ServerConfig::default()).await, folder)
}

#[tokio::test]
async fn a_secret_is_set_listed_used_and_removed() {
    let (server, _folder) = server(true).await;
    let put =
        answer(server.request("PUT", "/v1/secrets/HOOK").json(&json!({"value": VALUE}))).await;
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!((&put.body["name"], &put.body["set_by"]), (&json!("hook"), &json!("local")));
    let list = server.get("/v1/secrets").await;
    assert_eq!(list.body["items"], json!([put.body]));
    assert_eq!(server.engine.secret("hook").as_deref(), Some(VALUE));
    for text in [&put.text, &list.text, &server.get("/v1/audit").await.text] {
        assert!(!text.contains(VALUE), "{text}");
    }
    assert_eq!(server.get("/v1/secrets/hook").await.status, 405, "nothing shows a value");
    let gone = answer(server.request("DELETE", "/v1/secrets/hook")).await;
    assert_eq!(gone.status, 204);
    let again = answer(server.request("DELETE", "/v1/secrets/hook")).await;
    assert_eq!((again.status, again.code()), (404, "SF4012"));
    assert_eq!(server.engine.secret("hook"), None);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_without_being_repeated() {
    let (server, _folder) = server(true).await;
    let table = [
        ("a-b", json!({"value": VALUE}), 422, "SF4023"),
        ("a", json!({"value": ""}), 422, "SF4023"),
        ("a", json!({"value": VALUE.repeat(1000)}), 422, "SF4023"),
        ("a", json!({"value": VALUE, "note": VALUE}), 422, ""),
        ("a", json!({"value": [VALUE]}), 422, ""),
    ];
    for (name, body, status, code) in table {
        let path = format!("/v1/secrets/{name}");
        let found = answer(server.request("PUT", &path).json(&body)).await;
        assert!(found.status == status || found.status == 400, "{body}: {}", found.text);
        assert!(found.code().contains(code), "{}", found.text);
        assert!(!found.text.contains(VALUE), "{}", found.text);
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_kept() {
    let (server, _folder) = server(false).await;
    let put = answer(server.request("PUT", "/v1/secrets/a").json(&json!({"value": VALUE}))).await;
    assert_eq!((put.status, put.code()), (409, "SF4031"), "{}", put.text);
    assert!(put.body["hint"].as_str().unwrap().contains("SUREFOOT_SECRETS_KEY"));
    assert_eq!(server.get("/v1/secrets").await.body["items"], json!([]));
}

#[tokio::test]
async fn an_admin_of_some_namespaces_changes_no_secret_of_all() {
    let (server, _folder) = server(true).await;
    let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
    let root = made.body["token"].as_str().unwrap().to_owned();
    let make = server.request("POST", "/v1/tokens").bearer_auth(&root);
    let asked = json!({"name": "b", "role": "admin", "namespaces": ["billing"]});
    let some = answer(make.json(&asked)).await.body["token"].as_str().unwrap().to_owned();
    for (method, path) in
        [("GET", "/v1/secrets"), ("PUT", "/v1/secrets/a"), ("DELETE", "/v1/secrets/a")]
    {
        let request = server.request(method, path).bearer_auth(&some);
        let found = answer(request.json(&json!({"value": VALUE}))).await;
        assert_eq!((found.status, found.code()), (403, "SF4011"), "{method}: {}", found.text);
    }
}
