//! The same calls on both backends have the same answers, whatever the calls.

#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use surefoot_core::ids::Digest;
use surefoot_store::conformance::{row, run_id, update};
use surefoot_store::*;

#[derive(Clone, Debug)]
enum Call {
    Claim,
    /// Run, number of records believed, and what else the append carries.
    Append(Vec<(u64, u64, Extra)>),
    Logs(u64),
    Post(u64),
    Answer(i64),
    Define(u8, u8),
    Gc(u64, u32),
    /// Key, what is expected, and the body or nothing.
    Items(Vec<(u8, Expect, Option<u8>)>),
    /// Closes and opens again; nothing for memory.
    Reopen,
}

#[derive(Clone, Debug)]
enum Extra {
    Nothing,
    Insert { key: Option<u8>, parent: Option<u64>, idle: Option<u64> },
    Idle(Option<u64>),
    End { at: u64, wake: u64 },
    Snapshot,
    Payload(u8),
    Answered(i64),
}

const RUNS: u64 = 5;

fn extra() -> impl Strategy<Value = Extra> {
    prop_oneof![
        Just(Extra::Nothing),
        (prop::option::of(0..2u8), prop::option::of(0..RUNS), prop::option::of(0..9u64))
            .prop_map(|(key, parent, idle)| Extra::Insert { key, parent, idle }),
        prop::option::of(0..9u64).prop_map(Extra::Idle),
        (0..9u64, 0..RUNS).prop_map(|(at, wake)| Extra::End { at, wake }),
        Just(Extra::Snapshot),
        (0..3u8).prop_map(Extra::Payload),
        (1..4i64).prop_map(Extra::Answered),
    ]
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![Just(Expect::Anything), Just(Expect::Absent), (0..4u64).prop_map(Expect::Revision),]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        1 => Just(Call::Claim),
        12 => prop::collection::vec((0..RUNS, 0..4u64, extra()), 1..6).prop_map(Call::Append),
        1 => (0..RUNS).prop_map(Call::Logs),
        1 => (0..RUNS).prop_map(Call::Post),
        1 => (1..4i64).prop_map(Call::Answer),
        1 => (0..3u8, 0..3u8).prop_map(|(version, source)| Call::Define(version, source)),
        1 => (0..9u64, 0..3u32).prop_map(|(before, limit)| Call::Gc(before, limit)),
        3 => prop::collection::vec((0..3u8, expect(), prop::option::of(0..9u8)), 0..4)
            .prop_map(Call::Items),
        1 => Just(Call::Reopen),
    ]
}

fn append(run: u64, expected: u64, extra: &Extra) -> Append {
    let id = run_id(run);
    let mut append =
        Append::record(id, expected, format!("{run} {expected} {extra:?}").into_bytes());
    match extra {
        Extra::Nothing => {}
        Extra::Insert { key, parent, idle } => {
            let activity = idle.map_or(Activity::Active, |it| Activity::Idle { wake_at: Some(it) });
            append.row = Some(RowChange::Insert(Box::new(RunRow {
                key: key.map(|it| format!("key {it}")),
                parent: parent.map(run_id),
                activity,
                ..row(id)
            })));
        }
        Extra::Idle(wake_at) => {
            let change = update("waiting", Activity::Idle { wake_at: *wake_at });
            append.row = Some(RowChange::Update(change));
        }
        Extra::End { at, wake } => {
            let change = RowUpdate { ended_at: Some(*at), ..update("failed", Activity::Ended) };
            append.row = Some(RowChange::Update(change));
            append.wake = Some(run_id(*wake));
        }
        Extra::Snapshot => append.snapshot = Some(b"snapshot".to_vec()),
        Extra::Payload(number) => {
            append.payloads = vec![(Digest::of(&[*number]), vec![*number])];
        }
        Extra::Answered(entry) => append.answered = vec![*entry],
    }
    append
}

/// Carries out a call and returns its answer as text.
async fn carry_out(store: &dyn Store, owner: &mut Owner, call: &Call) -> String {
    match call {
        Call::Claim => {
            *owner = store.claim(0).await.unwrap();
            format!("{owner:?}")
        }
        Call::Append(parts) => {
            let batch = parts.iter().map(|(run, seq, extra)| append(*run, *seq, extra)).collect();
            format!("{:?}", store.append(*owner, batch).await)
        }
        Call::Logs(run) => {
            let line = LogLine {
                run: run_id(*run),
                task: "task".to_owned(),
                attempt: 1,
                at: 1,
                stream: "info".to_owned(),
                text: "text".to_owned(),
            };
            format!("{:?}", store.append_logs(*owner, vec![line]).await)
        }
        Call::Post(run) => format!("{:?}", store.post(run_id(*run), b"command".to_vec(), 5).await),
        Call::Answer(entry) => {
            format!("{:?}", store.answer(*owner, vec![(*entry, "answer".to_owned())]).await)
        }
        Call::Define(version, source) => {
            let row = DefinitionRow {
                hash: Digest::of(&[*source]),
                workflow: "order".to_owned(),
                version: version.to_string(),
                source: source.to_string(),
                created_at: u64::from(*source),
                actor: "test".to_owned(),
            };
            format!("{:?}", store.put_definition(&row).await)
        }
        Call::Gc(before, limit) => {
            let retention = Retention::before(*before, *limit);
            let collected = store.gc(&retention).await.unwrap();
            format!("{:?}", Collected { bytes_freed: 0, ..collected })
        }
        Call::Items(parts) => {
            let write = |(key, expect, body): &(u8, Expect, Option<u8>)| ItemWrite {
                collection: "things".to_owned(),
                key: key.to_string(),
                expect: *expect,
                body: body.map(|it| vec![it]),
            };
            format!("{:?}", store.write_items(parts.iter().map(write).collect()).await)
        }
        Call::Reopen => String::new(),
    }
}

/// Returns everything that can be read, as text.
async fn everything(store: &dyn Store) -> String {
    let mut text = String::new();
    let filter = RunFilter { limit: 100, ..RunFilter::default() };
    let logs = LogFilter { limit: 100, ..LogFilter::default() };
    for run in (0..RUNS).map(run_id) {
        text += &format!("{:?}\n", store.load(run).await.unwrap());
        text += &format!("{:?}\n", store.records(run, 1, 2).await.unwrap());
        text += &format!("{:?}\n", store.logs(run, &logs).await.unwrap());
    }
    text += &format!("{:?}\n", store.runs(&filter).await.unwrap());
    text += &format!("{:?}\n", store.active(0, None, 100).await.unwrap());
    text += &format!("{:?}\n", store.due(0, 5, 100).await.unwrap());
    text += &format!("{:?}\n", store.next_wake(0, 2).await.unwrap());
    text += &format!("{:?}\n", store.journal(0, 100).await.unwrap());
    text += &format!("{:?}\n", store.all_logs(1, 100).await.unwrap());
    text += &format!("{:?}\n", (store.journal_end().await, store.logs_end().await));
    text += &format!("{:?}\n", store.items("things", None, 100).await.unwrap());
    text += &format!("{:?}\n", store.definitions(None).await.unwrap());
    text += &format!("{:?}\n", store.inbox(0, 100).await.unwrap());
    for entry in 1..4 {
        text += &format!("{:?}\n", store.answered(entry).await.unwrap());
    }
    for number in 0..3u8 {
        text += &format!("{:?}\n", store.payload(Digest::of(&[number])).await.unwrap());
    }
    let info = store.info().await.unwrap();
    text += &format!("{:?} {} {}", info.runs_by_status, info.records, info.payloads);
    text
}

async fn check(calls: Vec<Call>) {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let mode = Mode::Owner { program: "test".to_owned() };
        SqliteStore::open(&directory.path().join("store.db"), mode).unwrap()
    };
    let (memory, mut sqlite) = (MemoryStore::new(), open());
    let mut owners = [memory.claim(0).await.unwrap(), sqlite.claim(0).await.unwrap()];
    for call in &calls {
        if matches!(call, Call::Reopen) {
            sqlite.close().await.unwrap();
            sqlite = open();
        }
        let expected = carry_out(&memory, &mut owners[0], call).await;
        let actual = carry_out(&sqlite, &mut owners[1], call).await;
        assert_eq!(actual, expected, "{call:?}");
    }
    assert_eq!(everything(&sqlite).await, everything(&memory).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_like_memory(calls in prop::collection::vec(call(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(calls));
    }
}
