//! Where a run stands in a distributed trace: the `traceparent` of W3C Trace Context.
//!
//! Every id here is read off the run: its trace, its span, the span of each attempt. So nothing is
//! kept for them, and a span that is told again after a crash is the same span.

use std::fmt;

use data_encoding::HEXLOWER;

use crate::ids::RunId;
use crate::run::{Created, TaskId};

/// The length of a `traceparent` of version 00.
const LEN: usize = 55;
const SAMPLED: u8 = 1;

pub type TraceId = [u8; 16];
pub type SpanId = [u8; 8];

/// A place in a trace, as one program hands it to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace: TraceId,
    pub span: SpanId,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads a header. Nothing if it is not valid: then the specification wants it ignored.
    pub fn read(text: &str) -> Option<TraceParent> {
        let bytes = text.as_bytes();
        let [version] = unhex::<1>(bytes.get(..2)?)?;
        let fits = match version {
            0 => bytes.len() == LEN,
            0xff => false,
            // A later version may have more behind another hyphen.
            _ => bytes.len() == LEN || bytes.get(LEN) == Some(&b'-'),
        };
        let has_hyphens = [2, 35, 52].iter().all(|it| bytes.get(*it) == Some(&b'-'));
        if !fits || !has_hyphens {
            return None;
        }
        let (trace, span) = (unhex(&bytes[3..35])?, unhex(&bytes[36..52])?);
        let [flags] = unhex::<1>(&bytes[53..LEN])?;
        let is_null = trace == TraceId::default() || span == SpanId::default();
        (!is_null).then_some(TraceParent { trace, span, is_sampled: flags & SAMPLED != 0 })
    }

    /// Returns the place of a run: the trace of whoever started it, or else one of its own.
    pub fn of_run(run: RunId, created: &Created) -> TraceParent {
        let (trace, is_sampled) = match TraceParent::caller(created) {
            Some(caller) => (caller.trace, caller.is_sampled),
            None => (run.to_bytes(), true),
        };
        TraceParent { trace, span: span_id(run, None, None), is_sampled }
    }

    /// Returns the place from which a run was started, if it was told.
    pub fn caller(created: &Created) -> Option<TraceParent> {
        TraceParent::read(created.traceparent.as_deref()?)
    }

    /// Returns the place of an attempt of a run.
    pub fn of_attempt(run: RunId, created: &Created, task: TaskId, attempt: u32) -> TraceParent {
        let span = span_id(run, Some((task, attempt)), None);
        TraceParent { span, ..TraceParent::of_run(run, created) }
    }
}

/// Returns the id of the span of a run, of an attempt of it, or of what ended within one record.
pub(crate) fn span_id(run: RunId, attempt: Option<(TaskId, u32)>, record: Option<u64>) -> SpanId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&run.to_bytes());
    if let Some((task, attempt)) = attempt {
        hasher.update(&task.0.to_le_bytes());
        hasher.update(&attempt.to_le_bytes());
    }
    if let Some(record) = record {
        hasher.update(&record.to_le_bytes());
    }
    let mut id = SpanId::default();
    id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    id
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceParent { trace, span, is_sampled } = self;
        write!(f, "00-{}-{}-{:02x}", hex(trace), hex(span), u8::from(*is_sampled))
    }
}

/// Writes an id as traces have it.
pub fn hex(id: &[u8]) -> String {
    HEXLOWER.encode(id)
}

/// Reads lower-case digits; the specification knows no others.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    HEXLOWER.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid_is_read_and_written_again() {
        for (text, expected) in [
            (VALID, VALID),
            // Flags that are not known are not handed on.
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            ),
            // Later versions are read as this one.
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", VALID),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more-of-it", VALID),
        ] {
            let read = TraceParent::read(text).map(|it| it.to_string());
            assert_eq!(read.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_valid_is_ignored() {
        for text in [
            "",
            "00",
            "00-é",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::read(text), None, "{text}");
        }
    }
}
