//! The kind `file` against real files, links, FIFOs and devices.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};
use support::ordinary_user::as_ordinary_user;
use support::{context, failed};
use surefoot::kinds::{FileConfig, FileKind, Kind, Root, TaskError};

struct Place {
    directory: tempfile::TempDir,
    kind: FileKind,
}

impl Place {
    /// A root `work`, a root `archive` that is read-only, and a file outside both.
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["work/sub", "archive"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("outside.txt"), "secret").unwrap();
        fs::write(path("archive/old.txt"), "old").unwrap();
        let root = |name: &str, read_only| Root {
            name: Some(name.to_owned()),
            path: path(name),
            read_only,
        };
        let roots = vec![root("work", false), root("archive", true)];
        let config = FileConfig { roots, max_entries: 5, ..FileConfig::default() };
        Place { kind: FileKind::new(config), directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("work").join(name)
    }

    async fn run(&self, with: Value) -> Result<Value, TaskError> {
        self.attempt(1, with).await
    }

    async fn attempt(&self, number: u32, with: Value) -> Result<Value, TaskError> {
        let mut context = context("file");
        context.attempt = number;
        self.kind.run(&context, with).await
    }
}

#[tokio::test]
async fn what_is_written_can_be_read() {
    let place = Place::new();
    for (content, reading, expected) in [
        (json!({"text": "a\nb\n"}), "text", json!("a\nb\n")),
        (json!({"text": "a\nb\n"}), "lines", json!(["a", "b"])),
        (json!({"json": {"n": [1, null]}}), "json", json!({"n": [1, null]})),
        (json!({"json": null}), "json", json!(null)),
        (json!({"base64": "/wA="}), "base64", json!("/wA=")),
    ] {
        let mut with = json!({"op": "write", "path": "deep/er/a.txt", "make_dirs": true});
        with.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        assert_eq!(place.run(with).await.unwrap()["written"], true);
        let output = place.run(json!({"op": "read", "path": "deep/er/a.txt", "as": reading})).await;
        assert_eq!(output.unwrap()[reading], expected);
    }
    assert_eq!(fs::read_dir(place.path("deep/er")).unwrap().count(), 1, "no temporary file stays");
    let absolute = place.path("deep/er/a.txt");
    let output = place.run(json!({"op": "checksum", "path": absolute})).await.unwrap();
    assert_eq!(output["path"], "deep/er/a.txt");
    fs::write(place.path("sum"), "abc\n").unwrap();
    let output = place.run(json!({"op": "checksum", "path": "sum"})).await.unwrap();
    let expected = "edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb";
    assert_eq!(output["checksum"], expected);
    let blake3 = json!({"op": "checksum", "path": "sum", "algorithm": "blake3"});
    let output = place.run(blake3).await.unwrap();
    assert_eq!(output["checksum"], blake3::hash(b"abc\n").to_hex().to_string());
}

#[tokio::test]
async fn files_are_appended_copied_moved_and_deleted() {
    let place = Place::new();
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    for n in 1..3 {
        place.run(json!({"op": "append", "path": "log", "json": {"n": n}})).await.unwrap();
    }
    assert_eq!(read("log"), "{\"n\":1}\n{\"n\":2}\n");
    place.run(json!({"op": "copy", "path": "log", "to": "sub/copy"})).await.unwrap();
    assert_eq!(read("sub/copy"), read("log"));
    place.run(json!({"op": "copy", "path": "old.txt", "root": "archive", "to": "old", "to_root": "work"})).await.unwrap();
    assert_eq!(read("old"), "old");
    place.run(json!({"op": "move", "path": "log", "to": "sub/log"})).await.unwrap();
    assert!(!place.path("log").exists() && place.path("sub/log").exists());
    let output = place.run(json!({"op": "delete", "path": "sub/log"})).await.unwrap();
    assert_eq!(output["deleted"], true);
    let output = place.run(json!({"op": "delete", "path": "sub/log", "missing_ok": true})).await;
    assert_eq!(output.unwrap()["deleted"], false);
    let made = async |path: &str| {
        place.run(json!({"op": "mkdir", "path": path})).await.unwrap()["created"].clone()
    };
    assert_eq!((made("a/b").await, made("a/b").await), (json!(true), json!(false)));
}

#[tokio::test]
async fn directories_are_listed_and_searched() {
    let place = Place::new();
    for name in ["b.csv", "a.csv", "sub/c.csv", "sub/d.txt"] {
        fs::write(place.path(name), name).unwrap();
    }
    symlink("/etc", place.path("sub/link")).unwrap();
    let listed = place.run(json!({"op": "list"})).await.unwrap();
    let shown: Vec<_> = listed["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["name"], it["kind"], it["size"]]))
        .collect();
    assert_eq!(json!(shown[..2]), json!([["a.csv", "file", 5], ["b.csv", "file", 5]]));
    assert_eq!((&shown[2][0], &shown[2][1]), (&json!("sub"), &json!("directory")));
    for (pattern, expected) in [
        ("*.csv", json!(["a.csv", "b.csv"])),
        ("**/*.csv", json!(["a.csv", "b.csv", "sub/c.csv"])),
        ("sub/*", json!(["sub/c.csv", "sub/d.txt", "sub/link"])),
        ("none", json!([])),
    ] {
        let output = place.run(json!({"op": "glob", "pattern": pattern})).await.unwrap();
        assert_eq!(output["paths"], expected, "{pattern}");
    }
    let output = place.run(json!({"op": "stat", "path": "a.csv"})).await.unwrap();
    assert_eq!(
        (&output["exists"], &output["kind"], &output["size"]),
        (&json!(true), &json!("file"), &json!(5))
    );
    output["modified"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    for (path, expected) in
        [("a.csv", true), ("sub", true), ("none", false), ("none/deeper", false)]
    {
        let output = place.run(json!({"op": "exists", "path": path})).await.unwrap();
        assert_eq!(output, json!({"path": path, "exists": expected}));
    }
}

#[tokio::test]
async fn nothing_leaves_the_roots() {
    let place = Place::new();
    let outside = place.directory.path().join("outside.txt");
    symlink(&outside, place.path("link")).unwrap();
    symlink("../outside.txt", place.path("up")).unwrap();
    symlink(place.directory.path(), place.path("far")).unwrap();
    symlink("/proc/self/root/etc/passwd", place.path("magic")).unwrap();
    for path in [
        "link",
        "up",
        "far/outside.txt",
        "magic",
        "../outside.txt",
        "sub/../../outside.txt",
        "/etc/shadow",
        outside.to_str().unwrap(),
        "../work/../outside.txt",
    ] {
        for op in ["read", "checksum", "append"] {
            let with = json!({"op": op, "path": path});
            let with =
                if op == "append" { json!({"op": op, "path": path, "text": "x"}) } else { with };
            failed(place.run(with).await, "file_outside_root", false);
        }
        let with = json!({"op": "copy", "path": path, "to": "stolen"});
        failed(place.run(with).await, "file_outside_root", false);
    }
    for path in ["far/new.txt", "../new.txt", "/etc/surefoot-test"] {
        let with = json!({"op": "write", "path": path, "text": "x", "make_dirs": true});
        failed(place.run(with).await, "file_outside_root", false);
        let with = json!({"op": "mkdir", "path": path});
        failed(place.run(with).await, "file_outside_root", false);
    }
    failed(
        place.run(json!({"op": "delete", "path": "far/outside.txt"})).await,
        "file_outside_root",
        false,
    );
    failed(place.run(json!({"op": "list", "path": "far"})).await, "file_outside_root", false);
    // Writing to a link would either follow it or replace it silently.
    failed(
        place.run(json!({"op": "write", "path": "link", "text": "x"})).await,
        "file_not_regular",
        false,
    );
    // Deleting a link removes the link.
    place.run(json!({"op": "delete", "path": "link"})).await.unwrap();
    assert_eq!(fs::read_to_string(outside).unwrap(), "secret");
    let none = FileKind::new(FileConfig::default());
    let found = none.run(&context("file"), json!({"op": "read", "path": "a"})).await;
    failed(found, "file_outside_root", false);
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    let place = Place::new();
    let fifo = place.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    fs::write(place.path("big"), vec![b'x'; 11]).unwrap();
    fs::write(place.path("bytes"), [0xff, 0]).unwrap();
    for n in 0..7 {
        fs::create_dir(place.path("sub").join(n.to_string())).unwrap();
    }
    for (with, kind) in [
        (json!({"op": "read", "path": "fifo"}), "file_not_regular"),
        (json!({"op": "append", "path": "fifo", "text": "x"}), "file_not_regular"),
        (json!({"op": "write", "path": "fifo", "text": "x"}), "file_not_regular"),
        (json!({"op": "copy", "path": "fifo", "to": "x"}), "file_not_regular"),
        (json!({"op": "move", "path": "fifo", "to": "x"}), "file_not_regular"),
        (json!({"op": "read", "path": "sub"}), "file_not_regular"),
        (json!({"op": "write", "path": "sub", "text": "x"}), "file_not_regular"),
        (json!({"op": "delete", "path": "sub"}), "file_not_regular"),
        (json!({"op": "read", "path": "big/x"}), "file_not_regular"),
        (json!({"op": "read", "path": "big", "max_bytes": 10}), "file_limit"),
        (json!({"op": "list", "path": "sub"}), "file_limit"),
        (json!({"op": "glob", "pattern": "**"}), "file_limit"),
        (json!({"op": "read", "path": "none"}), "file_missing"),
        (json!({"op": "delete", "path": "none"}), "file_missing"),
        (json!({"op": "write", "path": "none/a", "text": "x"}), "file_missing"),
        (
            json!({"op": "write", "path": "big", "text": "x", "mode": "fail_if_exists"}),
            "file_exists",
        ),
        (
            json!({"op": "move", "path": "bytes", "to": "big", "mode": "fail_if_exists"}),
            "file_exists",
        ),
        (json!({"op": "write", "root": "archive", "path": "a", "text": "x"}), "file_denied"),
        (json!({"op": "move", "root": "archive", "path": "old.txt", "to": "a"}), "file_denied"),
        (json!({"op": "read", "root": "nowhere", "path": "a"}), "file_outside_root"),
        (json!({"op": "read", "path": "bytes"}), "file_not_text"),
        (json!({"op": "read", "path": "big", "as": "json"}), "invalid_json"),
        (json!({"op": "write", "path": "a"}), "bad_parameters"),
        (json!({"op": "write", "path": "a", "text": "x", "json": 1}), "bad_parameters"),
        (json!({"op": "write", "path": "a", "base64": "%"}), "bad_parameters"),
        (json!({"op": "copy", "path": "big"}), "bad_parameters"),
        (json!({"op": "read", "path": "a\0b"}), "bad_parameters"),
        (json!({"op": "read", "path": "n".repeat(300)}), "bad_parameters"),
        (json!({"op": "glob", "pattern": "[a"}), "bad_parameters"),
        (json!({"op": "read"}), "bad_parameters"),
    ] {
        failed(place.run(with).await, kind, false);
    }
    let left = |name: &str| place.path(name).exists();
    assert!(left("fifo") && left("big") && !left("x") && !left("a"), "refusals change nothing");
}

#[test]
fn an_unreadable_file_is_denied() {
    as_ordinary_user(async || {
        let place = Place::new();
        fs::write(place.path("mine"), "x").unwrap();
        fs::set_permissions(place.path("mine"), PermissionsExt::from_mode(0o000)).unwrap();
        fs::read(place.path("mine")).expect_err("this user may not read everything");
        failed(place.run(json!({"op": "read", "path": "mine"})).await, "file_denied", false);
    });
}

#[tokio::test]
async fn a_repeated_attempt_has_one_effect() {
    let place = Place::new();
    let write = json!({"op": "write", "path": "a", "text": "x", "mode": "fail_if_exists"});
    assert_eq!(place.attempt(1, write.clone()).await.unwrap()["written"], true);
    place.attempt(2, write.clone()).await.unwrap();
    fs::write(place.path("a"), "of another").unwrap();
    failed(place.attempt(2, write).await, "file_exists", false);
    let create = json!({"op": "write", "path": "a", "text": "x", "mode": "create"});
    assert_eq!(place.run(create).await.unwrap()["written"], false);
    let rename = json!({"op": "move", "path": "a", "to": "b"});
    place.attempt(1, rename.clone()).await.unwrap();
    place.attempt(2, rename).await.unwrap();
    let delete = json!({"op": "delete", "path": "b"});
    place.attempt(1, delete.clone()).await.unwrap();
    place.attempt(2, delete).await.unwrap();
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "only `sub` is left");
}

#[tokio::test]
async fn a_replaced_file_keeps_its_permissions() {
    let place = Place::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::write(place.path("run.sh"), "old").unwrap();
    fs::set_permissions(place.path("run.sh"), PermissionsExt::from_mode(0o750)).unwrap();
    place.run(json!({"op": "write", "path": "run.sh", "text": "new"})).await.unwrap();
    assert_eq!(mode(&place.path("run.sh")), 0o750);
}
