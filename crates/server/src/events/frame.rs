//! What a client is sent: one record or one log line, as server-sent events have it.

use serde::Serialize;
use surefoot::Record;
use surefoot::core::run::Run;
use surefoot::store::{JournalEntry, StoredLog};
use surefoot_client::wire::{LogEvent, RecordEvent};

use super::position::Position;
use crate::{runs, time};

/// One event and where it stands. The text is made once for all clients; the `id` is each one's
/// own, for it says how far that client has come.
#[derive(Debug)]
pub(crate) struct Frame {
    pub place: Place,
    text: String,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Record(i64),
    Line(i64),
}

impl Frame {
    pub fn of_record(entry: &JournalEntry, record: &Record, run: &Run) -> Frame {
        let told = runs::show::of_record(run, entry.seq, record);
        let event = RecordEvent {
            run: entry.run.to_string(),
            workflow: run.state().created.workflow.clone(),
            seq: entry.seq,
            at: told.at,
            actor: told.actor,
            reason: told.reason,
            status: run.state().status.name().to_owned(),
            events: told.events,
        };
        Frame { place: Place::Record(entry.position), text: text("record", &event) }
    }

    pub fn of_line(stored: &StoredLog) -> Frame {
        let line = &stored.line;
        let event = LogEvent {
            run: line.run.to_string(),
            task: line.task.clone(),
            attempt: line.attempt,
            at: time::text(line.at),
            level: line.stream.clone(),
            text: line.text.clone(),
        };
        Frame { place: Place::Line(stored.position), text: text("log", &event) }
    }

    /// Writes it for a client that has come as far as `at`, and moves `at`. Nothing if the client
    /// has seen it already.
    pub fn write(&self, at: &mut Position) -> Option<String> {
        let (count, place) = match self.place {
            Place::Record(place) => (&mut at.journal, place),
            Place::Line(place) => (&mut at.logs, place),
        };
        if place <= *count {
            return None;
        }
        *count = place;
        Some(format!("id: {at}\n{}", self.text))
    }
}

/// JSON has no line breaks of its own, so it is one line of `data`.
fn text(event: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n")
}
