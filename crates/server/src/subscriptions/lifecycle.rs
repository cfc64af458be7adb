//! A record as CloudEvents 1.0: what a receiver outside is told of the life of runs and tasks.

use serde_json::{Value, json};
use surefoot::core::run::{Run, Wait};
use surefoot::core::trace::TraceParent;
use surefoot::store::{JournalEntry, RunRow};
use surefoot::{Event, Record, RunStatus};

use crate::time;

/// What stands before the type of every event.
const DOMAIN: &str = "dev.surefoot";

/// An event, and what it is called in a subscription (`run.failed`).
pub(crate) struct Told {
    pub kind: &'static str,
    /// Its place among the events of the record.
    pub index: usize,
    pub event: Value,
}

/// Returns what a record tells. `run` is the run as it was after it.
pub(crate) fn of_record(entry: &JournalEntry, record: &Record, run: &Run) -> Vec<Told> {
    let told = record.events.iter().enumerate().filter_map(|(index, event)| {
        let kind = kind(event)?;
        let (_, task, detail) = run.describe(event);
        let created = &run.state().created;
        let mut data = json!({
            "run": entry.run,
            "workflow": created.workflow,
            "version": created.version,
            "status": run.state().status.name(),
            "actor": record.by.actor,
            "detail": detail,
        });
        if !task.is_empty() {
            data["task"] = task.into();
        }
        if let Some(error) = error(event, run) {
            data["error"] = error;
        }
        let place = TraceParent::of_run(entry.run, created).to_string();
        let mut event = json!({
            "specversion": "1.0",
            "id": format!("{}/{}/{index}", entry.run, entry.seq),
            "source": format!("/workflows/{}", created.workflow),
            "type": format!("{DOMAIN}.{kind}.v1"),
            "subject": entry.run,
            "time": time::text(record.at),
            "datacontenttype": "application/json",
            "sequence": format!("{:020}.{index:04}", entry.position),
            "partitionkey": entry.run,
            "traceparent": place,
            "data": data,
        });
        if let Some(tracestate) = &created.tracestate {
            event["tracestate"] = json!(tracestate);
        }
        Some(Told { kind, index, event })
    });
    told.collect()
}

/// Returns what is told of a run that has not ended in time.
pub(crate) fn late(row: &RunRow, now: u64) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("{}/late", row.id),
        "source": format!("/workflows/{}", row.workflow),
        "type": format!("{DOMAIN}.run.late.v1"),
        "subject": row.id,
        "time": time::text(now),
        "datacontenttype": "application/json",
        "partitionkey": row.id,
        "data": {
            "run": row.id,
            "workflow": row.workflow,
            "version": row.version,
            "status": row.status,
            "actor": row.actor,
            "detail": format!("created at {} and not ended", time::text(row.created_at)),
        },
    })
}

/// What an event is called outside; nothing for what is of no interest there.
fn kind(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Started { .. } => "run.started",
        Event::Paused => "run.paused",
        Event::Resumed { .. } => "run.resumed",
        Event::Ended { status: RunStatus::Completed, .. } => "run.completed",
        Event::Ended { status: RunStatus::Failed, .. } => "run.failed",
        Event::Ended { .. } => "run.cancelled",
        Event::Dispatched { .. } => "task.started",
        Event::Retrying { .. } => "task.retried",
        Event::Completed { .. } => "task.completed",
        Event::Failed { .. } => "task.failed",
        Event::Skipped { .. } => "task.skipped",
        // A pause of its own accord and a sub-run are work, not waiting.
        Event::Waiting { wait: Wait::Signal { .. } | Wait::Approval(_) | Wait::Event, .. } => {
            "task.waiting"
        }
        Event::Escalated { .. } => "task.escalated",
        _ => return None,
    })
}

/// Every kind that there is, for who subscribes.
pub(crate) const KINDS: [&str; 13] = [
    "run.started",
    "run.paused",
    "run.resumed",
    "run.completed",
    "run.failed",
    "run.cancelled",
    "task.started",
    "task.retried",
    "task.completed",
    "task.failed",
    "task.skipped",
    "task.waiting",
    "task.escalated",
];

fn error(event: &Event, run: &Run) -> Option<Value> {
    match event {
        Event::Failed { error, .. } | Event::Retrying { error, .. } => {
            Some(json!({"type": error.kind, "message": error.message}))
        }
        Event::Ended { .. } => {
            let error = run.state().error.as_ref()?;
            Some(json!({
                "task": error.task,
                "type": error.error.kind,
                "message": error.error.message,
            }))
        }
        _ => None,
    }
}
