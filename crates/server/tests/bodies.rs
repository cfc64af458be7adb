//! Every body that a route takes, with a field that it does not know and with a wrong type in each
//! field, down to the innermost: made from the OpenAPI document, so a new route is tried as well.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server, answer};

/// Names sort before every other, so that this one is read first.
const UNKNOWN: &str = "!unknown";

/// Bodies that are whatever their sender says, or a source; they have tests of their own.
const FREE: [&str; 5] = [
    "POST /hooks/{name}",
    "POST /v1/check",
    "POST /v1/ingest",
    "POST /v1/runs/{id}/signals/{name}",
    "PUT /v1/workflows/{id}",
];

/// A body that is wrong in one place.
struct Probe {
    body: Value,
    pointer: String,
}

struct Schemas(Value);

impl Schemas {
    /// Follows references, and takes what may be missing for what it is if it is there.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return self.resolved(&self.0["components"]["schemas"][name]);
        }
        let choices = schema["oneOf"].as_array();
        let present = choices.and_then(|it| it.iter().find(|it| it["type"] != "null"));
        present.map_or(schema, |it| self.resolved(it))
    }

    /// Returns a body for each way to be wrong.
    fn probes(&self, schema: &Value) -> Vec<Probe> {
        let schema = self.resolved(schema);
        let wrong = |body: Value| Probe { body, pointer: String::new() };
        let mut probes = Vec::new();
        match kind(schema) {
            "object" => probes.push(wrong(json!("text"))),
            "array" | "boolean" | "integer" | "number" => probes.push(wrong(json!({"a": 1}))),
            "string" => probes.push(wrong(json!([1]))),
            _ => {}
        }
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "it takes anything: {schema}");
            let pointer = format!("/{UNKNOWN}");
            probes.push(Probe { body: json!({UNKNOWN: 1}), pointer });
            for (name, inner) in properties {
                probes.extend(self.probes(inner).into_iter().map(|it| Probe {
                    body: json!({name: it.body}),
                    pointer: format!("/{name}{}", it.pointer),
                }));
            }
        }
        if kind(schema) == "array" {
            probes.extend(
                self.probes(&schema["items"]).into_iter().map(|it| Probe {
                    body: json!([it.body]),
                    pointer: format!("/0{}", it.pointer),
                }),
            );
        }
        probes
    }
}

/// Returns the type that a schema asks for; nothing if any will do.
fn kind(schema: &Value) -> &str {
    let types = &schema["type"];
    let first = types.as_array().and_then(|it| it.iter().find(|it| *it != "null"));
    first.unwrap_or(types).as_str().unwrap_or_default()
}

/// A result is read only for a lease that there is, and a wrong one ends it.
async fn lease(server: &Server) -> String {
    let said = json!({"name": "w", "capabilities": ["pay"], "slots": 1, "protocol": 1});
    let worker = server.post("/v1/workers", said).await.body["worker"].clone();
    server.started("shop", "{id: shop, tasks: {pay: {uses: pay}}}", Value::Null).await;
    let path = format!("/v1/workers/{}/poll", worker.as_str().unwrap());
    let polled = server.post(&path, json!({"slots": 1, "wait_seconds": 20})).await;
    polled.body["tasks"][0]["lease"].as_str().unwrap().to_owned()
}

async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let path = match path.contains("/leases/") {
        true => path.replace("{lease}", &lease(server).await),
        false => path.to_owned(),
    };
    let path = path
        .replace("/runs/{id}", "/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8")
        .replace("/tasks/{id}", "/tasks/01JD8X3M7QK4S6T8V0W2Y4Z6B8:ask");
    let parts = path.split('/').map(|it| if it.starts_with('{') { "x" } else { it });
    let path = parts.collect::<Vec<_>>().join("/");
    answer(server.request(method, &path).json(body)).await
}

#[tokio::test]
async fn every_field_of_every_body_is_known_and_of_its_type() {
    let server = Server::open().await;
    let document = Schemas(serde_json::to_value(server.service.document()).unwrap());
    let (mut findings, mut count, mut free) = (Vec::new(), 0, Vec::new());
    for (path, operations) in document.0["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            let method = method.to_uppercase();
            let route = format!("{method} {path}");
            let probes: Vec<_> =
                content.values().flat_map(|it| document.probes(&it["schema"])).collect();
            if FREE.contains(&&*route) {
                free.push(route);
                continue;
            }
            assert!(!probes.is_empty(), "{route}");
            for probe in probes {
                let told = send(&server, &method, path, &probe.body).await;
                let found = (told.status, told.code(), told.body["errors"][0]["pointer"].as_str());
                if found != (422, "SF4023", Some(&*probe.pointer)) {
                    findings.push(format!("{route} {}: {}", probe.body, told.text));
                }
                if told.body["hint"].as_str().is_none_or(str::is_empty) {
                    findings.push(format!("{route} {}: no hint", probe.body));
                }
                count += 1;
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    assert_eq!(free, FREE);
    assert!(count > 100, "{count}");
}
