//! Workers from the command line, against a server from the command line.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::json;
use support::Project;

/// A command that goes on until the test is over.
struct Going(Child);

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn going(project: &Project, arguments: &[&str]) -> Going {
    let mut command = project.command(arguments);
    Going(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Starts a server and returns its address once it says it.
fn server(project: &Project) -> (Going, String) {
    let mut command = project.command(&["server", "--listen", "127.0.0.1:0"]);
    let mut server = Going(command.stdout(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        let line = line.unwrap();
        let at = line.find("http://")?;
        Some(line[at..].split(',').next().unwrap().to_owned())
    });
    // What it says later must find a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (server, url.expect("the server says where it is"))
}

const PAY: &str = "
id: shop
version: 1.0.0
tasks:
  pay: {uses: pay, with: {amount: '${{ input.amount }}'}}
  sh: {needs: [pay], uses: shell, with: {argv: [echo, hello]}}
output: {paid: '${{ tasks.pay.output }}', said: '${{ tasks.sh.output.stdout }}'}
";

#[test]
fn a_worker_executes_commands_and_kinds() {
    let settings = "[server]\nworker_kinds = [\"shell\"]\n[shell]\nenabled = true\n";
    let project = Project::new(&[("surefoot.toml", settings), ("shop.surefoot.yaml", PAY)]);
    let (_server, url) = server(&project);
    let url = url.as_str();
    project.out(&["deploy", "shop.surefoot.yaml", "--server", url]);
    let pay = "--command=pay=sh -c 'read -r it; echo \"{\\\"got\\\": $it, \\\"try\\\": $SUREFOOT_ATTEMPT, \\\"trace\\\": \\\"$TRACEPARENT\\\"}\"'";
    let _worker = going(
        &project,
        &["worker", "--server", url, pay, "--capabilities", "shell", "--name", "till"],
    );
    let run = project.out(&["start", "shop", "-i", "amount=7", "--server", url, "-o", "name"]);
    let show = ["show", run.trim(), "--server", url, "-o", "json"];
    let shown = loop {
        let shown = project.json(&show);
        if !matches!(shown["status"].as_str(), Some("pending" | "running")) {
            break shown.to_string();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(shown.contains("\"try\":1") && shown.contains("hello"), "{shown}");
    // A run that nobody called has a trace of its own: its id.
    assert!(shown.contains("\"trace\":\"00-01"), "{shown}");
    let workers = project.json(&["worker", "ls", "--server", url, "-o", "json"]);
    assert_eq!(workers[0]["name"], "till");
    assert_eq!(workers[0]["capabilities"], json!(["pay", "shell"]));
    let id = workers[0]["id"].as_str().unwrap();
    project.out(&["worker", "drain", id, "--server", url]);
    project.fails(&["worker", "drain", "wk_nobody", "--server", url], 5, &["SF4063"]);
    project.fails(&["worker", "--server", url], 2, &["SF5095", "--command"]);
    project.fails(&["worker", "--server", url, "--command", "pay"], 2, &["SF5004"]);
    project.fails(
        &["worker", "--server", url, "--capabilities", "htpp"],
        2,
        &["did you mean `http`"],
    );
}

#[test]
fn our_own_worker_passes_the_conformance_run() {
    let project = Project::new(&[]);
    let (_server, url) = server(&project);
    let none = project.run(&["worker", "conformance", &url, "--wait", "0"]);
    none.failed(&["conformance"], 1, &["SF5096", "conformance.echo"]);
    let _worker = going(&project, &["worker", "--server", &url, "--conformance"]);
    let done = project.run(&["worker", "conformance", &url, "--long", "1"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(done.out.lines().filter(|it| it.starts_with("ok ")).count(), 17, "{}", done.out);
}
