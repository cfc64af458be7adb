//! The commands on the pages of the examples, run as they are written, in a copy of each folder.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Command;

/// Done, or waiting for somebody.
const GOOD: [i32; 2] = [0, 8];

#[test]
fn the_pages_of_the_examples_tell_commands_that_work() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let example = entry.unwrap().path();
        if example.is_dir() {
            let folder = tempfile::tempdir().unwrap();
            copy(&example, folder.path());
            let page = std::fs::read_to_string(example.join("README.md")).unwrap();
            for command in commands(&page) {
                check(folder.path(), &command);
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count} commands were found");
}

/// Returns the commands of a page's `sh` blocks. Those of Cargo are run by tests of their own.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|it| it.split("```").next());
    let text: String = blocks.collect::<String>().replace("\\\n", " ");
    text.lines().filter(|it| !it.starts_with("cargo ")).map(str::to_owned).collect()
}

#[track_caller]
fn check(folder: &Path, command: &str) {
    let surefoot = Path::new(env!("CARGO_BIN_EXE_surefoot")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", surefoot.display()))
        .env("XDG_CONFIG_HOME", folder)
        .output()
        .unwrap();
    let code = output.status.code().unwrap_or(-1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(GOOD.contains(&code), "{command}\nexits with {code}\n{said}");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        // What running an example left behind is not part of it.
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type().unwrap().is_dir() && !is_hidden {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if !is_hidden {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
