//! Forgetting a run: nothing of what somebody sent is left, in answers or on the disk.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Server, answer};
use surefoot::Engine;
use surefoot_server::ServerConfig;

const PARENT: &str =
    "{id: parent, tasks: {sub: {uses: workflow, with: {id: child, input: '${{ input }}'}}}}";
const CHILD: &str = "{id: child, tasks: {say: {uses: log, with: {message: '${{ input.who }}'}}, \
     keep: {uses: transform, with: {value: '${{ input.who }}'}}, \
     go: {uses: signal, with: {name: go, timeout: 1h}}}, output: '${{ tasks.keep.output }}'}";

/// Says in which files of a folder a text is.
fn found(folder: &Path, text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        if bytes.windows(text.len()).any(|it| it == text.as_bytes()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

/// Starts a run that starts another, which waits.
async fn started(server: &Server, who: &str) -> (String, String) {
    let parent = server.started("parent", PARENT, json!({"who": who})).await;
    let child = support::until(async || {
        let all = server.get("/v1/runs?workflow=child&status=running").await;
        let items = all.body["items"].as_array().unwrap().clone();
        let own = items.into_iter().find(|it| it["parent"] == *parent)?;
        Some(own["id"].as_str().unwrap().to_owned())
    });
    let child = child.await;
    (parent, child)
}

#[tokio::test]
async fn a_run_is_erased_from_answers_and_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("store.db").display());
    let engine = Engine::builder().store(&store).open().await.unwrap();
    let server = Server::over(engine, ServerConfig::default()).await;
    server.put("/v1/workflows/child", CHILD).await;
    let (ada, grace) = ("ada-lovelace-1815-".repeat(200), "grace-hopper-1906-".repeat(200));
    let (parent, child) = started(&server, &ada).await;
    let (kept, other) = started(&server, &grace).await;
    let erase = |id: &str| answer(server.request("DELETE", &format!("/v1/runs/{id}")));

    // As long as it goes on, nothing is taken from under it: not even by its sub-run alone.
    for id in [&parent, &child] {
        let told = erase(id).await;
        assert_eq!((told.status, told.code()), (409, "SF4016"), "{}", told.text);
        assert!(told.body["hint"].as_str().unwrap().contains("cancel it first"), "{}", told.text);
    }
    for (run, child) in [(&parent, &child), (&kept, &other)] {
        server.post(&format!("/v1/runs/{child}/signals/go"), json!({"from": ada})).await;
        let ended = server.get(&format!("/v1/runs/{run}/result?wait=30")).await;
        assert_eq!(ended.body["status"], "completed", "{}", ended.text);
    }
    let (ada, grace) = ("ada-lovelace-1815", "grace-hopper-1906");
    assert!(!found(folder.path(), ada).is_empty(), "it is not compressed or the like");

    // What was sent to the other run was ada's too: it goes first, and comes back nowhere.
    assert_eq!(erase(&kept).await.status, 204);
    assert!(found(folder.path(), grace).is_empty(), "{:?}", found(folder.path(), grace));
    assert!(!found(folder.path(), ada).is_empty(), "the other run is whole");
    assert_eq!(server.get(&format!("/v1/runs/{child}")).await.status, 200);

    assert_eq!(erase(&parent).await.status, 204);
    assert!(found(folder.path(), ada).is_empty(), "{:?}", found(folder.path(), ada));
    for id in [&parent, &child] {
        for path in ["", "/history", "/tasks", "/logs", "/result", "/trace"] {
            let told = server.get(&format!("/v1/runs/{id}{path}")).await;
            assert_eq!((told.status, told.code()), (404, "SF4012"), "{path}: {}", told.text);
        }
        assert_eq!(erase(id).await.status, 404);
    }
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]));
    let damage = server.engine.store().verify().await.unwrap();
    assert!(damage.is_empty(), "{damage:?}");
    let audit = server.get("/v1/audit").await;
    let erased = |it: &&Value| it["action"] == "DELETE /v1/runs/{id}" && it["status"] == 204;
    assert_eq!(audit.body["items"].as_array().unwrap().iter().filter(erased).count(), 2);
}
