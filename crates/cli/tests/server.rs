//! The command on a server: every command works there as on a store.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use support::Project;
use surefoot::store::{Expect, Item, ItemWrite, Mode, SqliteStore, Store as _};

const ORDER: &str = "id: order
version: 1.0.0
tasks:
  pay: {uses: pay}
  ship: {needs: [pay], uses: log, with: {message: shipped}}
";

/// `surefoot dev` in a project, ended with the test.
struct Dev {
    child: Child,
    url: String,
}

impl Dev {
    fn open(project: &Project) -> Dev {
        let mut command: Command = project.command(&["dev", "--port", "0"]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map(|it| it.unwrap())
            .find_map(|it| {
                it.split_whitespace().find(|it| it.starts_with("http://")).map(str::to_owned)
            })
            .unwrap();
        // The rest is read, so that the child never waits for who reads it.
        std::thread::spawn(move || lines.for_each(drop));
        Dev { child, url }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_is_started_looked_at_and_changed_over_http() {
    let project = Project::new(&[("order.surefoot.yaml", ORDER)]);
    let dev = Dev::open(&project);
    let on = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["--server", &dev.url].into_iter().chain(arguments.iter().copied()).collect();
        project.out(&all)
    };
    let run = on(&["start", "order", "--key", "o-1"]).trim().to_owned();
    let why = on(&["show", "key:o-1", "--why", "pay"]);
    assert!(why.contains("no worker with capability `pay` is connected"), "{why}");
    assert!(on(&["ls", "-o", "name"]).contains(&run));
    on(&["set-result", &run, "pay", "{\"charge\": 7}"]);
    let status = || on(&["show", &run, "-o", "json"]);
    while !status().contains("\"status\": \"completed\"") {
        std::thread::yield_now();
    }
    assert!(on(&["logs", &run]).contains("shipped"));
    assert!(on(&["show", &run, "--history"]).contains("given"));
    assert!(on(&["ls", "workflows", "-o", "name"]).contains("order"));
}

/// Reading through a store that is a server said that it was not available.
#[test]
fn a_refused_token_is_told_with_an_exit_code_of_its_own() {
    let project = Project::new(&[("order.surefoot.yaml", ORDER)]);
    // The first token is made where nothing was run yet.
    let root = project.out(&["token", "create", "root", "--role", "admin", "-q"]);
    let worker = project.out(&["token", "create", "till", "--role", "worker", "-q"]);
    let dev = Dev::open(&project);
    let on = |token: &str, arguments: &[&str]| {
        let all: Vec<&str> =
            ["--server", &dev.url].into_iter().chain(arguments.iter().copied()).collect();
        let output = project.command(&all).env("SUREFOOT_TOKEN", token).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for arguments in [&["ls"][..], &["show", "@latest"], &["logs", "@latest"], &["schedule", "ls"]]
    {
        for (token, code) in [("sf_wrong", "SF4010"), (worker.trim(), "SF4011")] {
            let (exit, told) = on(token, arguments);
            assert_eq!(exit, Some(4), "{arguments:?}: {told}");
            assert!(told.contains(code), "{arguments:?}: {told}");
        }
    }
    assert_eq!(on(root.trim(), &["ls"]).0, Some(0));
}

/// Changes the reason that an entry of the audit log tells.
fn tamper(path: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let owner = Mode::Owner { program: "somebody".to_owned() };
        let store = SqliteStore::open(path, owner).unwrap();
        let all = store.items("audit", None, 100).await.unwrap();
        let text = |it: &Item| String::from_utf8(it.body.clone()).unwrap();
        let entry = all.iter().find(|it| text(it).contains("\"one\"")).unwrap();
        let body = text(entry).replace("\"one\"", "\"six\"").into_bytes();
        let write = ItemWrite::put("audit", &entry.key, Expect::Anything, body);
        store.write_items(vec![write]).await.unwrap().unwrap();
    });
}

#[test]
fn the_audit_log_is_read_and_checked_on_a_server_and_on_a_store() {
    let project = Project::new(&[("order.surefoot.yaml", ORDER)]);
    let dev = Dev::open(&project);
    let url = dev.url.clone();
    let run = project.out(&["start", "order", "--server", &url]).trim().to_owned();
    for reason in ["one", "two"] {
        project.out(&["pause", &run, "--reason", reason, "--server", &url]);
    }
    let there = project.json(&["audit", "--server", &url, "-o", "json"]);
    let actions = |all: &serde_json::Value| -> Vec<(String, String)> {
        let text = |it: &serde_json::Value, name: &str| it[name].as_str().unwrap_or("").to_owned();
        all.as_array().unwrap().iter().map(|it| (text(it, "action"), text(it, "reason"))).collect()
    };
    let pause = |reason: &str| ("POST /v1/runs/{id}/pause".to_owned(), reason.to_owned());
    assert_eq!(actions(&there)[..2], [pause("two"), pause("one")]);
    let part = project.run(&["audit", "--limit", "1", "--server", &url]);
    assert!(
        part.code == 0 && part.out.contains("two") && !part.out.contains("one"),
        "{}",
        part.out
    );
    let cursor = part.err.split_whitespace().last().unwrap();
    let rest = ["audit", "--limit", "1", "--cursor", cursor, "--server", &url, "-o", "json"];
    assert_eq!(actions(&project.json(&rest)), [pause("one")]);
    let checked = project.out(&["audit", "check", "--server", &url]);
    assert!(checked.starts_with("whole: "), "{checked}");
    // While the server runs, its store is its own.
    project.fails(&["audit"], 6, &["SF5011", "--server"]);
    drop(dev);
    assert_eq!(project.json(&["audit", "-o", "json"]), there);
    assert_eq!(project.json(&["audit", "check", "-o", "json"])["intact"], true);

    tamper(&project.path().join(".surefoot/store.db"));
    let broken = project.run(&["audit", "check", "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&broken.out).unwrap();
    assert_eq!((broken.code, &found["intact"]), (1, &serde_json::json!(false)), "{}", broken.err);
    let entry = format!("entry {}", found["broken_at"]);
    project.fails(&["audit", "check"], 1, &["SF5097", &entry]);
}

#[test]
fn a_server_is_not_started_where_nobody_could_be_served() {
    let cases = [
        ("[server]\nlisten = \"0.0.0.0:0\"\n", "without authentication"),
        ("[server]\nlisten = \"nowhere\"\n", "`nowhere` is not an address"),
        ("[server]\nrequests = 0\n", "server.requests is 0; it must be at least 1"),
        ("[server]\nconnections = 0\n", "server.connections is 0"),
        ("[server]\nbody_bytes = 0\n", "server.body_bytes is 0"),
        ("[server]\nhead_seconds = 0\n", "server.head_seconds is 0"),
        ("[server]\naudit_days = 0\n", "server.audit_days is 0"),
        ("[limits]\nslots = 0\n", "limits.slots is 0; it must be at least 1"),
        ("[limits]\nresident_runs = 0\n", "limits.resident_runs is 0"),
        ("[server]\nlissen = \"127.0.0.1:0\"\n", "did you mean `listen`?"),
    ];
    for (text, told) in cases {
        let project = Project::new(&[("surefoot.toml", text)]);
        let done = project.run(&["server", "--check-config"]);
        assert_ne!(done.code, 0, "{text}");
        assert!(done.err.contains(told), "{text}: {}", done.err);
        assert!(done.err.lines().count() <= 4 && !done.err.contains("panicked"), "{}", done.err);
    }
    let project = Project::new(&[("surefoot.toml", "[server]\naudit_days = 30\n")]);
    assert_eq!(project.run(&["server", "--check-config"]).code, 0);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = Project::new(&[]).run(&["server", "--listen", &address]);
    assert_eq!(done.code, 7, "{}", done.err);
    assert!(done.err.contains("SF5091") && done.err.contains(&address), "{}", done.err);
}

#[test]
fn secrets_are_kept_by_a_server() {
    let project = Project::new(&[]);
    let key = project.path().join("one.key").display().to_string();
    assert_eq!(project.run(&["secret", "rotate-key", &key]).code, 0);
    project.write("surefoot.toml", &format!("[secrets]\nkey_file = \"{key}\"\n"));
    let dev = Dev::open(&project);
    let value = "correct horse battery staple";
    let set = ["--server", &dev.url, "secret", "set", "payments"];
    assert_eq!(project.run_with_input(&set, value).code, 0);
    let listed = project.json(&["--server", &dev.url, "secret", "list", "-o", "json"]);
    assert_eq!(listed[0]["name"], "payments");
    // The store is the server's now, so its key and its secrets are changed through it.
    project.fails(&["secret", "list"], 6, &["SF5011", "--server"]);
    let other = project.path().join("two.key").display().to_string();
    project.fails(&["--server", &dev.url, "secret", "rotate-key", &other], 2, &["SF5103"]);
    assert_eq!(project.run(&["--server", &dev.url, "secret", "remove", "payments"]).code, 0);
}
