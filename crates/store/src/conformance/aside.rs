//! Promises of what is kept beside the journal: definitions, payloads, logs and the inbox.

use surefoot_core::ids::{Digest, RunId};

use super::{Fixture, apply, claimed, row, run_id};
use crate::{APPLIED, Append, DefinitionRow, Error, LogFilter, LogLine};

pub(super) fn line(run: RunId, text: &str) -> LogLine {
    LogLine {
        run,
        task: "pay".to_owned(),
        attempt: 1,
        at: 5,
        stream: "stdout".to_owned(),
        text: text.to_owned(),
    }
}

pub(super) fn all_logs() -> LogFilter {
    LogFilter { limit: 1_000, ..LogFilter::default() }
}

fn definition(version: &str, source: &str, created_at: u64) -> DefinitionRow {
    DefinitionRow {
        hash: Digest::of(source.as_bytes()),
        workflow: "order".to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        created_at,
        actor: "test".to_owned(),
    }
}

pub async fn version_names_one_definition(fixture: &dyn Fixture) {
    let (store, _) = claimed(fixture).await;
    let one = definition("1", "one", 5);
    assert_eq!(store.put_definition(&one).await.unwrap(), Ok(()));
    assert_eq!(store.put_definition(&one).await.unwrap(), Ok(()), "the same again");
    let store = fixture.reopen(store).await;
    let refused = store.put_definition(&definition("1", "two", 6)).await.unwrap();
    assert_eq!(refused, Err(one.hash));
    assert_eq!(store.definition(one.hash).await.unwrap(), Some(one));
    assert_eq!(store.definition(Digest::of(b"two")).await.unwrap(), None);
}

pub async fn definitions_come_newest_first(fixture: &dyn Fixture) {
    let (store, _) = claimed(fixture).await;
    let other = DefinitionRow { workflow: "refund".to_owned(), ..definition("1", "other", 6) };
    let rows =
        [definition("1", "one", 5), other, definition("2", "two", 9), definition("3", "three", 9)];
    for row in &rows {
        assert_eq!(store.put_definition(row).await.unwrap(), Ok(()));
    }
    let store = fixture.reopen(store).await;
    let [one, other, two, three] = rows;
    let all = store.definitions(None).await.unwrap();
    assert_eq!(all, [three.clone(), two.clone(), other, one.clone()]);
    assert_eq!(store.definitions(Some("order")).await.unwrap(), [three, two, one]);
    assert!(store.definitions(Some("nothing")).await.unwrap().is_empty());
}

pub async fn payloads_are_kept_once(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let body = vec![9; 100_000];
    let hash = Digest::of(&body);
    for number in 1..=3 {
        let payloads = vec![(hash, body.clone()), (hash, body.clone())];
        let append = Append { payloads, ..Append::record(run_id(number), 0, vec![]) };
        apply(&*store, owner, vec![append]).await;
    }
    let store = fixture.reopen(store).await;
    assert_eq!(store.payload(hash).await.unwrap(), Some(body));
    assert_eq!(store.payload(Digest::of(b"none")).await.unwrap(), None);
    assert_eq!(store.info().await.unwrap().payloads, 1);
}

pub async fn logs_are_followed(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let (run, other) = (run_id(1), run_id(2));
    let logs = vec![line(run, "one"), line(other, "other"), line(run, "two")];
    apply(&*store, owner, vec![Append { logs, ..Append::record(run, 0, vec![]) }]).await;
    let retried = LogLine { attempt: 2, ..line(run, "three") };
    let elsewhere = LogLine { task: "ship".to_owned(), ..line(run, "four") };
    store.append_logs(owner, vec![retried, elsewhere]).await.unwrap();
    let store = fixture.reopen(store).await;
    let second = store.logs(run, &all_logs()).await.unwrap()[1].position;
    for (filter, expected) in [
        (all_logs(), vec!["one", "two", "three", "four"]),
        (LogFilter { after: second, ..all_logs() }, vec!["three", "four"]),
        (LogFilter { limit: 1, ..all_logs() }, vec!["one"]),
        (LogFilter { task: Some("ship".to_owned()), ..all_logs() }, vec!["four"]),
        (LogFilter { attempt: Some(2), ..all_logs() }, vec!["three"]),
        (LogFilter { task: Some("none".to_owned()), ..all_logs() }, vec![]),
    ] {
        let found = store.logs(run, &filter).await.unwrap();
        let texts: Vec<_> = found.iter().map(|it| it.line.text.as_str()).collect();
        assert_eq!(texts, expected, "{filter:?}");
        assert!(found.is_sorted_by(|one, two| one.position < two.position));
    }
    let found = store.logs(other, &all_logs()).await.unwrap();
    assert_eq!(found[0].line, line(other, "other"), "a line is kept as it was given");
}

pub async fn logs_are_fenced(fixture: &dyn Fixture) {
    let (store, old) = claimed(fixture).await;
    let new = store.claim(0).await.unwrap();
    let refused = store.append_logs(old, vec![line(run_id(1), "late")]).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    store.append_logs(new, vec![line(run_id(1), "in time")]).await.unwrap();
    assert_eq!(store.logs(run_id(1), &all_logs()).await.unwrap().len(), 1);
}

pub async fn inbox_is_answered_once(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    let one = store.post(run, b"pause".to_vec(), 5).await.unwrap();
    let store = fixture.reopen(store).await;
    let two = store.post(run, b"\0\xFF".to_vec(), 6).await.unwrap();
    let open = store.inbox(0, 10).await.unwrap();
    assert_eq!(open.iter().map(|it| it.id).collect::<Vec<_>>(), [one, two], "oldest first");
    assert_eq!((open[1].command.as_slice(), open[1].created_at), (&b"\0\xFF"[..], 6));
    assert_eq!(store.inbox(one, 10).await.unwrap().len(), 1);
    assert_eq!(store.inbox(0, 1).await.unwrap().len(), 1);
    assert_eq!(store.answered(one).await.unwrap(), None);
    store.answer(owner, vec![(one, "paused".to_owned())]).await.unwrap();
    store.answer(owner, vec![(one, "again".to_owned()), (999, "none".to_owned())]).await.unwrap();
    let store = fixture.reopen(store).await;
    assert_eq!(store.answered(one).await.unwrap().as_deref(), Some("paused"));
    assert_eq!(store.answered(999).await.unwrap(), None);
    assert_eq!(store.inbox(0, 10).await.unwrap().len(), 1);
    let new = store.claim(0).await.unwrap();
    let refused = store.answer(owner, vec![(two, "late".to_owned())]).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    store.answer(new, vec![(two, "in time".to_owned())]).await.unwrap();
}

pub async fn decision_answers_the_inbox(fixture: &dyn Fixture) {
    let (store, owner) = claimed(fixture).await;
    let run = run_id(1);
    apply(&*store, owner, vec![super::begin(row(run))]).await;
    let entry = store.post(run, b"signal".to_vec(), 5).await.unwrap();
    let append = Append { answered: vec![entry], ..Append::record(run, 1, vec![]) };
    apply(&*store, owner, vec![append]).await;
    let store = fixture.reopen(store).await;
    assert_eq!(store.answered(entry).await.unwrap().as_deref(), Some(APPLIED));
    assert!(store.inbox(0, 10).await.unwrap().is_empty());
}
