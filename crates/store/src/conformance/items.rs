//! Promises of items: small things beside runs, guarded by revisions.

use std::sync::Arc;

use super::{Fixture, claimed};
use crate::{
    COLLECTION_BYTES_MAX, Error, Expect, ITEM_BYTES_MAX, ITEM_WRITES_BYTES_MAX, ITEM_WRITES_MAX,
    ItemConflict, ItemWrite, KEY_BYTES_MAX, Store,
};

/// Writers that race for one revision.
const RACERS: u64 = 16;

fn put(key: &str, expect: Expect, body: &[u8]) -> ItemWrite {
    ItemWrite::put("things", key, expect, body.to_vec())
}

fn remove(key: &str, expect: Expect) -> ItemWrite {
    ItemWrite::remove("things", key, expect)
}

async fn write(store: &dyn Store, writes: Vec<ItemWrite>) -> Result<Vec<u64>, ItemConflict> {
    store.write_items(writes).await.unwrap()
}

/// Returns revision and body of an item.
async fn kept(store: &dyn Store, key: &str) -> Option<(u64, Vec<u8>)> {
    store.item("things", key).await.unwrap().map(|it| (it.revision, it.body))
}

pub async fn items_are_kept_as_given(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let bodies = [vec![], b"\0\xFF".to_vec(), vec![7; ITEM_BYTES_MAX]];
    let keys = ["plain", "key \u{1F511} 'quoted' % _", ""];
    for (key, body) in keys.iter().zip(&bodies) {
        assert_eq!(write(&*store, vec![put(key, Expect::Absent, body)]).await, Ok(vec![1]));
    }
    let store = fixture.reopen(store).await;
    for (key, body) in keys.iter().zip(bodies) {
        assert_eq!(kept(&*store, key).await, Some((1, body)), "`{key}`");
    }
    assert_eq!(kept(&*store, "unknown").await, None);
    assert_eq!(store.item("others", "plain").await.unwrap(), None, "another collection");
}

/// Tries what `expect` lets through with no item, with revision 1 and with revision 2.
pub async fn items_are_guarded_by_what_is_expected(fixture: &dyn Fixture) {
    for (expect, passes) in [
        (Expect::Anything, [true, true, true]),
        (Expect::Absent, [true, false, false]),
        (Expect::Revision(1), [false, true, false]),
        (Expect::Revision(2), [false, false, true]),
        (Expect::Revision(0), [false, false, false]),
    ] {
        for (writes, passes) in (0u64..).zip(passes) {
            for body in [Some(b"new".to_vec()), None] {
                let store = fixture.fresh().await;
                for _ in 0..writes {
                    write(&*store, vec![put("a", Expect::Anything, b"old")]).await.unwrap();
                }
                let (actual, before) = ((writes > 0).then_some(writes), kept(&*store, "a").await);
                let one = ItemWrite { body: body.clone(), ..put("a", expect, b"") };
                let answer = write(&*store, vec![one]).await;
                let after = kept(&*store, "a").await;
                let what = format!("{expect:?}, {writes} writes before, {body:?}");
                if passes {
                    let revision = if body.is_some() { writes + 1 } else { 0 };
                    assert_eq!(answer, Ok(vec![revision]), "{what}");
                    assert_eq!(after, body.map(|it| (revision, it)), "{what}");
                } else {
                    let (collection, key) = ("things".to_owned(), "a".to_owned());
                    assert_eq!(answer, Err(ItemConflict { collection, key, actual }), "{what}");
                    assert_eq!(after, before, "{what}");
                }
            }
        }
    }
}

pub async fn items_are_written_together_or_not_at_all(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let there = vec![put("b", Expect::Absent, b"old"), put("c", Expect::Absent, b"old")];
    assert_eq!(write(&*store, there).await, Ok(vec![1, 1]));
    let refused = vec![
        put("a", Expect::Absent, b"new"),
        remove("b", Expect::Revision(1)),
        put("c", Expect::Revision(7), b"new"),
        put("d", Expect::Revision(9), b"new"),
    ];
    let conflict = write(&*store, refused).await.unwrap_err();
    assert_eq!((conflict.key.as_str(), conflict.actual), ("c", Some(1)), "the first is named");
    let store = fixture.reopen(store).await;
    for (key, expected) in [("a", None), ("b", Some((1, b"old".to_vec()))), ("d", None)] {
        assert_eq!(kept(&*store, key).await, expected, "{key}");
    }
    assert_eq!(write(&*store, vec![]).await, Ok(vec![]));
}

/// A later write of a call sees what an earlier one did.
pub async fn item_writes_keep_their_order(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let writes = vec![
        put("a", Expect::Absent, b"one"),
        put("a", Expect::Revision(1), b"two"),
        remove("a", Expect::Revision(2)),
        put("a", Expect::Absent, b"three"),
    ];
    assert_eq!(write(&*store, writes).await, Ok(vec![1, 2, 0, 1]));
    let store = fixture.reopen(store).await;
    assert_eq!(kept(&*store, "a").await, Some((1, b"three".to_vec())));
}

pub async fn one_of_racing_item_writers_wins(fixture: &dyn Fixture) {
    let (store, _) = claimed(fixture).await;
    write(&*store, vec![put("a", Expect::Absent, b"old")]).await.unwrap();
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let store = Arc::clone(&store);
            let writes = vec![
                put(&format!("trace {racer}"), Expect::Absent, b""),
                put("a", Expect::Revision(1), &racer.to_le_bytes()),
            ];
            tokio::spawn(async move { (racer, write(&*store, writes).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        let (racer, answer) = racer.await.unwrap();
        let trace = kept(&*store, &format!("trace {racer}")).await;
        assert_eq!(trace.is_some(), answer.is_ok(), "who lost wrote nothing");
        match answer {
            Ok(revisions) => winners.push((racer, revisions)),
            Err(conflict) => assert_eq!(conflict.actual, Some(2)),
        }
    }
    let [(winner, revisions)] = winners.as_slice() else { panic!("winners: {winners:?}") };
    assert_eq!(*revisions, [1, 2]);
    assert_eq!(kept(&*store, "a").await, Some((2, winner.to_le_bytes().to_vec())));
}

pub async fn items_are_paged_by_key(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let keys = ["", "B", "a", "a/b", "ab", "\u{E4}", "\u{1F511}"];
    let mut writes: Vec<_> = keys.iter().rev().map(|it| put(it, Expect::Absent, b"")).collect();
    writes.push(ItemWrite::put("thing", "z", Expect::Absent, vec![]));
    writes.push(ItemWrite::put("thingsy", "a", Expect::Absent, vec![]));
    write(&*store, writes).await.unwrap();
    let store = fixture.reopen(store).await;
    for (after, limit, expected) in [
        (None, 100, &keys[..]),
        (None, 2, &keys[..2]),
        (None, 0, &[]),
        (Some(""), 100, &keys[1..]),
        (Some("a"), 2, &keys[3..5]),
        (Some("aa"), 100, &keys[4..]),
        (Some("\u{1F511}"), 100, &[]),
    ] {
        let page = store.items("things", after, limit).await.unwrap();
        let found: Vec<_> = page.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(found, expected, "after {after:?}, at most {limit}");
    }
    assert!(store.items("none", None, 100).await.unwrap().is_empty());
}

pub async fn items_have_limits(fixture: &dyn Fixture) {
    let store = fixture.fresh().await;
    let long = |bytes: usize| "x".repeat(bytes);
    let named =
        |collection: &str, key: &str| ItemWrite::put(collection, key, Expect::Anything, vec![]);
    let many = |writes: usize, bytes: usize| -> Vec<ItemWrite> {
        (0..writes).map(|it| put(&it.to_string(), Expect::Anything, &vec![1; bytes])).collect()
    };
    let most = ITEM_WRITES_BYTES_MAX / ITEM_BYTES_MAX;
    for (at, beyond, limit) in [
        (
            vec![named(&long(COLLECTION_BYTES_MAX), "a")],
            vec![named(&long(COLLECTION_BYTES_MAX + 1), "a")],
            COLLECTION_BYTES_MAX,
        ),
        (
            vec![named("a", &long(KEY_BYTES_MAX))],
            vec![named("a", &long(KEY_BYTES_MAX + 1))],
            KEY_BYTES_MAX,
        ),
        (many(1, ITEM_BYTES_MAX), many(1, ITEM_BYTES_MAX + 1), ITEM_BYTES_MAX),
        (many(ITEM_WRITES_MAX, 1), many(ITEM_WRITES_MAX + 1, 1), ITEM_WRITES_MAX),
        (many(most, ITEM_BYTES_MAX), many(most + 1, ITEM_BYTES_MAX), ITEM_WRITES_BYTES_MAX),
    ] {
        let refused = store.write_items(beyond).await;
        let is_named = matches!(&refused, Err(Error::TooLarge { limit: it, .. }) if *it == limit);
        assert!(is_named, "{limit}: {refused:?}");
        assert!(store.write_items(at).await.unwrap().is_ok(), "{limit}");
    }
}
