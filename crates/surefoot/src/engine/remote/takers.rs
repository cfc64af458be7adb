//! Workers that ask for tasks right now, and whether a worker is there at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use surefoot_core::ids::RunId;
use surefoot_core::run::TaskId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Taken;

/// Whose tasks a worker may have; all, if nothing is said.
type Namespaces = Option<BTreeSet<String>>;

/// One ask: so many tasks of these kinds, as soon as there are some.
pub(crate) struct Taker {
    pub worker: Arc<str>,
    pub capabilities: Arc<[String]>,
    /// All, if none is named.
    pub namespaces: Namespaces,
    pub slots: u32,
    pub until: Instant,
    pub reply: oneshot::Sender<Taken>,
    /// Attempts that were decided for it in this turn.
    pub given: Vec<(RunId, TaskId, u32)>,
}

impl Taker {
    fn wants_more(&self) -> bool {
        self.given.len() < self.slots as usize
    }

    fn may_have(&self, namespace: &str) -> bool {
        may_have(self.namespaces.as_ref(), namespace)
    }
}

fn may_have(namespaces: Option<&BTreeSet<String>>, namespace: &str) -> bool {
    namespaces.is_none_or(|it| it.contains(namespace))
}

/// A worker that was heard of.
struct Seen {
    at: Instant,
    capabilities: Arc<[String]>,
    namespaces: Namespaces,
}

#[derive(Default)]
pub(crate) struct Takers {
    /// In the order in which their turn comes.
    waiting: BTreeMap<u64, Taker>,
    by_capability: HashMap<String, BTreeSet<u64>>,
    until: BTreeSet<(Instant, u64)>,
    next: u64,
    /// When each worker was last heard of, and what it may have.
    seen: HashMap<Arc<str>, Seen>,
}

/// How many workers there are for a capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presence {
    pub workers: u32,
    /// Tasks that they ask for now.
    pub asked: u32,
}

impl Takers {
    pub fn see(
        &mut self,
        worker: &Arc<str>,
        capabilities: &Arc<[String]>,
        namespaces: Option<&BTreeSet<String>>,
        now: Instant,
    ) {
        let (capabilities, namespaces) = (capabilities.clone(), namespaces.cloned());
        self.seen.insert(worker.clone(), Seen { at: now, capabilities, namespaces });
    }

    /// A worker has said that it goes.
    pub fn forget(&mut self, worker: &str) {
        self.seen.remove(worker);
    }

    /// Puts an ask last in turn.
    pub fn push(&mut self, taker: Taker) {
        let place = self.next;
        self.next += 1;
        for capability in taker.capabilities.iter() {
            self.by_capability.entry(capability.clone()).or_default().insert(place);
        }
        self.until.insert((taker.until, place));
        self.waiting.insert(place, taker);
    }

    fn remove(&mut self, place: u64) -> Option<Taker> {
        let taker = self.waiting.remove(&place)?;
        for capability in taker.capabilities.iter() {
            if let Some(places) = self.by_capability.get_mut(capability) {
                places.remove(&place);
                if places.is_empty() {
                    self.by_capability.remove(capability);
                }
            }
        }
        self.until.remove(&(taker.until, place));
        Some(taker)
    }

    /// Whether anybody who is still there asks for this kind from this namespace.
    pub fn serves(&self, kind: &str, namespace: &str) -> bool {
        self.first(kind, namespace).is_some()
    }

    fn first(&self, kind: &str, namespace: &str) -> Option<u64> {
        let places = self.by_capability.get(kind)?;
        let is_open = |place: &&u64| {
            self.waiting.get(place).is_some_and(|it| {
                it.wants_more() && it.may_have(namespace) && !it.reply.is_closed()
            })
        };
        places.iter().find(is_open).copied()
    }

    /// Takes the ask whose turn it is; give it back with [`Takers::push`] or answer it.
    pub fn pop(&mut self, kind: &str, namespace: &str) -> Option<Taker> {
        let place = self.first(kind, namespace)?;
        self.remove(place)
    }

    /// Takes out the asks that are over: their time is up, or nobody waits for the answer.
    pub fn pop_over(&mut self, now: Instant) -> Vec<Taker> {
        let due = self.until.iter().take_while(|(until, _)| *until <= now);
        let due: Vec<u64> = due.map(|(_, place)| *place).collect();
        due.into_iter().filter_map(|it| self.remove(it)).collect()
    }

    /// Takes out the asks of one worker, or all.
    pub fn pop_all(&mut self, worker: Option<&str>) -> Vec<Taker> {
        let mine = self.waiting.iter().filter(|(_, it)| worker.is_none_or(|my| *it.worker == *my));
        let mine: Vec<u64> = mine.map(|(place, _)| *place).collect();
        mine.into_iter().filter_map(|it| self.remove(it)).collect()
    }

    /// Takes out the asks that were given something.
    pub fn pop_given(&mut self) -> Vec<Taker> {
        let given = self.waiting.iter().filter(|(_, it)| !it.given.is_empty());
        let given: Vec<u64> = given.map(|(place, _)| *place).collect();
        given.into_iter().filter_map(|it| self.remove(it)).collect()
    }

    /// Forgets workers that were not heard of for `lease` and do not ask.
    pub fn look(&mut self, now: Instant, lease: Duration) {
        let open: BTreeSet<Arc<str>> = self.open().map(|it| it.worker.clone()).collect();
        self.seen.retain(|worker, it| it.at + lease > now || open.contains(worker));
    }

    fn open(&self) -> impl Iterator<Item = &Taker> {
        self.waiting.values().filter(|it| !it.reply.is_closed())
    }

    /// Counts the workers that are there, by capability: all, or those that may have tasks of a
    /// namespace.
    pub fn presence(
        &self,
        now: Instant,
        lease: Duration,
        namespace: Option<&str>,
    ) -> BTreeMap<String, Presence> {
        let counts = |it: &Namespaces| namespace.is_none_or(|name| may_have(it.as_ref(), name));
        let mut all: BTreeMap<String, Presence> = BTreeMap::new();
        let open: BTreeSet<&Arc<str>> = self.open().map(|it| &it.worker).collect();
        for (worker, seen) in self.seen.iter().filter(|(_, it)| counts(&it.namespaces)) {
            if seen.at + lease > now || open.contains(worker) {
                for capability in seen.capabilities.iter() {
                    all.entry(capability.clone()).or_default().workers += 1;
                }
            }
        }
        for taker in self.open().filter(|it| counts(&it.namespaces)) {
            for capability in taker.capabilities.iter() {
                all.entry(capability.clone()).or_default().asked += taker.slots;
            }
        }
        all
    }
}
