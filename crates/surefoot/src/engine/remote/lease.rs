//! Leases: which worker may report on which attempt, until when. In memory only: a restart loses
//! the attempts, and with them their leases.
//!
//! ```text
//! held ──complete, fail──► done          the same result again is answered as before
//!  └──expiry, grace, worker left──► lost  any result is refused
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::run::TaskId;
use surefoot_core::time::Millis;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LeaseError, LeaseInfo, Settled};
use crate::secrets::Blotter;

/// Ended leases that are remembered, so that a repeated result gets the same answer. An older one
/// is told that its lease is lost.
const ENDED_MAX: usize = 20_000;
/// What every token begins with.
const PREFIX: &str = "ls_";

/// All leases of one engine since it was opened.
pub(crate) struct Leases {
    /// Tells the tokens of this engine from those of the process before it.
    instance: [u8; 8],
    next: u64,
    held: HashMap<u64, Held>,
    by_worker: BTreeMap<Arc<str>, BTreeSet<u64>>,
    ended: HashMap<u64, Ended>,
    ended_order: VecDeque<u64>,
    lease: Duration,
}

/// An attempt in the hands of a worker.
pub(crate) struct Held {
    pub worker: Arc<str>,
    pub run: RunId,
    pub task: TaskId,
    pub attempt: u32,
    pub workflow: String,
    pub path: String,
    pub kind: String,
    pub since: Millis,
    pub cancel: CancellationToken,
    pub blotter: Blotter,
    /// Bytes of log lines that are still kept.
    pub log_left: usize,
    pub progress: Option<f64>,
    pub message: Option<String>,
    secret: [u8; 32],
    expires: Instant,
    /// Since when its worker has been asked to end it.
    cancelled: Option<Instant>,
}

struct Ended {
    secret: [u8; 32],
    settled: Settled,
    end: End,
}

enum End {
    /// With the digest of its result.
    Done(Digest),
    Lost(String),
}

/// What a token turned out to be, when its worker reports a result.
pub(crate) enum Claim {
    /// The first result. The lease is done with it.
    First(u64, Box<Held>),
    /// The same result as before.
    Again(Settled),
}

/// A lease whose worker was not heard of in time, or that went on for too long after its end.
pub(crate) struct Overdue {
    pub number: u64,
    pub was_cancelled: bool,
}

impl Held {
    pub fn new(worker: Arc<str>, run: RunId, task: TaskId, attempt: u32) -> Held {
        Held {
            worker,
            run,
            task,
            attempt,
            workflow: String::new(),
            path: String::new(),
            kind: String::new(),
            since: 0,
            cancel: CancellationToken::new(),
            blotter: Blotter::default(),
            log_left: 0,
            progress: None,
            message: None,
            secret: rand::random(),
            expires: Instant::now(),
            cancelled: None,
        }
    }

    pub fn settled(&self) -> Settled {
        Settled { run: self.run, task: self.path.clone(), attempt: self.attempt }
    }
}

impl Leases {
    pub fn new(lease: Duration) -> Leases {
        Leases {
            instance: rand::random(),
            next: 0,
            held: HashMap::new(),
            by_worker: BTreeMap::new(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
            lease,
        }
    }

    /// Begins a lease and returns its token, and how long it lasts.
    pub fn issue(&mut self, mut held: Held, now: Instant) -> (String, Duration) {
        let number = self.next;
        self.next += 1;
        held.expires = now + self.lease;
        let token = self.token(number, &held.secret);
        self.by_worker.entry(held.worker.clone()).or_default().insert(number);
        self.held.insert(number, held);
        (token, self.lease)
    }

    /// Returns how long a lease lasts.
    pub fn length(&self) -> Duration {
        self.lease
    }

    /// Returns the number of a token of this engine.
    pub fn number(&self, token: &str) -> Option<u64> {
        self.open(token).ok().map(|(number, _)| number)
    }

    fn token(&self, number: u64, secret: &[u8; 32]) -> String {
        let bytes = [&self.instance[..], &number.to_be_bytes(), secret].concat();
        format!("{PREFIX}{}", HEXLOWER.encode(&bytes))
    }

    /// Finds the lease of a token, for the worker that holds it (or for whoever may speak for any).
    pub fn find(&mut self, token: &str, worker: Option<&str>) -> Result<&mut Held, LeaseError> {
        let (number, secret) = self.open(token)?;
        if let Some(ended) = self.ended.get(&number) {
            let settled = ended.settled.clone();
            return Err(match &ended.end {
                _ if !same(&ended.secret, &secret) => LeaseError::Unknown,
                End::Done(_) => LeaseError::Done(settled),
                End::Lost(reason) => LeaseError::Lost { reason: reason.clone() },
            });
        }
        match self.held.get_mut(&number) {
            Some(held) if same(&held.secret, &secret) => {
                let is_mine = worker.is_none_or(|it| *held.worker == *it);
                if is_mine { Ok(held) } else { Err(LeaseError::Unknown) }
            }
            Some(_) => Err(LeaseError::Unknown),
            None => Err(forgotten()),
        }
    }

    /// Ends a lease with a result, if it is still held.
    pub fn claim(
        &mut self,
        token: &str,
        worker: Option<&str>,
        result: Digest,
    ) -> Result<Claim, LeaseError> {
        match self.find(token, worker) {
            Ok(_) => {}
            Err(LeaseError::Done(settled)) => {
                let (number, _) = self.open(token)?;
                let known = self.ended.get(&number).map(|it| &it.end);
                let is_same = matches!(known, Some(End::Done(it)) if *it == result);
                return if is_same {
                    Ok(Claim::Again(settled))
                } else {
                    Err(LeaseError::Done(settled))
                };
            }
            Err(error) => return Err(error),
        }
        let (number, _) = self.open(token)?;
        let held = self.end(number, End::Done(result)).ok_or_else(forgotten)?;
        Ok(Claim::First(number, Box::new(held)))
    }

    /// Ends a lease without a result.
    pub fn lose(&mut self, number: u64, reason: &str) -> Option<Held> {
        self.end(number, End::Lost(reason.to_owned()))
    }

    /// The result of a lease was refused after all.
    pub fn revoke(&mut self, number: u64, reason: &str) {
        if let Some(ended) = self.ended.get_mut(&number) {
            ended.end = End::Lost(reason.to_owned());
        }
    }

    /// Nobody knows which results of a run are kept: none of its leases counts any longer.
    pub fn disown(&mut self, run: RunId) -> Vec<Held> {
        let reason = "the store lost track of the run";
        for ended in self.ended.values_mut().filter(|it| it.settled.run == run) {
            ended.end = End::Lost(reason.to_owned());
        }
        let mine = self.held.iter().filter(|(_, it)| it.run == run);
        let mine: Vec<u64> = mine.map(|(number, _)| *number).collect();
        mine.into_iter().filter_map(|it| self.lose(it, reason)).collect()
    }

    fn end(&mut self, number: u64, end: End) -> Option<Held> {
        let held = self.held.remove(&number)?;
        if let Some(mine) = self.by_worker.get_mut(&held.worker) {
            mine.remove(&number);
            if mine.is_empty() {
                self.by_worker.remove(&held.worker);
            }
        }
        self.ended.insert(number, Ended { secret: held.secret, settled: held.settled(), end });
        self.ended_order.push_back(number);
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        Some(held)
    }

    /// A worker was heard of: its leases count anew. Where it says which it knows of, those alone:
    /// what it was never told of is somebody else's in time.
    pub fn renew(&mut self, worker: &str, known: Option<&[String]>, now: Instant) {
        let expires = now + self.lease;
        match known {
            None => {
                for number in self.of(worker) {
                    if let Some(held) = self.held.get_mut(&number) {
                        held.expires = expires;
                    }
                }
            }
            Some(known) => {
                for token in known {
                    if let Ok(held) = self.find(token, Some(worker)) {
                        held.expires = expires;
                    }
                }
            }
        }
    }

    /// Makes one lease count anew, and returns for how long.
    pub fn renew_one(&mut self, token: &str, worker: Option<&str>) -> Result<Duration, LeaseError> {
        let lease = self.lease;
        self.find(token, worker)?.expires = Instant::now() + lease;
        Ok(lease)
    }

    pub fn of(&self, worker: &str) -> Vec<u64> {
        self.by_worker.get(worker).into_iter().flatten().copied().collect()
    }

    /// Returns the tokens of a worker's attempts that are to end.
    pub fn cancelled(&self, worker: &str) -> Vec<String> {
        let mine = self.by_worker.get(worker).into_iter().flatten();
        let mine = mine.filter_map(|it| Some((*it, self.held.get(it)?)));
        let cancelled = mine.filter(|(_, it)| it.cancel.is_cancelled());
        cancelled.map(|(number, it)| self.token(number, &it.secret)).collect()
    }

    /// Returns the leases that are over at `now`, and takes note of those that were cancelled.
    pub fn overdue(&mut self, now: Instant, grace: Duration) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for (number, held) in &mut self.held {
            if held.cancel.is_cancelled() {
                held.cancelled.get_or_insert(now);
            }
            let was_cancelled = held.cancelled.is_some_and(|it| it + grace <= now);
            if was_cancelled || held.expires <= now {
                overdue.push(Overdue { number: *number, was_cancelled });
            }
        }
        overdue
    }

    /// Returns when the next lease expires, unless its worker is heard of.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.held.values().map(|it| it.expires).min()
    }

    /// Describes the leases of one worker, or all, oldest first.
    pub fn list(&self, worker: Option<&str>) -> Vec<LeaseInfo> {
        let now = Instant::now();
        let held = self.held.iter().filter(|(_, it)| worker.is_none_or(|my| *it.worker == *my));
        let mut held: Vec<_> = held.collect();
        held.sort_unstable_by_key(|(number, _)| **number);
        let describe = |(_, it): (_, &Held)| LeaseInfo {
            worker: it.worker.to_string(),
            run: it.run,
            workflow: it.workflow.clone(),
            task: it.path.clone(),
            kind: it.kind.clone(),
            attempt: it.attempt,
            since: it.since,
            progress: it.progress,
            message: it.message.clone(),
            is_cancelled: it.cancel.is_cancelled(),
            expires_in: it.expires.saturating_duration_since(now),
        };
        held.into_iter().map(describe).collect()
    }

    /// Reads a token. One of an engine before this one is lost; anything else is none.
    fn open(&self, token: &str) -> Result<(u64, [u8; 32]), LeaseError> {
        let bytes = token.strip_prefix(PREFIX).and_then(unhex).ok_or(LeaseError::Unknown)?;
        let (instance, rest) = bytes.split_at(8);
        let (number, secret) = rest.split_at(8);
        if instance != self.instance {
            return Err(LeaseError::Lost { reason: "the engine was restarted since".to_owned() });
        }
        let number = u64::from_be_bytes(number.try_into().map_err(|_| LeaseError::Unknown)?);
        if number >= self.next {
            return Err(LeaseError::Unknown);
        }
        Ok((number, secret.try_into().map_err(|_| LeaseError::Unknown)?))
    }
}

fn forgotten() -> LeaseError {
    LeaseError::Lost { reason: "it ended long ago".to_owned() }
}

/// Compares in the same time wherever they differ.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |all, (one, other)| all | (one ^ other)) == 0
}

fn unhex(text: &str) -> Option<[u8; 48]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn leases() -> (Leases, String) {
        let mut leases = Leases::new(Duration::from_secs(10));
        let held = Held::new("wk_1".into(), RunId::new(1, 2), TaskId(0), 1);
        let (token, _) = leases.issue(held, Instant::now());
        (leases, token)
    }

    #[test]
    fn a_token_says_whether_it_ever_was_one() {
        let (mut leases, token) = leases();
        let (mut other, _) = self::leases();
        let ask = |leases: &mut Leases, token: &str| match leases.find(token, Some("wk_1")) {
            Ok(_) => "held",
            Err(LeaseError::Unknown) => "unknown",
            Err(LeaseError::Lost { .. }) => "lost",
            Err(_) => "else",
        };
        let last = token.len() - 1;
        let forged = format!("{}{}", &token[..last], if token.ends_with('0') { "1" } else { "0" });
        for (text, expected) in [
            (&*token, "held"),
            (&*forged, "unknown"),
            ("", "unknown"),
            ("ls_", "unknown"),
            (&token[..last], "unknown"),
            (&token[3..], "unknown"),
            (&*format!("ls_{}", "é".repeat(48)), "unknown"),
            (&*format!("ls_{}", "+1".repeat(48)), "unknown"),
        ] {
            assert_eq!(ask(&mut leases, text), expected, "{text}");
        }
        assert_eq!(ask(&mut other, &token), "lost", "of an engine before");
        assert!(matches!(leases.find(&token, Some("wk_2")), Err(LeaseError::Unknown)));
        assert!(leases.find(&token, None).is_ok());
    }

    #[test]
    fn a_result_counts_once_and_may_be_repeated() {
        let (mut leases, token) = leases();
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        assert!(matches!(leases.claim(&token, None, one), Ok(Claim::First(..))));
        assert!(matches!(leases.claim(&token, None, one), Ok(Claim::Again(_))));
        assert!(matches!(leases.claim(&token, None, other), Err(LeaseError::Done(_))));
        leases.revoke(0, "the task went another way");
        assert!(matches!(leases.claim(&token, None, one), Err(LeaseError::Lost { .. })));
    }

    #[test]
    fn what_its_worker_does_not_know_of_is_not_renewed() {
        let (mut leases, token) = leases();
        let start = Instant::now();
        let late = start + Duration::from_secs(9);
        let over = start + Duration::from_secs(11);
        leases.renew("wk_1", Some(&[]), late);
        assert_eq!(leases.overdue(over, Duration::ZERO).len(), 1);
        leases.renew("wk_1", Some(std::slice::from_ref(&token)), late);
        assert_eq!(leases.overdue(over, Duration::ZERO).len(), 0);
        assert_eq!(leases.of("wk_1"), [0]);
    }

    #[test]
    fn what_does_not_end_when_asked_is_over_after_its_grace() {
        let (mut leases, _) = leases();
        let (start, grace) = (Instant::now(), Duration::from_secs(5));
        leases.held.values().for_each(|it| it.cancel.cancel());
        assert!(leases.overdue(start, grace).is_empty());
        assert!(leases.overdue(start + grace / 2, grace).is_empty());
        assert!(leases.overdue(start + grace, grace).iter().all(|it| it.was_cancelled));
        assert_eq!(leases.overdue(start + grace, grace).len(), 1);
    }
}
