//! Which schedule is to be looked at when. All that memory holds of a schedule.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use surefoot_core::ids::RunId;
use surefoot_core::time::Millis;

#[derive(Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Millis, Arc<str>)>,
    times: HashMap<Arc<str>, Millis>,
    /// Runs whose end lets a slot of a schedule start.
    awaited: HashMap<RunId, Arc<str>>,
}

impl Timers {
    pub fn set(&mut self, id: &str, at: Option<Millis>) {
        let name = match self.times.remove_entry(id) {
            Some((name, before)) => {
                self.by_time.remove(&(before, name.clone()));
                name
            }
            None => Arc::from(id),
        };
        if let Some(at) = at {
            self.by_time.insert((at, name.clone()));
            self.times.insert(name, at);
        }
    }

    /// Takes out what has come, the earliest first.
    pub fn take_due(&mut self, now: Millis, limit: usize) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((at, id)) = self.by_time.first().filter(|it| it.0 <= now).cloned()
        {
            self.by_time.remove(&(at, id.clone()));
            self.times.remove(&id);
            due.push(id);
        }
        due
    }

    pub fn first(&self) -> Option<Millis> {
        self.by_time.first().map(|it| it.0)
    }

    pub fn await_end(&mut self, run: RunId, id: &str) {
        self.awaited.insert(run, Arc::from(id));
    }

    /// A run has ended: whoever waits for it is looked at next.
    pub fn ended(&mut self, run: RunId) -> bool {
        let Some(id) = self.awaited.remove(&run) else { return false };
        self.set(&id, Some(0));
        true
    }

    /// Some ends may have been missed: all who wait are looked at next.
    pub fn may_have_ended(&mut self) {
        for id in std::mem::take(&mut self.awaited).into_values() {
            self.set(&id, Some(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_one_time() {
        let mut timers = Timers::default();
        timers.set("a", Some(10));
        timers.set("b", Some(5));
        timers.set("a", Some(3));
        assert_eq!(timers.times.len(), 2);
        assert_eq!(timers.first(), Some(3));
        assert_eq!(timers.take_due(4, 10), [Arc::from("a")]);
        assert_eq!(timers.take_due(4, 10), []);
        timers.set("b", None);
        assert_eq!((timers.first(), timers.times.len()), (None, 0));
    }

    #[test]
    fn an_end_wakes_who_waits_for_it() {
        let mut timers = Timers::default();
        let (one, other) = (RunId::new(1, 1), RunId::new(1, 2));
        timers.await_end(one, "a");
        assert!(!timers.ended(other));
        assert!(timers.ended(one));
        assert!(!timers.ended(one), "once");
        timers.await_end(other, "b");
        timers.may_have_ended();
        assert_eq!(timers.take_due(0, 10), [Arc::from("a"), Arc::from("b")]);
    }
}
