//! Webhooks, addresses, and what is left behind.

use serde_json::{Value, json};
use surefoot::Engine;
use surefoot_server::ServerConfig;

use crate::expressions::{deploy, ended, valued};
use crate::support::{Answer, Server, answer};

/// A server with a webhook that is signed, or whose secret nobody has set.
pub async fn hooked(secret: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(&file, "hook_key=correct horse battery staple\n").unwrap();
    let secrets = surefoot::SecretsConfig { file: Some(file), ..Default::default() };
    let config = surefoot::Config { secrets, ..Default::default() };
    let engine = Engine::builder().config(config).open().await.unwrap();
    let source = format!(
        "{{id: hooked, triggers: [{{webhook: {{path: in, secret: {secret}}}}}], tasks: {{t: {{uses: transform, with: 1}}}}}}"
    );
    engine.deploy(&source).await.unwrap();
    (Server::over(engine, ServerConfig::default()).await, folder)
}

pub async fn delivered(server: &Server, signature: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server.request("POST", "/hooks/in").header("webhook-id", "d1");
    let request = request.header("webhook-timestamp", server.engine.now() / 1000);
    let request = match signature {
        "" => request,
        signature => request.header("webhook-signature", signature),
    };
    answer(request.header("content-type", "application/json").body(body)).await
}

pub async fn a_webhook_without_a_good_signature_is_refused() {
    let (server, _folder) = hooked("hook_key").await;
    for signature in ["", "none", "sha256=", "sha1=00", "none=00", "sha256=0000", "sha256=zz"] {
        let told = delivered(&server, signature, "{}").await;
        assert_eq!((told.status, told.code()), (401, "SF4100"), "{signature}: {}", told.text);
    }
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]));
}

pub async fn a_webhook_whose_secret_is_missing_is_refused() {
    let (server, _folder) = hooked("nobody_set_it").await;
    for signature in ["", "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"]
    {
        let told = delivered(&server, signature, "").await;
        assert!(matches!(told.status, 401 | 503), "{signature}: {}", told.text);
    }
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]));
}

pub async fn a_huge_webhook_is_refused() {
    let (server, _folder) = hooked("hook_key").await;
    // One that is none is refused before the body is read.
    let signature = format!("sha256={}", "0".repeat(64));
    let told = delivered(&server, &signature, " ".repeat((4 << 20) + 1)).await;
    assert_eq!((told.status, told.code()), (413, "SF4004"), "{}", told.text);
}

pub async fn inner_addresses_are_refused(urls: &[&str]) {
    let server = Server::open().await;
    for url in urls {
        let task = json!({"uses": "http", "with": {"method": "GET", "url": "${{ input.url }}"}});
        let source = json!({"id": "probe", "version": "1.0.0", "input": {"type": "object"}, "tasks": {"t": task}});
        let deployed = deploy(&server, source.to_string()).await;
        assert!(matches!(deployed.status, 200 | 201), "{}", deployed.text);
        let run = ended(&server, json!({"url": url})).await;
        assert_eq!(run["status"], "failed", "{url}: {run}");
        let kind = run["error"]["error"]["type"].as_str().unwrap_or_default();
        assert!(!matches!(kind, "connect" | "timeout" | "http_status"), "{url} was dialled: {run}");
    }
}

#[cfg(unix)]
pub async fn the_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner").join("store.db");
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    let url = format!("sqlite:{}", path.display());
    let engine = Engine::builder().store(&url).open().await.unwrap();
    engine.deploy(&valued("x")).await.unwrap();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", entry.path().display());
    }
}

#[cfg(not(unix))]
pub async fn the_store_is_for_its_owner_alone() {}

pub async fn a_secret_is_blotted_before_text_is_cut() {
    const SECRET: &str = "hunter2-hunter2-hunter2";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(&file, format!("key={SECRET}\n")).unwrap();
    let secrets = surefoot::SecretsConfig { file: Some(file), ..Default::default() };
    let mut config = surefoot::Config { secrets, ..Default::default() };
    // The limit falls into the midst of the secret.
    config.limits.log_bytes = 1_000 + SECRET.len() / 2;
    let handler = |context: surefoot::Context, input: Value| async move {
        let key = input["key"].as_str().unwrap_or_default().to_owned();
        context.log("info", &format!("{}{key}", "x".repeat(1_000)));
        Ok::<_, surefoot::TaskError>(json!({"told": key}))
    };
    let engine = Engine::builder().config(config).handler("tell", handler);
    let engine = engine.open().await.unwrap();
    engine
        .deploy("{id: probe, tasks: {t: {uses: tell, with: {key: '${{ secrets.key }}'}}}}")
        .await
        .unwrap();
    let outcome = engine.execute(surefoot::StartRequest::new("probe")).await.unwrap();
    let server = Server::over(engine, ServerConfig::default()).await;
    let run = outcome.run;
    for path in [
        format!("/v1/runs/{run}"),
        format!("/v1/runs/{run}/tasks/t/logs"),
        format!("/v1/runs/{run}/records"),
        format!("/v1/runs/{run}/history"),
    ] {
        let told = server.get(&path).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text);
        assert!(
            !told.text.contains("hunter2"),
            "{path} shows it: {}",
            &told.text[..told.text.len().min(2_000)]
        );
    }
}
