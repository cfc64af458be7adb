//! Who gets the next slot: priorities with ageing, fairness between keys, limits and rates. Pure:
//! the caller says what time it is.
//!
//! The order is one number per entry, fixed when it is queued. A higher priority is worth minutes
//! of waiting, so everything ages at the same speed and nothing starves. Entries of one key are
//! spaced out (start-time fair queueing, Goyal et al., SIGCOMM 1996), so that a key with a thousand
//! entries leaves places between them to the others.

use std::collections::{BTreeMap, HashMap};

use crate::definition::Rate;
use crate::time::Millis;

/// One step of priority is worth this much waiting.
pub const PRIORITY_STEP_MS: i64 = 60_000;
/// How far apart entries of one key are placed.
pub const FAIR_STEP_MS: i64 = 1_000;

/// What one attempt asks for. `T` names the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<T> {
    pub item: T,
    pub kind: String,
    pub priority: i32,
    /// Whose turn it is: requests of one fairness key are spaced out.
    pub fairness: u64,
    /// A limit of the definition, and the key that it counts by.
    pub key: Option<(String, Limit)>,
}

/// How much of something may go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// At once.
    pub at_once: Option<u32>,
    /// Starts per period.
    pub rate: Option<Rate>,
}

/// Slots of one process, and who waits for them.
#[derive(Debug)]
pub struct Queue<T> {
    slots: u32,
    used: u32,
    kinds: HashMap<String, Usage>,
    keys: HashMap<String, Usage>,
    waiting: BTreeMap<(i64, u64), Request<T>>,
    last_rank: HashMap<u64, i64>,
    sequence: u64,
    /// Whether any rate was ever set: most queues have none, and need not be looked through.
    has_rates: bool,
}

/// A slot that was given out; give it back with [`Queue::release`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    kind: String,
    key: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Usage {
    limit: Limit,
    used: u32,
    /// When the next start is allowed (generic cell rate algorithm, ITU-T I.371).
    next_at: f64,
}

impl Usage {
    fn allows(&self, now: Millis) -> bool {
        self.limit.at_once.is_none_or(|it| self.used < it)
            && (self.limit.rate.is_none() || self.next_at <= now as f64 + self.tolerance())
    }

    /// A whole burst of `count` may start at once after a quiet period.
    fn tolerance(&self) -> f64 {
        self.limit.rate.map_or(0.0, |rate| {
            let interval = rate.per.0 as f64 / f64::from(rate.count.max(1));
            interval * (f64::from(rate.count.max(1)) - 1.0)
        })
    }

    fn take(&mut self, now: Millis) {
        self.used += 1;
        if let Some(rate) = self.limit.rate {
            let interval = rate.per.0 as f64 / f64::from(rate.count.max(1));
            self.next_at = self.next_at.max(now as f64) + interval;
        }
    }

    fn next_start(&self) -> Option<Millis> {
        self.limit.rate.map(|_| (self.next_at - self.tolerance()).max(0.0).ceil() as Millis)
    }
}

impl<T: Clone> Queue<T> {
    /// Makes a queue with so many slots, and limits by kind of task.
    pub fn new(slots: u32, kinds: impl IntoIterator<Item = (String, Limit)>) -> Queue<T> {
        let kinds: HashMap<String, Usage> = kinds
            .into_iter()
            .map(|(kind, limit)| (kind, Usage { limit, ..Usage::default() }))
            .collect();
        Queue {
            slots,
            used: 0,
            has_rates: kinds.values().any(|it| it.limit.rate.is_some()),
            kinds,
            keys: HashMap::new(),
            waiting: BTreeMap::new(),
            last_rank: HashMap::new(),
            sequence: 0,
        }
    }

    /// Gives a slot right away, unless somebody waits who could use it.
    pub fn try_take(&mut self, request: &Request<T>, now: Millis) -> Option<Slot> {
        let free = self.slots.saturating_sub(self.used) as usize;
        if free <= self.waiting.len() || !self.allows(request, now) {
            return None;
        }
        Some(self.take(request, now))
    }

    /// Puts a request in line.
    pub fn push(&mut self, request: Request<T>, now: Millis) {
        let asked = now as i64 - i64::from(request.priority) * PRIORITY_STEP_MS;
        let last = self.last_rank.get(&request.fairness);
        let rank = last.map_or(asked, |it| asked.max(it + FAIR_STEP_MS));
        self.last_rank.insert(request.fairness, rank);
        self.sequence += 1;
        self.waiting.insert((rank, self.sequence), request);
    }

    /// Takes the first request out of the line that may start now, with its slot.
    pub fn pop(&mut self, now: Millis) -> Option<(Request<T>, Slot)> {
        if self.used >= self.slots {
            return None;
        }
        let place = self.waiting.iter().find(|(_, it)| self.allows(it, now)).map(|(it, _)| *it)?;
        let request = self.waiting.remove(&place)?;
        if self.waiting.is_empty() {
            self.last_rank.clear();
        }
        let slot = self.take(&request, now);
        Some((request, slot))
    }

    /// Removes requests that no longer want a slot.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.waiting.retain(|_, it| keep(&it.item));
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: Slot) {
        self.used = self.used.saturating_sub(1);
        for usage in [self.kinds.get_mut(&slot.kind)].into_iter().flatten() {
            usage.used = usage.used.saturating_sub(1);
        }
        let Some(key) = slot.key else { return };
        if let Some(usage) = self.keys.get_mut(&key) {
            usage.used = usage.used.saturating_sub(1);
            if usage.used == 0 && usage.limit.rate.is_none() {
                self.keys.remove(&key);
            }
        }
    }

    /// Returns when a rate will let somebody start who waits now.
    pub fn next_start(&self) -> Option<Millis> {
        if !self.has_rates {
            return None;
        }
        let rates = self.waiting.values().flat_map(|it| {
            let kind = self.kinds.get(&it.kind);
            let key = it.key.as_ref().and_then(|(key, _)| self.keys.get(key));
            [kind, key].into_iter().flatten().filter_map(Usage::next_start)
        });
        rates.max().filter(|_| self.used < self.slots)
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn used(&self) -> u32 {
        self.used
    }

    fn allows(&self, request: &Request<T>, now: Millis) -> bool {
        let kind = self.kinds.get(&request.kind).is_none_or(|it| it.allows(now));
        let key = request.key.as_ref().is_none_or(|(key, limit)| match self.keys.get(key) {
            Some(usage) => usage.allows(now),
            None => limit.at_once != Some(0),
        });
        kind && key
    }

    fn take(&mut self, request: &Request<T>, now: Millis) -> Slot {
        self.used += 1;
        if let Some(usage) = self.kinds.get_mut(&request.kind) {
            usage.take(now);
        }
        let key = request.key.as_ref().map(|(key, limit)| {
            let usage = self.keys.entry(key.clone()).or_default();
            usage.limit = *limit;
            self.has_rates |= limit.rate.is_some();
            usage.take(now);
            key.clone()
        });
        Slot { kind: request.kind.clone(), key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn request(item: u32) -> Request<u32> {
        Request { item, kind: "work".to_owned(), priority: 0, fairness: u64::from(item), key: None }
    }

    fn drain(queue: &mut Queue<u32>, now: Millis) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(now).map(|(it, _)| it.item)).collect()
    }

    #[test]
    fn a_higher_priority_goes_first_but_age_catches_up() {
        let mut queue = Queue::new(10, []);
        queue.push(request(1), 0);
        queue.push(Request { priority: 1, ..request(2) }, 10);
        queue.push(Request { priority: 1, ..request(3) }, 70_000);
        assert_eq!(drain(&mut queue, 70_000), [2, 1, 3]);
    }

    #[test]
    fn a_key_with_many_entries_leaves_places_to_others() {
        let mut queue = Queue::new(10, []);
        for item in 0..5 {
            queue.push(Request { fairness: 1, ..request(item) }, 0);
        }
        queue.push(Request { fairness: 2, ..request(9) }, 1);
        assert_eq!(drain(&mut queue, 1), [0, 9, 1, 2, 3, 4]);
    }

    #[test]
    fn a_limit_by_key_holds_and_frees() {
        let limit = Limit { at_once: Some(1), rate: None };
        let keyed = |item| Request { key: Some(("a".to_owned(), limit)), ..request(item) };
        let mut queue = Queue::new(10, []);
        let slot = queue.try_take(&keyed(1), 0).expect("nobody has it");
        assert_eq!(queue.try_take(&keyed(2), 0), None);
        queue.push(keyed(2), 0);
        assert!(queue.try_take(&request(3), 0).is_some(), "another key is not held up");
        assert!(queue.pop(0).is_none());
        queue.release(slot);
        assert_eq!(queue.pop(0).map(|it| it.0.item), Some(2));
    }

    #[test]
    fn a_rate_spreads_starts_over_its_period() {
        let rate = Rate { count: 2, per: Duration::from_secs(1) };
        let limit = Limit { at_once: None, rate: Some(rate) };
        let mut queue = Queue::new(10, [("work".to_owned(), limit)]);
        (0..5).for_each(|item| queue.push(request(item), 0));
        assert_eq!(drain(&mut queue, 0).len(), 2, "a burst of the count");
        assert_eq!(queue.next_start(), Some(500));
        assert_eq!(drain(&mut queue, 500).len(), 1);
        assert_eq!(drain(&mut queue, 1500).len(), 2);
    }

    #[test]
    fn slots_are_never_more_than_there_are() {
        let mut queue = Queue::new(2, []);
        (0..5).for_each(|item| queue.push(request(item), 0));
        let slots: Vec<_> = std::iter::from_fn(|| queue.pop(0)).collect();
        assert_eq!((slots.len(), queue.used(), queue.waiting()), (2, 2, 3));
        slots.into_iter().for_each(|(_, slot)| queue.release(slot));
        assert_eq!(drain(&mut queue, 0).len(), 2);
    }
}
