//! Which workers there are. In memory: after a restart they register again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use surefoot::core::time::Millis;
use surefoot_client::wire::RegisterWorker;
use tokio_util::sync::CancellationToken;

use super::unknown_worker;
use crate::auth::Principal;
use crate::problem::Problem;

/// Workers that are known at once.
const WORKERS_MAX: usize = 10_000;
/// A lost worker is shown for so long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

const CONNECTED: &str = "connected";
const DRAINING: &str = "draining";
const LOST: &str = "lost";
const STATES: [&str; 3] = [CONNECTED, DRAINING, LOST];

/// How many workers there are in each state, and what they can do at once.
pub(crate) struct Census {
    pub states: BTreeMap<&'static str, u64>,
    /// Of those that take tasks.
    pub slots: u64,
}

#[derive(Default)]
pub(crate) struct Pool(Arc<Mutex<BTreeMap<String, Known>>>);

/// A worker that has registered.
#[derive(Clone)]
pub(super) struct Known {
    pub said: RegisterWorker,
    /// Whose token it came with: nobody else may speak for it.
    pub actor: String,
    pub registered_at: Millis,
    pub heard_at: Millis,
    heard: Instant,
    /// Polls that wait for an answer. While there is one, the worker is there.
    polls: u32,
    pub drained: CancellationToken,
}

impl Known {
    pub fn status(&self, lease: Duration) -> &'static str {
        if self.polls == 0 && self.heard.elapsed() > lease {
            LOST
        } else if self.drained.is_cancelled() {
            DRAINING
        } else {
            CONNECTED
        }
    }
}

/// A poll that is under way.
pub(super) struct Polling {
    workers: Arc<Mutex<BTreeMap<String, Known>>>,
    id: String,
    pub capabilities: Vec<String>,
    pub drained: CancellationToken,
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some(known) = lock(&self.workers).get_mut(&self.id) {
            known.polls -= 1;
            known.heard = Instant::now();
        }
    }
}

impl Pool {
    /// Takes a worker in and returns its id. Unguessable, because it is all that tells two workers
    /// with one token apart.
    pub fn add(&self, said: RegisterWorker, actor: &str, now: Millis) -> Result<String, Problem> {
        let mut workers = lock(&self.0);
        workers.retain(|_, it| it.polls > 0 || it.heard.elapsed() < FORGOTTEN_AFTER);
        if workers.len() >= WORKERS_MAX {
            let title = format!("there are {WORKERS_MAX} workers already");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "SF4069", title)
                .hint("Give each worker more slots instead of starting more of them.")
                .retry_after(60));
        }
        let id = format!("wk_{:032x}", rand::random::<u128>());
        let known = Known {
            said,
            actor: actor.to_owned(),
            registered_at: now,
            heard_at: now,
            heard: Instant::now(),
            polls: 0,
            drained: CancellationToken::new(),
        };
        workers.insert(id.clone(), known);
        Ok(id)
    }

    /// Begins a poll of a worker that belongs to the caller.
    pub(super) fn poll(
        &self,
        id: &str,
        caller: &Principal,
        now: Millis,
    ) -> Result<Polling, Problem> {
        let mut workers = lock(&self.0);
        let known = workers.get_mut(id).filter(|it| it.actor == caller.actor);
        let known = known.ok_or_else(|| unknown_worker(id))?;
        known.polls += 1;
        (known.heard, known.heard_at) = (Instant::now(), now);
        Ok(Polling {
            workers: self.0.clone(),
            id: id.to_owned(),
            capabilities: known.said.capabilities.clone(),
            drained: known.drained.clone(),
        })
    }

    /// A worker was heard of outside of a poll. Says whether it belongs to the caller.
    pub fn hear(&self, id: &str, caller: &Principal, now: Millis) -> bool {
        let mut workers = lock(&self.0);
        let Some(known) = workers.get_mut(id).filter(|it| it.actor == caller.actor) else {
            return false;
        };
        (known.heard, known.heard_at) = (Instant::now(), now);
        true
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// The worker gets no more tasks.
    pub(super) fn drain(&self, id: &str, may: impl Fn(&Known) -> bool) -> Result<(), Problem> {
        let known = lock(&self.0).get(id).filter(|it| may(it)).map(|it| it.drained.clone());
        known.ok_or_else(|| unknown_worker(id))?.cancel();
        Ok(())
    }

    pub(super) fn remove(&self, id: &str, may: impl Fn(&Known) -> bool) -> Result<(), Problem> {
        let mut workers = lock(&self.0);
        if !workers.get(id).is_some_and(may) {
            return Err(unknown_worker(id));
        }
        workers.remove(id);
        Ok(())
    }

    pub(super) fn get(&self, id: &str) -> Option<Known> {
        lock(&self.0).get(id).cloned()
    }

    /// Counts the workers, where one that is not heard of for a lease is lost.
    pub fn census(&self, lease: Duration) -> Census {
        let mut census = Census { states: STATES.map(|it| (it, 0)).into(), slots: 0 };
        for known in lock(&self.0).values() {
            let state = known.status(lease);
            *census.states.entry(state).or_default() += 1;
            if state == CONNECTED {
                census.slots += u64::from(known.said.slots);
            }
        }
        census
    }

    pub(super) fn all(&self) -> Vec<(String, Known)> {
        lock(&self.0).iter().map(|(id, it)| (id.clone(), it.clone())).collect()
    }
}

fn lock(workers: &Mutex<BTreeMap<String, Known>>) -> MutexGuard<'_, BTreeMap<String, Known>> {
    workers.lock().unwrap_or_else(|it| it.into_inner())
}
