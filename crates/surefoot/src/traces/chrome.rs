//! One run as a file that Perfetto (ui.perfetto.dev) and `chrome://tracing` open: a row for the run
//! and one for each task.

use std::collections::HashMap;

use serde_json::{Value, json};
use surefoot_core::run::{Ending, RunState, Span, Subject};
use surefoot_core::time::Millis;

/// Every row is in one process: the run.
const PROCESS: u32 = 1;
const RUN_ROW: u32 = 0;

/// Writes spans in the JSON trace event format. What goes on ends `now`.
pub fn chrome(state: &RunState, spans: &[Span], now: Millis) -> Value {
    let mut rows: HashMap<&str, u32> = HashMap::new();
    let workflow = &state.created.workflow;
    let process = format!("{workflow} {}", state.id);
    let mut events = vec![
        json!({"ph": "M", "pid": PROCESS, "name": "process_name", "args": {"name": process}}),
        row_name(RUN_ROW, workflow),
    ];
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|it| it.start);
    for span in spans {
        let row = match &span.subject {
            Subject::Run => RUN_ROW,
            Subject::Task { path, .. } => {
                let next = rows.len() as u32 + 1;
                *rows.entry(path).or_insert_with(|| {
                    events.push(row_name(next, path));
                    next
                })
            }
        };
        events.push(event(span, row, workflow, now));
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": {"run": state.id, "workflow": workflow, "version": state.created.version},
        "traceEvents": events,
    })
}

fn row_name(row: u32, name: &str) -> Value {
    json!({"ph": "M", "pid": PROCESS, "tid": row, "name": "thread_name", "args": {"name": name}})
}

fn event(span: &Span, row: u32, workflow: &str, now: Millis) -> Value {
    let end = span.end.as_ref().map_or(now, |it| it.0);
    let mut arguments = match &span.end {
        None => json!({"outcome": "going on"}),
        Some((_, Ending::Completed)) => json!({"outcome": "completed"}),
        Some((_, Ending::Failed(error))) => {
            json!({"outcome": "failed", "error": error.kind, "message": error.message})
        }
        Some((_, Ending::Lost(reason))) => json!({"outcome": "lost", "message": reason}),
        Some((_, Ending::Cancelled)) => json!({"outcome": "cancelled"}),
    };
    let (name, category) = match &span.subject {
        Subject::Run => (workflow.to_owned(), "run"),
        Subject::Task { path, kind, attempt, worker } => {
            arguments["attempt"] = json!(attempt);
            if let Some(worker) = worker {
                arguments["worker"] = json!(worker);
            }
            (path.clone(), kind.as_deref().unwrap_or("group"))
        }
    };
    json!({
        "ph": "X",
        "pid": PROCESS,
        "tid": row,
        "name": name,
        "cat": category,
        "ts": span.start * 1000,
        "dur": end.saturating_sub(span.start) * 1000,
        "args": arguments,
    })
}
