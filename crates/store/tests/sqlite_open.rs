//! What opening refuses, and how it says so; what a client may do beside an owner.

#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use surefoot_store::conformance::{begin, ended, row, run_id};
use surefoot_store::{Append, Error, Expect, ItemWrite, LogLine, Mode, Result, SqliteStore, Store};

fn owner() -> Mode {
    Mode::Owner { program: "first".to_owned() }
}

fn error(result: Result<SqliteStore>) -> Error {
    match result {
        Ok(_) => panic!("the store was opened"),
        Err(error) => error,
    }
}

/// Makes a store with one ended and one open run.
async fn filled(path: &Path) {
    let store = SqliteStore::open(path, owner()).unwrap();
    let held = store.claim(0).await.unwrap();
    let mut batch = ended(run_id(1), 5);
    batch.push(begin(row(run_id(2))));
    store.append(held, batch.into()).await.unwrap();
    store.close().await.unwrap();
}

/// Spoils a store and checks what opening says, in both modes.
async fn check(spoil: impl Fn(&Path) -> PathBuf, reason: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    filled(&path).await;
    let path = spoil(&path);
    let before = fs::read(&path).ok();
    for mode in [owner(), Mode::Client] {
        let error = error(SqliteStore::open(&path, mode.clone()));
        assert!(error.to_string().contains(reason), "{mode:?}: {error}");
        let hint = match &error {
            Error::Unusable { hint, .. } | Error::Unavailable { hint, .. } => !hint.is_empty(),
            _ => true,
        };
        assert!(hint, "{error}");
    }
    assert_eq!(fs::read(&path).ok(), before, "a refused file is not changed");
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let as_is = |path: &Path| path.to_owned();
    let sql = |text: &'static str| {
        move |path: &Path| {
            let connection = Connection::open(path).unwrap();
            connection.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
            connection.execute_batch(text).unwrap();
            as_is(path)
        }
    };
    check(
        |path| {
            fs::write(
                path,
                "just some text, longer than a header of SQLite, but no database".repeat(99),
            )
            .unwrap();
            as_is(path)
        },
        "not an SQLite database",
    )
    .await;
    check(
        |path| {
            fs::write(path, "").unwrap();
            as_is(path)
        },
        "the file is empty",
    )
    .await;
    check(
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 8_192]).unwrap();
            as_is(path)
        },
        "malformed",
    )
    .await;
    check(|path| path.parent().unwrap().to_owned(), "it is a directory").await;
    check(|path| path.join("below"), "a part of the path is a file").await;
    check(sql("PRAGMA application_id = 7"), "another program").await;
    check(sql("PRAGMA user_version = 999"), "a newer version of surefoot made its schema 999")
        .await;
}

/// Takes away what schema 2 has added. The text of released schemas is frozen by a test, so this
/// is what a program of schema 1 has left.
fn back_to_schema_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE items; DROP TABLE logs_floor;
             DELETE FROM migrations WHERE version = 2; PRAGMA user_version = 1;",
        )
        .unwrap();
}

#[tokio::test]
async fn a_store_of_schema_1_is_brought_forward() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    filled(&path).await;
    let store = SqliteStore::open(&path, owner()).unwrap();
    let held = store.claim(0).await.unwrap();
    let line = LogLine {
        run: run_id(2),
        task: "pay".to_owned(),
        attempt: 1,
        at: 5,
        stream: "info".to_owned(),
        text: "kept".to_owned(),
    };
    store.append_logs(held, vec![line.clone()]).await.unwrap();
    let journal = store.journal(0, 10).await.unwrap();
    store.close().await.unwrap();
    back_to_schema_1(&path);
    let client = error(SqliteStore::open(&path, Mode::Client));
    assert!(client.to_string().contains("its schema is 1, this program needs 2"), "{client}");

    let store = SqliteStore::open(&path, owner()).unwrap();
    assert_eq!(store.info().await.unwrap().schema_version, 2);
    assert_eq!(store.verify().await.unwrap(), []);
    assert_eq!(store.journal(0, 10).await.unwrap(), journal);
    assert_eq!(store.all_logs(0, 10).await.unwrap()[0].line, line);
    assert_eq!(store.logs_end().await.unwrap(), 1);
    let put = ItemWrite::put("things", "a", Expect::Absent, b"body".to_vec());
    assert_eq!(store.write_items(vec![put]).await.unwrap(), Ok(vec![1]));
    let held = store.claim(0).await.unwrap();
    store.append(held, [Append::record(run_id(2), 1, vec![])].into()).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn an_owner_makes_a_store_and_a_client_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er/store.db");
    let missing = error(SqliteStore::open(&path, Mode::Client));
    assert!(missing.to_string().contains("does not exist"), "{missing}");
    assert!(!directory.path().join("deep").exists(), "a client makes nothing");
    filled(&path).await;
    #[cfg(unix)]
    for (path, mode) in [(path.parent().unwrap(), 0o700), (path.as_path(), 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        let actual = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(actual, mode, "{}", path.display());
    }
    assert!(!directory.path().join("deep/er/store.db.new").exists());
}

#[tokio::test]
async fn a_second_owner_is_told_who_the_first_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let first = SqliteStore::open(&path, owner()).unwrap();
    let second = error(SqliteStore::open(&path, Mode::Owner { program: "second".to_owned() }));
    let Error::Locked { pid, program, since, .. } = &second else { panic!("{second}") };
    assert_eq!((*pid, program.as_str()), (std::process::id(), "first"));
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
    first.close().await.unwrap();
    SqliteStore::open(&path, Mode::Owner { program: "second".to_owned() }).unwrap();
}

#[tokio::test]
async fn a_client_reads_and_posts_beside_an_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, owner()).unwrap();
    let held = store.claim(0).await.unwrap();
    let client = SqliteStore::open(&path, Mode::Client).unwrap();
    store.append(held, [begin(row(run_id(1)))].into()).await.unwrap();
    assert_eq!(client.run(run_id(1)).await.unwrap(), Some(row(run_id(1))), "seen at once");
    let entry = client.post(run_id(1), b"pause".to_vec(), 5).await.unwrap();
    assert_eq!(store.inbox(0, 10).await.unwrap()[0].id, entry);
    store.answer(held, vec![(entry, "paused".to_owned())]).await.unwrap();
    assert_eq!(client.answered(entry).await.unwrap().as_deref(), Some("paused"));
    let refused = client.append(held, [begin(row(run_id(2)))].into()).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(client.claim(0).await.is_err());
    client.close().await.unwrap();
    store.append(held, [begin(row(run_id(2)))].into()).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_answers_errors() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db"), owner()).unwrap();
    let held = store.claim(0).await.unwrap();
    store.close().await.unwrap();
    let write = store.append(held, [begin(row(run_id(1)))].into()).await;
    assert!(matches!(write, Err(Error::Unavailable { .. })), "{write:?}");
    let read = store.load(run_id(1)).await;
    assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
}

#[tokio::test]
async fn closing_leaves_one_file_and_its_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    filled(&path).await;
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["store.db", "store.db.lock"], "the log is in the database");
}
