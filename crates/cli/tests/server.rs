//! The command on a server: every command works there as on a store.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use support::Project;

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
