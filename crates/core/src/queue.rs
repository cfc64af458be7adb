//! Who gets the next slot: priorities with ageing, fairness between keys, limits and rates. Pure:
//! the caller says what time it is.
//!
//! The order is one number per entry, fixed when it is queued. A higher priority is worth minutes
//! of waiting, so everything ages at the same speed and nothing starves. Entries of one key are
//! spaced out (start-time fair queueing, Goyal et al., SIGCOMM 1996), so that a key with a thousand
//! entries leaves places between them to the others.
//!
//! Each namespace has a line for what this process executes, and one for each kind that workers
//! elsewhere execute: a line that nobody serves holds up no other. Namespaces take turns, so that
//! however much one of them asks for, it keeps another waiting for one entry; priority and age
//! decide within a namespace. Limits, rates and fairness count over all lines together; the slots
//! of this process are for its own lines only.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::definition::Rate;
use crate::time::Millis;

/// One step of priority is worth this much waiting.
pub const PRIORITY_STEP_MS: i64 = 60_000;
/// How far apart entries of one key are placed.
pub const FAIR_STEP_MS: i64 = 1_000;
/// Places of fairness keys, and turns of namespaces, that are kept without looking which of them
/// still wait.
const RANKS_MIN: usize = 1_024;

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
    /// Whether a worker elsewhere executes it: then it takes none of the slots here.
    pub remote: bool,
    /// Where it comes from: namespaces take turns, and workers may take from some only.
    pub namespace: String,
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
    /// Lines of what is executed here, by namespace; none is empty.
    local: BTreeMap<String, Line<T>>,
    /// How many are in them.
    waiting: usize,
    /// Lines of what workers elsewhere execute, by kind and namespace; none is empty.
    remote: BTreeMap<(String, String), Line<T>>,
    last_rank: HashMap<u64, i64>,
    /// When it was a namespace's turn, counted in turns; that of one that is not in here was never.
    last_turn: HashMap<String, u64>,
    sequence: u64,
    turns: u64,
    /// Whether any rate was ever set: most queues have none, and need not be looked through.
    has_rates: bool,
}

type Line<T> = BTreeMap<Place, Waiting<T>>;

/// Where a request stands in line: its rank, and who came first of equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(i64, u64);

#[derive(Debug)]
struct Waiting<T> {
    request: Request<T>,
    since: Millis,
}

/// Who waits for workers elsewhere, of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog<'a> {
    pub kind: &'a str,
    pub waiting: usize,
    /// Since when the oldest waits.
    pub since: Millis,
}

/// A slot that was given out; give it back with [`Queue::release`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    kind: String,
    key: Option<String>,
    remote: bool,
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
            local: BTreeMap::new(),
            waiting: 0,
            remote: BTreeMap::new(),
            last_rank: HashMap::new(),
            last_turn: HashMap::new(),
            sequence: 0,
            turns: 0,
        }
    }

    /// Gives a slot right away, unless somebody waits who could use it. What is executed elsewhere
    /// has to wait for a worker to ask.
    pub fn try_take(&mut self, request: &Request<T>, now: Millis) -> Option<Slot> {
        let free = self.slots.saturating_sub(self.used) as usize;
        if request.remote || free <= self.waiting || !self.allows(request, now) {
            return None;
        }
        Some(self.take(request, now))
    }

    /// Puts a request in line. The place is for [`Queue::remove`].
    pub fn push(&mut self, request: Request<T>, now: Millis) -> Place {
        let asked = now as i64 - i64::from(request.priority) * PRIORITY_STEP_MS;
        let last = self.last_rank.get(&request.fairness);
        let rank = last.map_or(asked, |it| asked.max(it + FAIR_STEP_MS));
        self.last_rank.insert(request.fairness, rank);
        self.sequence += 1;
        let place = Place(rank, self.sequence);
        let line = match request.remote {
            true => {
                let line = (request.kind.clone(), request.namespace.clone());
                self.remote.entry(line).or_default()
            }
            false => {
                self.waiting += 1;
                self.local.entry(request.namespace.clone()).or_default()
            }
        };
        line.insert(place, Waiting { request, since: now });
        place
    }

    /// Takes the first request of the namespace whose turn it is that may start here now, with its
    /// slot.
    pub fn pop(&mut self, now: Millis) -> Option<(Request<T>, Slot)> {
        if self.used >= self.slots {
            return None;
        }
        let firsts = self.local.iter().filter_map(|(namespace, line)| {
            Some((self.last_turn(namespace), self.first(line, now)?, namespace))
        });
        let (_, place, namespace) = firsts.min()?;
        let namespace = namespace.clone();
        let request = self.leave_local(&namespace, place)?;
        Some(self.granted(request, now))
    }

    /// Takes the first request that may start now out of the lines that somebody serves, asked by
    /// kind and namespace, of the namespace whose turn it is.
    pub fn pop_remote(
        &mut self,
        now: Millis,
        is_served: impl Fn(&str, &str) -> bool,
    ) -> Option<(Request<T>, Slot)> {
        let lines = self.remote.iter().filter(|((kind, from), _)| is_served(kind, from));
        let open =
            lines.filter(|((kind, _), _)| self.kinds.get(kind).is_none_or(|it| it.allows(now)));
        let firsts = open.filter_map(|(name, line)| {
            Some((self.last_turn(&name.1), self.first(line, now)?, name))
        });
        let (place, name) = firsts.min().map(|(_, place, name)| (place, name.clone()))?;
        let request = leave(&mut self.remote, &name, place)?;
        Some(self.granted(request, now))
    }

    fn last_turn(&self, namespace: &str) -> u64 {
        self.last_turn.get(namespace).copied().unwrap_or_default()
    }

    /// Takes a request that no longer wants a slot out of its line.
    pub fn remove(&mut self, kind: &str, place: Place) {
        // A place is in one line only.
        let here = self.local.iter().find(|(_, line)| line.contains_key(&place));
        if let Some(namespace) = here.map(|it| it.0.clone()) {
            self.leave_local(&namespace, place);
        } else {
            let first = (kind.to_owned(), String::new());
            let mut lines = self.remote.range(first..).take_while(|((it, _), _)| it == kind);
            let there = lines.find(|(_, line)| line.contains_key(&place));
            if let Some(name) = there.map(|it| it.0.clone()) {
                leave(&mut self.remote, &name, place);
            }
        }
        self.forget_ranks();
    }

    fn leave_local(&mut self, namespace: &String, place: Place) -> Option<Request<T>> {
        let left = leave(&mut self.local, namespace, place)?;
        self.waiting -= 1;
        Some(left)
    }

    fn first(&self, line: &Line<T>, now: Millis) -> Option<Place> {
        line.iter().find(|(_, it)| self.allows(&it.request, now)).map(|(place, _)| *place)
    }

    fn granted(&mut self, request: Request<T>, now: Millis) -> (Request<T>, Slot) {
        self.turns += 1;
        self.last_turn.insert(request.namespace.clone(), self.turns);
        self.forget_ranks();
        let slot = self.take(&request, now);
        (request, slot)
    }

    /// Where nobody waits, everybody's turn begins anew; and where some wait for ever, keys and
    /// namespaces that do not wait are not kept for ever.
    fn forget_ranks(&mut self) {
        let waiting = self.waiting + self.waiting_elsewhere();
        if waiting == 0 {
            self.last_rank.clear();
            self.last_turn.clear();
            return;
        }
        if self.last_rank.len() > 2 * waiting + RANKS_MIN {
            let lines = self.local.values().chain(self.remote.values());
            let keys: HashSet<u64> =
                lines.flat_map(BTreeMap::values).map(|it| it.request.fairness).collect();
            self.last_rank.retain(|key, _| keys.contains(key));
        }
        if self.last_turn.len() > 2 * waiting + RANKS_MIN {
            let names = self.local.keys().chain(self.remote.keys().map(|(_, namespace)| namespace));
            let names: HashSet<&String> = names.collect();
            self.last_turn.retain(|name, _| names.contains(name));
        }
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: Slot) {
        if !slot.remote {
            self.used = self.used.saturating_sub(1);
        }
        if let Some(usage) = self.kinds.get_mut(&slot.kind) {
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

    /// Returns when a rate will let somebody start here who waits now.
    pub fn next_start(&self) -> Option<Millis> {
        if !self.has_rates {
            return None;
        }
        let waiting = self.local.values().flat_map(BTreeMap::values);
        let rates = waiting.map(|it| &it.request).flat_map(|it| {
            let kind = self.kinds.get(&it.kind);
            let key = it.key.as_ref().and_then(|(key, _)| self.keys.get(key));
            [kind, key].into_iter().flatten().filter_map(Usage::next_start)
        });
        rates.max().filter(|_| self.used < self.slots)
    }

    /// How many wait for a slot of this process.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns who waits for workers elsewhere, by kind. Looks through all of them.
    pub fn backlog(&self) -> Vec<Backlog<'_>> {
        let mut all: Vec<Backlog<'_>> = Vec::new();
        for ((kind, _), line) in &self.remote {
            let since = line.values().map(|it| it.since).min().unwrap_or_default();
            match all.last_mut().filter(|it| it.kind == kind) {
                Some(same) => {
                    same.waiting += line.len();
                    same.since = same.since.min(since);
                }
                None => all.push(Backlog { kind, waiting: line.len(), since }),
            }
        }
        all
    }

    /// How many wait for workers elsewhere.
    pub fn waiting_elsewhere(&self) -> usize {
        self.remote.values().map(BTreeMap::len).sum()
    }

    /// Whether anybody waits for a worker elsewhere.
    pub fn has_backlog(&self) -> bool {
        !self.remote.is_empty()
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
        self.used += u32::from(!request.remote);
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
        Slot { kind: request.kind.clone(), key, remote: request.remote }
    }
}

/// Takes a request out of its line, and an empty line away.
fn leave<N: Ord, T>(
    lines: &mut BTreeMap<N, Line<T>>,
    name: &N,
    place: Place,
) -> Option<Request<T>> {
    let line = lines.get_mut(name)?;
    let left = line.remove(&place)?;
    if line.is_empty() {
        lines.remove(name);
    }
    Some(left.request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn request(item: u32) -> Request<u32> {
        let kind = "work".to_owned();
        let (fairness, namespace) = (u64::from(item), String::new());
        Request { item, kind, priority: 0, fairness, key: None, remote: false, namespace }
    }

    fn remote(item: u32, kind: &str) -> Request<u32> {
        Request { kind: kind.to_owned(), remote: true, ..request(item) }
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
        for item in 0..5 {
            queue.push(request(item), 0);
        }
        assert_eq!(drain(&mut queue, 0).len(), 2, "a burst of the count");
        assert_eq!(queue.next_start(), Some(500));
        assert_eq!(drain(&mut queue, 500).len(), 1);
        assert_eq!(drain(&mut queue, 1500).len(), 2);
    }

    #[test]
    fn slots_are_never_more_than_there_are() {
        let mut queue = Queue::new(2, []);
        for item in 0..5 {
            queue.push(request(item), 0);
        }
        let slots: Vec<_> = std::iter::from_fn(|| queue.pop(0)).collect();
        assert_eq!((slots.len(), queue.used(), queue.waiting()), (2, 2, 3));
        slots.into_iter().for_each(|(_, slot)| queue.release(slot));
        assert_eq!(drain(&mut queue, 0).len(), 2);
    }

    #[test]
    fn work_for_elsewhere_takes_no_slot_and_waits_for_who_serves_it() {
        let mut queue = Queue::new(1, []);
        assert_eq!(queue.try_take(&remote(1, "gpu"), 0), None, "nobody has asked for it");
        queue.push(remote(1, "gpu"), 0);
        queue.push(remote(2, "cpu"), 1);
        queue.push(Request { priority: 1, ..remote(3, "cpu") }, 2);
        queue.push(request(4), 3);
        assert_eq!(drain(&mut queue, 3), [4], "the line here is not held up");
        let mut pop = |kinds: &[&str]| {
            queue.pop_remote(3, |it, _| kinds.contains(&it)).map(|(it, _)| it.item)
        };
        assert_eq!(pop(&["disk"]), None);
        assert_eq!(pop(&["cpu", "gpu"]), Some(3), "priority over lines");
        assert_eq!(pop(&["cpu", "gpu"]), Some(1), "age over lines");
        assert_eq!(pop(&["gpu"]), None);
        assert_eq!(pop(&["cpu"]), Some(2));
        assert!(!queue.has_backlog());
    }

    #[test]
    fn a_limit_counts_over_here_and_elsewhere() {
        let limit = Limit { at_once: Some(1), rate: None };
        let key = Some(("shared".to_owned(), limit));
        let mut queue = Queue::new(10, []);
        queue.push(Request { key: key.clone(), ..remote(1, "gpu") }, 0);
        queue.push(Request { key, ..request(2) }, 1);
        let (_, slot) = queue.pop_remote(1, |_, _| true).expect("the key is free");
        assert_eq!(drain(&mut queue, 1), [0_u32; 0], "the key is taken elsewhere");
        assert_eq!(queue.used(), 0);
        queue.release(slot);
        assert_eq!(drain(&mut queue, 1), [2]);
        assert_eq!(queue.used(), 1);
    }

    #[test]
    fn fairness_holds_elsewhere_and_who_left_is_passed_over() {
        let mut queue = Queue::new(10, []);
        let mut places = Vec::new();
        for item in 0..3 {
            places.push(queue.push(Request { fairness: 1, ..remote(item, "gpu") }, 0));
        }
        queue.push(Request { fairness: 2, ..remote(9, "gpu") }, 1);
        queue.remove("gpu", places[1]);
        assert_eq!(queue.backlog(), [Backlog { kind: "gpu", waiting: 3, since: 0 }]);
        let all = std::iter::from_fn(|| queue.pop_remote(1, |_, _| true).map(|it| it.0.item));
        assert_eq!(all.collect::<Vec<_>>(), [0, 9, 2]);
    }

    #[test]
    fn who_serves_one_namespace_gets_nothing_of_another() {
        let mut queue = Queue::new(10, []);
        let of = |item, namespace: &str| Request {
            namespace: namespace.to_owned(),
            ..remote(item, "gpu")
        };
        queue.push(of(1, "shop"), 0);
        let place = queue.push(of(2, "billing"), 1);
        queue.push(of(3, "billing"), 2);
        assert_eq!(queue.backlog(), [Backlog { kind: "gpu", waiting: 3, since: 0 }]);
        queue.remove("gpu", place);
        let mut pop = |served: &str| queue.pop_remote(3, |_, it| it == served).map(|it| it.0.item);
        assert_eq!((pop("billing"), pop("billing"), pop("shop")), (Some(3), None, Some(1)));
        assert!(!queue.has_backlog());
    }

    #[test]
    fn namespaces_take_turns_here_and_elsewhere() {
        for is_remote in [false, true] {
            let mut queue = Queue::new(100, []);
            let mut push = |item, namespace: &str, priority| {
                let namespace = namespace.to_owned();
                let of = Request { namespace, priority, remote: is_remote, ..request(item) };
                queue.push(of, u64::from(item))
            };
            for item in 0..6 {
                push(item, "noisy", 100);
            }
            push(10, "shop", 0);
            push(11, "shop", 1);
            let left = push(12, "shop", 0);
            push(20, "billing", 0);
            queue.remove("work", left);
            assert_eq!(queue.waiting() + queue.waiting_elsewhere(), 9);
            let order = std::iter::from_fn(|| match is_remote {
                true => queue.pop_remote(100, |_, _| true).map(|it| it.0.item),
                false => queue.pop(100).map(|it| it.0.item),
            });
            assert_eq!(order.collect::<Vec<_>>(), [0, 11, 20, 1, 10, 2, 3, 4, 5]);
            assert_eq!(queue.waiting(), 0);
        }
    }

    #[test]
    fn who_asks_for_one_thing_after_another_does_not_go_first_each_time() {
        let mut queue = Queue::new(100, []);
        let of =
            |item, namespace: &str| Request { namespace: namespace.to_owned(), ..request(item) };
        for item in 0..4 {
            queue.push(of(item, "noisy"), 0);
        }
        let mut order = Vec::new();
        for item in 10..14 {
            queue.push(of(item, "shop"), 1);
            for _ in 0..2 {
                order.extend(queue.pop(1).map(|(it, _)| it.item));
            }
        }
        assert_eq!(order, [0, 10, 1, 11, 2, 12, 3, 13]);
    }
}
