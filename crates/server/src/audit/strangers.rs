//! Who was not let in, counted by address and minute. However many requests there are, a minute is
//! at most [`ADDRESSES_MAX`] entries and one more, so strangers cannot fill the disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use surefoot::core::time::Millis;
use surefoot_client::wire::AuditEntry;

use crate::time;

/// Addresses of one minute that get an entry of their own; the rest share one.
const ADDRESSES_MAX: usize = 64;
const MINUTE_MS: Millis = 60_000;

/// The counts of the minute that is going on.
#[derive(Default)]
pub(super) struct Strangers(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: u64,
    counts: HashMap<Option<IpAddr>, Count>,
    /// Entries of minutes that are over.
    over: Vec<AuditEntry>,
}

struct Count {
    requests: u64,
    /// What was wanted last.
    action: String,
}

impl Strangers {
    pub fn note(&self, from: Option<IpAddr>, action: &str, now: Millis) {
        let mut minute = self.0.lock().unwrap_or_else(|it| it.into_inner());
        minute.turn_to(now / MINUTE_MS);
        let is_crowd = minute.counts.len() >= ADDRESSES_MAX && !minute.counts.contains_key(&from);
        let from = if is_crowd { None } else { from };
        let count =
            minute.counts.entry(from).or_insert(Count { requests: 0, action: String::new() });
        count.requests += 1;
        action.clone_into(&mut count.action);
    }

    /// Returns the entries of all minutes up to now, also of the one that is going on.
    pub fn take(&self, now: Millis) -> Vec<AuditEntry> {
        let mut minute = self.0.lock().unwrap_or_else(|it| it.into_inner());
        minute.turn_to(now / MINUTE_MS);
        minute.close();
        std::mem::take(&mut minute.over)
    }

    /// Returns the entries of the minutes that are over.
    pub fn take_whole_minutes(&self, now: Millis) -> Vec<AuditEntry> {
        let mut minute = self.0.lock().unwrap_or_else(|it| it.into_inner());
        minute.turn_to(now / MINUTE_MS);
        std::mem::take(&mut minute.over)
    }
}

impl Minute {
    fn turn_to(&mut self, number: u64) {
        if number != self.number {
            self.close();
            self.number = number;
        }
    }

    fn close(&mut self) {
        let at = self.number.saturating_mul(MINUTE_MS);
        let entries = self.counts.drain().map(|(from, count)| entry(from, &count, at));
        self.over.extend(entries);
    }
}

fn entry(from: Option<IpAddr>, count: &Count, at: Millis) -> AuditEntry {
    let from = from.map_or_else(|| "other addresses".to_owned(), |it| it.to_string());
    AuditEntry {
        at: time::text(at),
        actor: "nobody".to_owned(),
        action: count.action.clone(),
        target: from,
        reason: Some(format!("{} requests within this minute were not let in", count.requests)),
        outcome: "refused".to_owned(),
        status: 401,
        ..AuditEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_its_entries_are_bounded() {
        let strangers = Strangers::default();
        for request in 0..100_000_u32 {
            let from = IpAddr::from((request % 1_000).to_be_bytes());
            strangers.note(Some(from), "GET /v1/runs", 60_000);
        }
        assert!(strangers.take_whole_minutes(119_999).is_empty(), "the minute is not over");
        let entries = strangers.take_whole_minutes(120_000);
        assert_eq!(entries.len(), ADDRESSES_MAX + 1);
        let counted = |it: &AuditEntry| -> u64 {
            let reason = it.reason.as_deref().unwrap_or_default();
            reason.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default()
        };
        assert_eq!(entries.iter().map(counted).sum::<u64>(), 100_000, "none is lost");
        assert!(strangers.take(u64::MAX).is_empty());
    }
}
