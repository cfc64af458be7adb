//! Spans as the OpenTelemetry protocol has them, in its JSON form: ids in hexadecimal digits,
//! 64-bit numbers as texts.

use serde_json::{Value, json};
use surefoot_core::run::{Ending, RunState, Span, Subject, bare_path};
use surefoot_core::trace::{TraceParent, hex};

/// `SpanKind`: a run is asked for from outside, an attempt is not.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// `StatusCode`. What was cancelled has none.
const OK: u8 = 1;
const ERROR: u8 = 2;

/// Writes a span that has ended; nothing of one that goes on.
pub fn span(span: &Span, state: &RunState) -> Option<Value> {
    let (end, ending) = span.end.as_ref()?;
    let place = TraceParent::of_run(state.id, &state.created);
    let (name, kind) = match &span.subject {
        Subject::Run => (state.created.workflow.clone(), SERVER),
        // Names of spans are to be few: an item is told by its attribute.
        Subject::Task { path, .. } => (bare_path(path), INTERNAL),
    };
    let mut told = json!({
        "traceId": hex(&place.trace),
        "spanId": hex(&span.id),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(*end),
        "attributes": attributes(span, state, ending),
        "status": status(ending),
    });
    if let Some(parent) = span.parent {
        told["parentSpanId"] = hex(&parent).into();
    }
    Some(told)
}

/// Writes the body of a request.
pub fn request(service_name: &str, spans: &[Value]) -> Value {
    let resource = vec![
        text("service.name", service_name),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.name", "surefoot"),
    ];
    let scope = json!({"name": "surefoot", "version": env!("CARGO_PKG_VERSION")});
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn nanoseconds(at: u64) -> String {
    (u128::from(at) * 1_000_000).to_string()
}

fn attributes(span: &Span, state: &RunState, ending: &Ending) -> Vec<Value> {
    let created = &state.created;
    let run = state.id.to_string();
    let mut all = vec![
        text("surefoot.workflow.name", &created.workflow),
        text("surefoot.workflow.version", &created.version),
        text("surefoot.run.id", &run),
        // What boards for pipelines look for.
        text("cicd.pipeline.name", &created.workflow),
        text("cicd.pipeline.run.id", &run),
    ];
    match &span.subject {
        Subject::Run => all.push(text("cicd.pipeline.result", result(ending))),
        Subject::Task { path, kind, attempt, worker } => {
            all.push(text("surefoot.task.name", path));
            all.extend(kind.as_ref().map(|it| text("surefoot.task.type", it)));
            let attempt = json!({"intValue": attempt.to_string()});
            all.push(json!({"key": "surefoot.task.attempt", "value": attempt}));
            all.extend(worker.as_ref().map(|it| text("surefoot.worker.id", it)));
            all.push(text("cicd.pipeline.task.name", path));
            all.push(text("cicd.pipeline.task.run.id", &hex(&span.id)));
            all.push(text("cicd.pipeline.task.run.result", result(ending)));
        }
    }
    all.extend(match ending {
        Ending::Failed(error) => Some(text("error.type", &error.kind)),
        Ending::Lost(_) => Some(text("error.type", "lost")),
        Ending::Completed | Ending::Cancelled => None,
    });
    all
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Names an ending as the conventions for pipelines do.
fn result(ending: &Ending) -> &'static str {
    match ending {
        Ending::Completed => "success",
        Ending::Failed(error) if error.kind == "timeout" => "timeout",
        Ending::Failed(_) => "failure",
        Ending::Lost(_) => "error",
        Ending::Cancelled => "cancellation",
    }
}

fn status(ending: &Ending) -> Value {
    match ending {
        Ending::Completed => json!({"code": OK}),
        Ending::Failed(error) => json!({"code": ERROR, "message": error.message}),
        Ending::Lost(reason) => json!({"code": ERROR, "message": reason}),
        Ending::Cancelled => json!({}),
    }
}
