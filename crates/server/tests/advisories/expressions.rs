//! Expressions and scripts: the language is closed, and what comes out of it is data.

use serde_json::{Value, json};

use crate::support::{Answer, Server, answer};

pub fn valued(value: &str) -> String {
    let task = json!({"uses": "transform", "with": {"value": value}});
    json!({"id": "probe", "version": "1.0.0", "input": {"type": "object"}, "tasks": {"t": task}, "output": "${{ tasks.t.output.value }}"}).to_string()
}

pub async fn deploy(server: &Server, source: String) -> Answer {
    let request = server.request("PUT", "/v1/workflows/probe");
    answer(request.header("content-type", "application/json").body(source)).await
}

pub async fn ended(server: &Server, input: Value) -> Value {
    let request = server.request("POST", "/v1/workflows/probe/runs").header("prefer", "wait=30");
    let run = answer(request.json(&json!({"input": input}))).await;
    assert!(matches!(run.status, 200 | 201), "{}", run.text);
    run.body
}

/// None of these expressions gives a value.
pub async fn escapes(expressions: &[&str]) {
    for expression in expressions {
        let server = Server::open().await;
        let deployed = deploy(&server, valued(&format!("${{{{ {expression} }}}}"))).await;
        if deployed.status == 422 {
            continue;
        }
        assert_eq!(deployed.status, 201, "{expression}: {}", deployed.text);
        let run = ended(&server, json!({"constructor": 1})).await;
        let (status, error) = (&run["status"], &run["error"]["error"]["type"]);
        assert_eq!(status, "failed", "{expression}: {run}");
        assert!(error.as_str().unwrap_or("expression").starts_with("expression"), "{run}");
    }
}

pub async fn stays_text(texts: &[&str]) {
    let server = Server::open().await;
    for (number, text) in texts.iter().enumerate() {
        let source = valued(text).replace("1.0.0", &format!("1.0.{number}"));
        let deployed = deploy(&server, source).await;
        assert!(matches!(deployed.status, 200 | 201), "{text}: {}", deployed.text);
        assert_eq!(ended(&server, json!({})).await["output"], **text);
    }
}

pub async fn data_is_not_evaluated() {
    let server = Server::open().await;
    let source = valued("<${{ input.text }}>");
    assert_eq!(deploy(&server, source).await.status, 201);
    let text = "${{ secrets.key }}${{ 1 + 1 }}";
    assert_eq!(ended(&server, json!({"text": text})).await["output"], format!("<{text}>"));
}
