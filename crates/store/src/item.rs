//! Something small that is kept beside runs: a schedule, a token, a subscription. What is in it is
//! its owner's business; here it is a name, a revision and bytes.

use std::collections::HashMap;

use crate::{Error, Result};

/// Bytes of a collection's name.
pub const COLLECTION_BYTES_MAX: usize = 64;
/// Bytes of a key.
pub const KEY_BYTES_MAX: usize = 512;
/// Bytes of one body.
pub const ITEM_BYTES_MAX: usize = 1024 * 1024;
/// Writes of one call.
pub const ITEM_WRITES_MAX: usize = 1_000;
/// Bytes of all bodies of one call.
pub const ITEM_WRITES_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub collection: String,
    pub key: String,
    /// Counts the writes, from 1. An item that was removed begins at 1 again.
    pub revision: u64,
    pub body: Vec<u8>,
}

/// What a writer believes about an item, so that it does not overwrite what it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    Revision(u64),
}

impl Expect {
    /// Whether it holds of an item with this revision, or of none.
    fn holds(self, actual: Option<u64>) -> bool {
        match self {
            Expect::Anything => true,
            Expect::Absent => actual.is_none(),
            Expect::Revision(expected) => actual == Some(expected),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemWrite {
    pub collection: String,
    pub key: String,
    pub expect: Expect,
    /// Nothing removes the item.
    pub body: Option<Vec<u8>>,
}

impl ItemWrite {
    pub fn put(collection: &str, key: &str, expect: Expect, body: Vec<u8>) -> ItemWrite {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        ItemWrite { collection, key, expect, body: Some(body) }
    }

    pub fn remove(collection: &str, key: &str, expect: Expect) -> ItemWrite {
        let (collection, key) = (collection.to_owned(), key.to_owned());
        ItemWrite { collection, key, expect, body: None }
    }
}

/// The first write whose expectation does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemConflict {
    pub collection: String,
    pub key: String,
    /// The revision that is there, if the item is.
    pub actual: Option<u64>,
}

/// Refuses what is beyond a limit. Every backend asks before it writes anything.
pub(crate) fn check_sizes(writes: &[ItemWrite]) -> Result<()> {
    let body = |it: &ItemWrite| it.body.as_ref().map_or(0, Vec::len);
    let longest = |length: &dyn Fn(&ItemWrite) -> usize| writes.iter().map(length).max();
    let sizes = [
        ("the number of items in one write", Some(writes.len()), ITEM_WRITES_MAX),
        (
            "the bytes of a collection's name",
            longest(&|it| it.collection.len()),
            COLLECTION_BYTES_MAX,
        ),
        ("the bytes of an item's key", longest(&|it| it.key.len()), KEY_BYTES_MAX),
        ("the bytes of an item", longest(&body), ITEM_BYTES_MAX),
        ("the bytes of one write", Some(writes.iter().map(body).sum()), ITEM_WRITES_BYTES_MAX),
    ];
    for (what, actual, limit) in sizes {
        let actual = actual.unwrap_or(0);
        if actual > limit {
            return Err(Error::TooLarge { what: what.to_owned(), actual, limit });
        }
    }
    Ok(())
}

/// Returns each write's new revision (0 for what is removed), or the first conflict. `stored` tells
/// the revision that an item had before the call; a later write of the call sees an earlier one.
pub(crate) fn revisions<E>(
    writes: &[ItemWrite],
    mut stored: impl FnMut(&str, &str) -> std::result::Result<Option<u64>, E>,
) -> std::result::Result<std::result::Result<Vec<u64>, ItemConflict>, E> {
    let mut seen: HashMap<(&str, &str), Option<u64>> = HashMap::new();
    let mut revisions = Vec::with_capacity(writes.len());
    for ItemWrite { collection, key, expect, body } in writes {
        let actual = match seen.get(&(collection.as_str(), key.as_str())) {
            Some(revision) => *revision,
            None => stored(collection, key)?,
        };
        if !expect.holds(actual) {
            let (collection, key) = (collection.clone(), key.clone());
            return Ok(Err(ItemConflict { collection, key, actual }));
        }
        let revision = body.as_ref().map(|_| actual.unwrap_or(0) + 1);
        seen.insert((collection, key), revision);
        revisions.push(revision.unwrap_or(0));
    }
    Ok(Ok(revisions))
}
