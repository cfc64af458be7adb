//! Where a run stands in a distributed trace: the `traceparent` of W3C Trace Context, and the
//! `tracestate` that goes with it unchanged.
//!
//! Every id here is read off the run: its trace, its span, the span of each attempt. So nothing is
//! kept for them, and a span that is told again after a crash is the same span.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::run::{Created, TaskId};

/// The length of a `traceparent` of version 00.
const LEN: usize = 55;
const SAMPLED: u8 = 1;
/// Letters of a `tracestate` that are handed on, as the specification wants at least.
const STATE_LEN_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;
/// Members that are longer go first when a `tracestate` is too long.
const STATE_MEMBER_LEN_LONG: usize = 128;
/// Letters of the key of a member, and of its value.
const STATE_PART_LEN_MAX: usize = 256;

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

/// What a caller says of its trace, as the specification writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What tracing systems tell each other. Only ever beside a `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// Keeps what is valid. Without a place in a trace its state says nothing.
    pub fn read(traceparent: Option<&str>, tracestate: Option<&str>) -> TraceContext {
        let Some(traceparent) = traceparent.filter(|it| TraceParent::read(it).is_some()) else {
            return TraceContext::default();
        };
        TraceContext {
            traceparent: Some(traceparent.to_owned()),
            tracestate: tracestate.and_then(tracestate_to_hand_on),
        }
    }
}

/// Returns the members of a `tracestate`, in their order; as many as there is room for. Nothing if
/// any of them is malformed.
fn tracestate_to_hand_on(text: &str) -> Option<String> {
    let members = text.split(',').map(|it| it.trim_matches([' ', '\t']));
    let mut members: Vec<&str> = members.filter(|it| !it.is_empty()).collect();
    let mut keys = std::collections::BTreeSet::new();
    let is_valid = members.len() <= STATE_MEMBERS_MAX
        && members.iter().all(|it| state_key(it).is_some_and(|key| keys.insert(key)));
    if !is_valid {
        return None;
    }
    let len = |members: &[&str]| members.iter().map(|it| it.len() + 1).sum::<usize>();
    while len(&members) > STATE_LEN_MAX + 1 {
        let long = members.iter().rposition(|it| it.len() > STATE_MEMBER_LEN_LONG);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    (!members.is_empty()).then(|| members.join(","))
}

/// Returns the key of a well-formed member.
fn state_key(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let starts = key.starts_with(|it: char| it.is_ascii_lowercase() || it.is_ascii_digit());
    let is_key = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-*/@".contains(&it);
    let is_value = |it: u8| matches!(it, b' '..=b'~') && it != b',' && it != b'=';
    let fits = key.len() <= STATE_PART_LEN_MAX && (1..=STATE_PART_LEN_MAX).contains(&value.len());
    let is_valid = starts && fits && key.bytes().all(is_key) && value.bytes().all(is_value);
    is_valid.then_some(key)
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

    #[test]
    fn a_tracestate_is_handed_on_unless_it_is_malformed() {
        let of = |text: &str| TraceContext::read(Some(VALID), Some(text)).tracestate;
        let many = |count: usize| (0..count).map(|it| format!("k{it}=v")).collect::<Vec<_>>();
        let (key, value) = ("k".repeat(257), "v".repeat(257));
        for text in ["a=1", "a=1,b=2", "t61@sys=x y", "0a/b*c-d_e=!~", &many(32).join(",")] {
            assert_eq!(of(text).as_deref(), Some(text), "{text}");
        }
        assert_eq!(of(" a=1 ,\t, b=2,").as_deref(), Some("a=1,b=2"), "only spaces are left out");
        for text in [
            "",
            ",",
            "a",
            "a=",
            "=1",
            "A=1",
            "a =1",
            "_a=1",
            "a=b=c",
            "a=1,b",
            "a=é",
            "a=1\u{7f}",
            "a=1,a=2",
            &many(33).join(","),
            &format!("{key}=v"),
            &format!("k={value}"),
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_tracestate_that_is_too_long_loses_whole_members_the_long_ones_first() {
        let member = |key: &str, len: usize| format!("{key}={}", "v".repeat(len - key.len() - 1));
        let of = |members: &[String]| TraceContext::read(Some(VALID), Some(&members.join(",")));
        let short = |key: &str| member(key, 127);
        let fits = [short("a"), short("b"), short("c"), member("d", 128)];
        assert_eq!(fits.join(",").len(), 512);
        assert_eq!(of(&fits).tracestate.as_deref(), Some(fits.join(",").as_str()));
        let long = [member("a", 129), short("b"), short("c"), short("d"), short("e")];
        assert_eq!(of(&long).tracestate.as_deref(), Some(long[1..].join(",").as_str()));
        let many = [short("a"), short("b"), short("c"), short("d"), short("e")];
        assert_eq!(of(&many).tracestate.as_deref(), Some(many[..4].join(",").as_str()));
    }

    #[test]
    fn a_tracestate_without_a_place_says_nothing() {
        for traceparent in [None, Some("00-zz")] {
            assert_eq!(TraceContext::read(traceparent, Some("a=1")), TraceContext::default());
        }
    }
}
