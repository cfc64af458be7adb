//! Concurrency limits over runs: who holds a key, who waits for it. Derived from run rows, so a
//! place cannot leak: it is free when the run has ended, in the same transaction.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use surefoot_core::definition::{OnLimit, Rate};
use surefoot_core::ids::RunId;
use surefoot_core::plan::ConcurrencyPlan;
use surefoot_core::queue::{Limit, Queue, Request, Slot};
use surefoot_core::time::Millis;

#[derive(Default)]
pub(super) struct Admission {
    keys: HashMap<String, Key>,
}

struct Key {
    limit: Option<u32>,
    rate: Option<RateKeeper>,
    holders: BTreeSet<RunId>,
    waiting: BTreeSet<(Reverse<i32>, RunId)>,
}

/// Keeps a rate with the queue's own arithmetic.
struct RateKeeper(Queue<()>);

impl RateKeeper {
    fn new(rate: Rate) -> RateKeeper {
        let limit = Limit { at_once: None, rate: Some(rate) };
        RateKeeper(Queue::new(u32::MAX, [(String::new(), limit)]))
    }

    fn take(&mut self, now: Millis) -> Option<Slot> {
        let kind = String::new();
        let request = Request {
            item: (),
            kind,
            priority: 0,
            fairness: 0,
            key: None,
            remote: false,
            namespace: String::new(),
        };
        self.0.try_take(&request, now)
    }
}

/// What is to be done with a new run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Start,
    Wait,
    CancelNew,
    CancelHolder(RunId),
}

impl Admission {
    /// Decides about a run that wants its key.
    pub fn ask(
        &mut self,
        key: &str,
        plan: &ConcurrencyPlan,
        run: RunId,
        priority: i32,
        now: Millis,
    ) -> Verdict {
        let entry = self.entry(key, plan);
        if entry.waiting.is_empty() && entry.admit(run, now) {
            return Verdict::Start;
        }
        match plan.on_limit {
            OnLimit::CancelNew => Verdict::CancelNew,
            OnLimit::Queue => {
                entry.waiting.insert((Reverse(priority), run));
                Verdict::Wait
            }
            OnLimit::CancelRunning => {
                entry.waiting.insert((Reverse(priority), run));
                entry.holders.first().map_or(Verdict::Wait, |it| Verdict::CancelHolder(*it))
            }
        }
    }

    /// Takes note of a run that was there before this engine.
    pub fn restore(
        &mut self,
        key: &str,
        plan: &ConcurrencyPlan,
        run: RunId,
        priority: i32,
        started: bool,
    ) {
        let entry = self.entry(key, plan);
        if started {
            entry.holders.insert(run);
        } else {
            entry.waiting.insert((Reverse(priority), run));
        }
    }

    fn entry(&mut self, key: &str, plan: &ConcurrencyPlan) -> &mut Key {
        let entry = self.keys.entry(key.to_owned()).or_insert_with(|| Key {
            limit: None,
            rate: plan.rate.map(RateKeeper::new),
            holders: BTreeSet::new(),
            waiting: BTreeSet::new(),
        });
        // The newest definition decides.
        entry.limit = plan.limit;
        entry
    }

    /// The run has ended (or was never to start).
    pub fn leave(&mut self, key: &str, run: RunId) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        entry.holders.remove(&run);
        entry.waiting.retain(|(_, it)| *it != run);
        if entry.holders.is_empty() && entry.waiting.is_empty() && entry.rate.is_none() {
            self.keys.remove(key);
        }
    }

    /// Whether a run has its turn already.
    pub fn holds(&self, key: &str, run: RunId) -> bool {
        self.keys.get(key).is_some_and(|it| it.holders.contains(&run))
    }

    /// The run turned out not to exist. Returns the keys that it had.
    pub fn leave_all(&mut self, run: RunId) -> Vec<String> {
        let has = |it: &Key| it.holders.contains(&run) || it.waiting.iter().any(|it| it.1 == run);
        let keys = self.keys.iter().filter(|(_, it)| has(it));
        let keys: Vec<String> = keys.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.leave(key, run));
        keys
    }

    /// Returns the runs of a key that may start now.
    pub fn next(&mut self, key: &str, now: Millis) -> Vec<RunId> {
        let Some(entry) = self.keys.get_mut(key) else { return Vec::new() };
        let mut admitted = Vec::new();
        while let Some((_, run)) = entry.waiting.first().copied() {
            if !entry.admit(run, now) {
                break;
            }
            entry.waiting.pop_first();
            admitted.push(run);
        }
        admitted
    }

    /// Returns the keys that wait for a rate.
    pub fn waiting_for_rate(&self) -> Vec<String> {
        let keys = self.keys.iter().filter(|(_, it)| it.rate.is_some() && !it.waiting.is_empty());
        keys.map(|(key, _)| key.clone()).collect()
    }
}

impl Key {
    fn admit(&mut self, run: RunId, now: Millis) -> bool {
        if self.limit.is_some_and(|it| self.holders.len() >= it as usize) {
            return false;
        }
        if let Some(rate) = &mut self.rate
            && rate.take(now).is_none()
        {
            return false;
        }
        self.holders.insert(run);
        true
    }
}
