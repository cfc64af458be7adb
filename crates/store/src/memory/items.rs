//! Items, and the order of all records, as a store in memory keeps them.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Bound;

use surefoot_core::ids::RunId;

use crate::item::{self, Item, ItemConflict, ItemWrite};
use crate::{JOURNAL_PAGE_BYTES_MAX, JournalEntry, Result};

/// By collection and key: the revision and the body.
#[derive(Default)]
pub struct Items(BTreeMap<(String, String), (u64, Vec<u8>)>);

impl Items {
    pub fn get(&self, collection: &str, key: &str) -> Option<Item> {
        let found = self.0.get_key_value(&(collection.to_owned(), key.to_owned()))?;
        Some(item(found))
    }

    pub fn page(&self, collection: &str, after: Option<&str>, limit: u32) -> Vec<Item> {
        let name = |key: &str| (collection.to_owned(), key.to_owned());
        let from = match after {
            Some(after) => Bound::Excluded(name(after)),
            None => Bound::Included(name("")),
        };
        let found = self.0.range((from, Bound::Unbounded));
        let found = found.take_while(|(name, _)| name.0 == collection);
        found.take(limit as usize).map(item).collect()
    }

    pub fn write(
        &mut self,
        writes: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>> {
        item::check_sizes(&writes)?;
        let stored = |collection: &str, key: &str| {
            Ok::<_, Infallible>(self.get(collection, key).map(|it| it.revision))
        };
        let Ok(planned) = item::revisions(&writes, stored);
        if let Ok(revisions) = &planned {
            for (ItemWrite { collection, key, body, .. }, revision) in
                writes.into_iter().zip(revisions)
            {
                match body {
                    Some(body) => self.0.insert((collection, key), (*revision, body)),
                    None => self.0.remove(&(collection, key)),
                };
            }
        }
        Ok(planned)
    }
}

fn item((name, kept): (&(String, String), &(u64, Vec<u8>))) -> Item {
    let ((collection, key), (revision, body)) = (name.clone(), kept.clone());
    Item { collection, key, revision, body }
}

/// Which record has which position.
#[derive(Default)]
pub struct Order {
    entries: BTreeMap<i64, (RunId, u64)>,
    end: i64,
}

impl Order {
    pub fn push(&mut self, run: RunId, seq: u64) {
        self.end += 1;
        self.entries.insert(self.end, (run, seq));
    }

    /// Removes the entries of a run, and returns the position of its last one.
    pub fn remove(&mut self, run: RunId) -> i64 {
        let last = self.entries.iter().rfind(|(_, (it, _))| *it == run).map_or(0, |it| *it.0);
        self.entries.retain(|_, (it, _)| *it != run);
        last
    }

    pub fn end(&self) -> i64 {
        self.end
    }

    pub fn page(
        &self,
        journals: &HashMap<RunId, Vec<Vec<u8>>>,
        after: i64,
        limit: u32,
    ) -> Vec<JournalEntry> {
        let mut bytes = 0;
        let mut page = Vec::new();
        let after = self.entries.range((Bound::Excluded(after), Bound::Unbounded));
        for (position, (run, seq)) in after.take(limit as usize) {
            let record = journals.get(run).and_then(|it| it.get(*seq as usize)).cloned();
            let record = record.unwrap_or_default();
            bytes += record.len();
            page.push(JournalEntry { position: *position, run: *run, seq: *seq, record });
            if bytes >= JOURNAL_PAGE_BYTES_MAX {
                break;
            }
        }
        page
    }
}
