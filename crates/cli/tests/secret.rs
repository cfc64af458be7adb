//! `surefoot secret`: on a store, and on a server.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;

use support::Project;

const VALUE: &str = "correct horse battery staple";
const LOGIN: &str = "id: login
tasks:
  login:
    uses: shell
    with: {script: 'test \"$TOKEN\" = \"correct horse battery staple\"', env: {TOKEN: '${{ secrets.payments }}'}}
    effect: none
";

fn project() -> Project {
    Project::new(&[("login.surefoot.yaml", LOGIN), ("surefoot.toml", "[shell]\nenabled = true\n")])
}

fn settings(project: &Project, key: &str) {
    let text = format!("[shell]\nenabled = true\n[secrets]\nkey_file = \"{key}\"\n");
    project.write("surefoot.toml", &text);
}

#[test]
fn a_secret_is_kept_for_the_runs_of_a_project() {
    let project = project();
    let key = project.path().join("one.key").display().to_string();
    project.run_with_input(&["secret", "set", "payments"], VALUE).failed(
        &[],
        2,
        &["SF5101", "no key", "rotate-key"],
    );
    let made = project.run(&["secret", "rotate-key", &key]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("0 secrets") && made.err.contains("key_file"), "{}", made.err);
    settings(&project, &key);
    let set = project.run_with_input(&["secret", "set", "PAYMENTS"], &format!("{VALUE}\n"));
    assert_eq!(set.code, 0, "{}", set.err);
    let listed = project.out(&["secret", "list", "-o", "json"]);
    assert!(listed.contains("payments") && listed.contains("ada"), "{listed}");
    assert!(!listed.contains(VALUE));
    project.out(&["run", "login.surefoot.yaml"]);

    // Another key takes over; the old one opens nothing any more.
    let new = project.path().join("two.key").display().to_string();
    assert!(project.run(&["secret", "rotate-key", &new]).err.contains("1 secrets"));
    project.fails(&["run", "login.surefoot.yaml"], 7, &["SF5101", "`payments`", "sealed with"]);
    settings(&project, &new);
    project.out(&["run", "login.surefoot.yaml"]);

    // Without any key it can still be removed.
    project.write("surefoot.toml", "[shell]\nenabled = true\n");
    project.fails(&["run", "login.surefoot.yaml"], 7, &["SF5101", "no key is given", "remove"]);
    assert_eq!(project.run(&["secret", "remove", "payments"]).code, 0);
    project.fails(&["secret", "remove", "payments"], 5, &["SF5103"]);
}

#[test]
fn a_value_comes_from_a_file_and_never_from_the_arguments() {
    let project = project();
    let key = project.path().join("one.key").display().to_string();
    project.run(&["secret", "rotate-key", &key]);
    settings(&project, &key);
    project.write("token.txt", VALUE);
    assert_eq!(project.run(&["secret", "set", "payments", "--file", "token.txt"]).code, 0);
    project.out(&["run", "login.surefoot.yaml"]);
    assert_eq!(project.run(&["secret", "set", "payments", VALUE]).code, 2);
    project.run_with_input(&["secret", "set", "pay-ments"], VALUE).failed(&[], 2, &["SF5103"]);
    project.run_with_input(&["secret", "set", "payments"], "").failed(&[], 2, &["SF5103"]);
}

/// Somebody who is not root.
const NOBODY: u32 = 65_534;

#[test]
#[cfg(target_os = "linux")]
fn other_processes_of_a_user_cannot_look_into_a_server() {
    let project = Project::new(&[]);
    let mut command = project.command(&["server", "--listen", "127.0.0.1:0"]);
    if std::fs::metadata(project.path()).unwrap().uid() == 0 {
        chown(project.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut server = command.spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.find(|it| it.contains("serves on"));
    let environment = std::fs::metadata(format!("/proc/{}/environ", server.id()));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(said.is_some(), "it did not start");
    assert_eq!(environment.unwrap().uid(), 0, "the kernel gives it to root alone");
}
