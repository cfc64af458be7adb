//! The entries of the log as they are kept: numbered, chained by hashes, removed only from the old
//! end, where an anchor says what stood before. Entries that are written together are kept together,
//! under the number of the first: under load an entry costs the store next to nothing.

use serde::{Deserialize, Serialize};
use surefoot::core::time::Millis;
use surefoot::store::{Error, Expect, Item, ItemWrite, Store};
use surefoot_client::wire::{AuditCheck, AuditEntry};

use crate::problem::Problem;
use crate::time;

/// Where entries are kept, the newest first.
pub(super) const COLLECTION: &str = "audit";
/// Where the anchor is kept.
const ANCHORS: &str = "audit_anchor";
const ANCHOR: &str = "oldest";
/// What stands before the first entry.
const NO_CHAIN: &str = "";
/// Entries that are kept together.
const TOGETHER_MAX: usize = 64;
/// Entries, or groups of them, that are looked at in one go.
const PART: u32 = 256;

/// The end of the log: the number of the next entry, and the hash before it.
pub(super) struct Chain(End);

/// A place between two entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    next: u64,
    chain: String,
}

impl Chain {
    pub async fn open(store: &dyn Store) -> Result<Chain, Error> {
        Ok(Chain(end(store).await?))
    }

    /// Adds entries, all or none.
    pub async fn add(
        &mut self,
        store: &dyn Store,
        mut entries: Vec<AuditEntry>,
    ) -> Result<(), String> {
        let writes = entries.chunks_mut(TOGETHER_MAX).map(|it| self.0.add(it)).collect();
        let added = match store.write_items(writes).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(conflict)) => format!("entry {} is there already", conflict.key),
            Err(error) => error.to_string(),
        };
        // Whether they were written is not known: the log is looked at again.
        if let Ok(end) = end(store).await {
            self.0 = end;
        }
        Err(added)
    }
}

impl End {
    fn add(&mut self, entries: &mut [AuditEntry]) -> ItemWrite {
        let first = self.next;
        for entry in &mut *entries {
            self.chain = chained(&self.chain, entry);
            entry.chain.clone_from(&self.chain);
            self.next += 1;
        }
        let body = serde_json::to_vec(entries).unwrap_or_default();
        ItemWrite::put(COLLECTION, &key(first), Expect::Absent, body)
    }
}

/// Entries that are kept together, the oldest first.
struct Group {
    first: u64,
    entries: Vec<AuditEntry>,
}

impl Group {
    /// Returns nothing for what is none, or was cut to nothing.
    fn read(item: &Item) -> Option<Group> {
        let entries: Vec<AuditEntry> = serde_json::from_slice(&item.body).ok()?;
        (!entries.is_empty()).then_some(Group { first: number(&item.key)?, entries })
    }

    /// Returns the place behind the group.
    fn end(&self) -> End {
        let chain = self.entries.last().map_or_else(String::new, |it| it.chain.clone());
        End { next: self.first + self.entries.len() as u64, chain }
    }
}

async fn end(store: &dyn Store) -> Result<End, Error> {
    let newest = store.items(COLLECTION, None, 1).await?;
    match newest.first().and_then(Group::read) {
        Some(group) => Ok(group.end()),
        // Whatever was there has been removed.
        None => anchor(store).await,
    }
}

/// Returns what stands before the oldest entry that is kept.
async fn anchor(store: &dyn Store) -> Result<End, Error> {
    let kept = store.item(ANCHORS, ANCHOR).await?;
    let kept = kept.and_then(|it| serde_json::from_slice(&it.body).ok());
    Ok(kept.unwrap_or(End { next: 0, chain: NO_CHAIN.to_owned() }))
}

/// Returns entries, the newest first, from the one before `before` on; and where the next part
/// begins, if this one is full.
pub(super) async fn list(
    store: &dyn Store,
    before: Option<&str>,
    limit: u32,
) -> Result<(Vec<AuditEntry>, Option<String>), Problem> {
    let beyond = before.and_then(number).unwrap_or(u64::MAX);
    let mut found = Vec::new();
    // Each of these groups begins before that entry, so as many of them are enough.
    for item in store.items(COLLECTION, before, limit).await? {
        let group = Group::read(&item)
            .ok_or_else(|| Problem::internal("an entry of the audit log cannot be read"))?;
        for (at, entry) in group.entries.into_iter().enumerate().rev() {
            let number = group.first + at as u64;
            if number >= beyond {
                continue;
            }
            found.push(entry);
            if found.len() == limit as usize {
                return Ok((found, Some(key(number))));
            }
        }
    }
    Ok((found, None))
}

/// Returns groups from the one that begins with a number on, the oldest first.
async fn part(store: &dyn Store, from: u64) -> Result<Vec<Item>, Error> {
    let beyond = key(from.saturating_add(u64::from(PART)));
    let mut items = store.items(COLLECTION, Some(&beyond), PART).await?;
    // Near the end of the log, older ones fill the part up.
    items.retain(|it| number(&it.key) >= Some(from));
    items.reverse();
    Ok(items)
}

/// Removes entries that are older than an instant, and moves the anchor with them. What is kept
/// together goes together, when its newest entry is old.
pub(super) async fn remove_before(store: &dyn Store, oldest: Millis) -> Result<(), Error> {
    let is_old = |it: &AuditEntry| time::read(&it.at) < Some(oldest);
    loop {
        let mut at = anchor(store).await?;
        let mut writes = Vec::new();
        for item in part(store, at.next).await? {
            let group = Group::read(&item).filter(|it| it.entries.iter().all(is_old));
            let Some(group) = group else { break };
            at = group.end();
            writes.push(ItemWrite::remove(COLLECTION, &item.key, Expect::Anything));
        }
        if writes.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&at).unwrap_or_default();
        writes.push(ItemWrite::put(ANCHORS, ANCHOR, Expect::Anything, body));
        // Expectations of anything always hold.
        let _ = store.write_items(writes).await?;
    }
}

/// Looks at every entry, the oldest first.
pub(super) async fn check(store: &dyn Store) -> Result<AuditCheck, Problem> {
    let newest = store.items(COLLECTION, None, 1).await?;
    let last = newest.first().and_then(|it| number(&it.key));
    let mut at = anchor(store).await?;
    let removed = at.next;
    let broken = |at: &End, why: &str| AuditCheck {
        intact: false,
        entries: at.next - removed,
        removed,
        chain: at.chain.clone(),
        broken_at: Some(at.next),
        why: Some(why.to_owned()),
    };
    // Up to the group that was the newest when the check began.
    while Some(at.next) <= last {
        let items = part(store, at.next).await?;
        if items.is_empty() {
            return Ok(broken(&at, "the entry is missing"));
        }
        for item in &items {
            if number(&item.key) != Some(at.next) {
                return Ok(broken(&at, "the entry is missing"));
            }
            let Some(group) = Group::read(item) else {
                return Ok(broken(&at, "the entry cannot be read"));
            };
            for entry in group.entries {
                let chain = chained(&at.chain, &entry);
                if chain != entry.chain {
                    return Ok(broken(&at, "the entry, or the one before it, was changed"));
                }
                at = End { next: at.next + 1, chain };
            }
        }
    }
    Ok(AuditCheck {
        intact: true,
        entries: at.next - removed,
        removed,
        chain: at.chain,
        broken_at: None,
        why: None,
    })
}

/// Returns the hash of an entry that follows another.
fn chained(before: &str, entry: &AuditEntry) -> String {
    let entry = AuditEntry { chain: before.to_owned(), ..entry.clone() };
    blake3::hash(&serde_json::to_vec(&entry).unwrap_or_default()).to_hex().to_string()
}

/// Collections are listed by ascending key, and the log begins with its newest entry.
fn key(number: u64) -> String {
    format!("{:020}", u64::MAX - number)
}

fn number(key: &str) -> Option<u64> {
    let is_key = key.len() == 20 && key.bytes().all(|it| it.is_ascii_digit());
    is_key.then(|| key.parse::<u64>().ok()).flatten().map(|it| u64::MAX - it)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use surefoot::store::MemoryStore;

    use super::*;

    const DAY_MS: Millis = 24 * 60 * 60 * 1000;

    /// A log with one entry a day, so many of which are written together.
    async fn days(count: u64, together: u64) -> MemoryStore {
        let store = MemoryStore::default();
        let mut chain = Chain::open(&store).await.unwrap();
        for first in (0..count).step_by(together as usize) {
            let days = first..count.min(first + together);
            let at = |day| AuditEntry { at: time::text(day * DAY_MS), ..AuditEntry::default() };
            chain.add(&store, days.map(at).collect()).await.unwrap();
        }
        store
    }

    #[test]
    fn the_newest_entry_comes_first() {
        assert!(key(2) < key(1));
        assert_eq!(number(&key(7)), Some(7));
        for text in
            ["", "7", "1844674407370955161x", "99999999999999999999", "184467440737095516150"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_chain_depends_on_every_field_and_on_what_came_before() {
        let entry = AuditEntry { actor: "ada".to_owned(), ..AuditEntry::default() };
        let other = AuditEntry { status: 403, ..entry.clone() };
        let one = chained(NO_CHAIN, &entry);
        assert_ne!(one, chained(NO_CHAIN, &other));
        assert_ne!(one, chained(&one, &entry));
        let kept = AuditEntry { chain: one.clone(), ..entry };
        assert_eq!(one, chained(NO_CHAIN, &kept), "the kept hash does not enter itself");
    }

    #[tokio::test]
    async fn a_log_is_listed_in_parts_whatever_was_written_together() {
        for (together, limit) in [(1, 50), (7, 50), (100, 1), (500, 33), (3, 1_000)] {
            let store = days(300, together).await;
            let (mut all, mut before) = (Vec::new(), None);
            loop {
                let (part, next) = list(&store, before.as_deref(), limit).await.unwrap();
                assert!(part.len() <= limit as usize);
                all.extend(part.into_iter().map(|it| it.at));
                before = next;
                if before.is_none() {
                    break;
                }
            }
            let expected: Vec<String> = (0..300).rev().map(|it| time::text(it * DAY_MS)).collect();
            assert_eq!(all, expected, "{together} together, {limit} in a part");
        }
    }

    #[tokio::test]
    async fn old_entries_are_removed_and_what_is_left_still_proves_itself() {
        // Kept from this day on, so many together, how many are left.
        let table = [
            (0, 1, 700),
            (300, 1, 400),
            (700, 1, 0),
            (1_000, 1, 0),
            (300, 50, 400),
            (320, 50, 400),
            (349, 50, 400),
            (350, 50, 350),
            (700, 500, 0),
        ];
        for (kept_from, together, left) in table {
            let store = days(700, together).await;
            remove_before(&store, kept_from * DAY_MS).await.unwrap();
            let found = check(&store).await.unwrap();
            assert_eq!(
                (found.intact, found.entries, found.removed),
                (true, left, 700 - left),
                "from {kept_from}, {together} together: {found:?}"
            );
            let mut chain = Chain::open(&store).await.unwrap();
            chain.add(&store, vec![AuditEntry::default()]).await.unwrap();
            let found = check(&store).await.unwrap();
            assert_eq!((found.intact, found.entries), (true, left + 1), "it goes on: {found:?}");
        }
    }

    #[tokio::test]
    async fn an_entry_that_was_changed_taken_out_or_put_in_is_noticed() {
        let other = serde_json::to_vec(&[AuditEntry::default()]).unwrap();
        let put = |at| ItemWrite::put(COLLECTION, &key(at), Expect::Anything, other.clone());
        let remove = |at| ItemWrite::remove(COLLECTION, &key(at), Expect::Anything);
        let table = [
            (put(0), 0),
            (put(150), 150),
            (put(299), 299),
            (remove(0), 0),
            (remove(150), 150),
            (put(300), 300),
            (put(400), 300),
            (ItemWrite::put(COLLECTION, &key(7), Expect::Anything, b"{".to_vec()), 7),
            (ItemWrite::put(COLLECTION, &key(7), Expect::Anything, b"[]".to_vec()), 7),
        ];
        for (write, broken_at) in table {
            let store = days(300, 1).await;
            assert!(check(&store).await.unwrap().intact);
            let _ = store.write_items(vec![write.clone()]).await.unwrap();
            let found = check(&store).await.unwrap();
            assert_eq!((found.intact, found.broken_at), (false, Some(broken_at)), "{write:?}");
        }
        let store = days(300, 1).await;
        let whole = check(&store).await.unwrap().chain;
        let _ = store.write_items(vec![remove(299)]).await.unwrap();
        let found = check(&store).await.unwrap();
        assert!(found.intact && found.chain != whole, "the end that was noted differs");
    }

    #[tokio::test]
    async fn a_change_within_what_is_kept_together_is_noticed() {
        type Change = fn(&mut Vec<AuditEntry>);
        let table: [(Change, u64); 5] = [
            (|it| it[0].actor = "eve".to_owned(), 50),
            (|it| it[20].status = 200, 70),
            (|it| drop(it.remove(20)), 70),
            (|it| it.insert(20, it[19].clone()), 70),
            (|it| drop(it.pop()), 99),
        ];
        for (change, broken_at) in table {
            let store = days(300, 50).await;
            let item = store.item(COLLECTION, &key(50)).await.unwrap().unwrap();
            let mut entries = Group::read(&item).unwrap().entries;
            change(&mut entries);
            let body = serde_json::to_vec(&entries).unwrap();
            let write = ItemWrite::put(COLLECTION, &item.key, Expect::Anything, body);
            let _ = store.write_items(vec![write]).await.unwrap();
            let found = check(&store).await.unwrap();
            assert_eq!((found.intact, found.broken_at), (false, Some(broken_at)));
        }
    }
}
