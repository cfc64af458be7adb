//! The kind `emit`: sends a CloudEvent (1.0, structured JSON over HTTP). Its id is the idempotency
//! key of the task, so a receiver that drops known ids sees each event once.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use surefoot_core::task_error::TaskError;

use super::parameters::{parse, present};
use super::{Context, HttpKind, Kind};

/// `[emit]` in surefoot.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmitConfig {
    /// Where events go that name no `to`.
    pub sink: Option<String>,
    /// The `source` of events that name none; `/surefoot/<workflow>` if not given.
    pub source: Option<String>,
}

pub struct EmitKind {
    config: EmitConfig,
    http: Arc<HttpKind>,
}

/// `with` of an `emit` task. Its schema is `surefoot_core::kind_schema::emit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    #[serde(rename = "type")]
    kind: String,
    source: Option<String>,
    subject: Option<String>,
    #[serde(default, deserialize_with = "present")]
    data: Option<Value>,
    to: Option<String>,
}

impl EmitKind {
    /// Events travel through `http`, under its address guard.
    pub fn new(config: EmitConfig, http: Arc<HttpKind>) -> EmitKind {
        EmitKind { config, http }
    }
}

#[async_trait]
impl Kind for EmitKind {
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let with: With = parse("emit", with)?;
        let Some(url) = with.to.clone().or_else(|| self.config.sink.clone()) else {
            return Err(TaskError::fatal(
                "no_sink",
                "the event has nowhere to go: give `to` in the task or `sink` under [emit] in surefoot.toml",
            ));
        };
        let request = json!({
            "method": "POST",
            "url": url,
            "headers": {"content-type": "application/cloudevents+json"},
            "body": self.event(context, with).to_string(),
        });
        let answer = self.http.run(context, request).await?;
        Ok(json!({"id": context.idempotency_key, "status": answer["status"], "url": answer["url"]}))
    }
}

impl EmitKind {
    fn event(&self, context: &Context, with: With) -> Value {
        let source = with.source.or_else(|| self.config.source.clone());
        let mut event = Map::new();
        let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
        set("specversion", "1.0".into());
        set("id", context.idempotency_key.clone().into());
        set("source", source.unwrap_or_else(|| format!("/surefoot/{}", context.workflow)).into());
        set("type", with.kind.into());
        set("time", jiff::Timestamp::now().to_string().into());
        // The extension for distributed tracing: whoever takes the event goes on with the trace.
        for (name, value) in
            [("traceparent", &context.traceparent), ("tracestate", &context.tracestate)]
        {
            if !value.is_empty() {
                set(name, value.clone().into());
            }
        }
        if let Some(subject) = with.subject {
            set("subject", subject.into());
        }
        if let Some(data) = with.data {
            set("datacontenttype", "application/json".into());
            set("data", data);
        }
        Value::Object(event)
    }
}
