//! Settings, and stores that cannot be opened.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{HELLO, Project};

#[test]
fn the_nearest_source_wins_and_explains_itself() {
    let project = Project::new(&[
        ("surefoot.toml", "[limits]\nslots = 7\n[profile.ci]\ntime = \"iso\"\n"),
        ("home/.config/surefoot/config.toml", "[limits]\nslots = 6\nfan_out = 5\n"),
    ]);
    let explained = project.out(&["config", "explain", "limits.slots"]);
    let lines: Vec<&str> = explained.lines().map(str::trim).collect();
    assert_eq!(lines[0], "limits.slots = 7");
    assert!(lines[1].starts_with("from") && lines[1].ends_with("surefoot.toml"), "{explained}");
    assert!(lines[2].starts_with("over 6 from"), "{explained}");
    assert_eq!(lines[3], "over 256 from default");
    let variable = project
        .command(&["config", "get", "limits.slots"])
        .env("SUREFOOT_LIMITS_SLOTS", "8")
        .output();
    assert_eq!(variable.unwrap().stdout, b"8\n");
    assert_eq!(project.out(&["config", "get", "limits.fan_out"]), "5\n");
    assert_eq!(project.out(&["config", "get", "time", "--profile", "ci"]), "iso\n");
    assert_eq!(
        project.out(&["config", "get", "time", "--profile", "ci", "--time", "local"]),
        "local\n"
    );
    project.fails(&["config", "get", "time", "--profile", "cj"], 2, &["SF5023"]);
}

#[test]
fn mistakes_in_files_have_a_place_and_a_suggestion() {
    let cases = [
        (
            "[limits]\nslotss = 1\n",
            "SF5021",
            "surefoot.toml:2: there is no setting `slotss`",
            "did you mean `slots`?",
        ),
        (
            "\n[limit]\nslots = 1\n",
            "SF5021",
            "surefoot.toml:2: there is no setting `limit`",
            "did you mean `limits`?",
        ),
        ("[limits]\nslots = \"x\"\n", "SF5022", "surefoot.toml:2", "invalid type"),
        ("[limits]\nslots = 1\nslots = 2\n", "SF5022", "surefoot.toml:3", "duplicate key"),
        ("store = 1\n", "SF5022", "surefoot.toml:1", "must be a text"),
        ("time = \"iso8601\"\n", "SF5022", "`time` cannot be", "iso"),
        ("[profile.a]\nstor = \"x\"\n", "SF5022", "surefoot.toml:2", "did you mean `store`?"),
    ];
    for (text, code, place, hint) in cases {
        Project::new(&[("surefoot.toml", text)]).fails(&["ls"], 2, &[code, place, hint]);
    }
}

#[test]
fn settings_are_written_one_line_at_a_time() {
    let project = Project::new(&[("surefoot.toml", "# mine\n[limits]\nslots = 1\n")]);
    project.out(&["config", "set", "limits.slots", "9"]);
    project.out(&["config", "set", "store", "runs.db"]);
    let text = std::fs::read_to_string(project.path().join("surefoot.toml")).unwrap();
    assert!(text.contains("# mine") && text.contains("slots = 9"), "{text}");
    assert_eq!(project.out(&["config", "get", "store"]), "runs.db\n");
    project.fails(
        &["config", "set", "limits.slost", "9"],
        5,
        &["SF5021", "did you mean `limits.slots`?"],
    );
}

#[test]
fn passwords_are_never_printed() {
    let project = Project::new(&[(
        "surefoot.toml",
        "[databases.shop]\nurl = \"postgres://ada:hunter2@127.0.0.1/shop\"\n",
    )]);
    for arguments in [
        vec!["config", "show"],
        vec!["config", "show", "-o", "json"],
        vec!["config", "explain", "databases.shop.url"],
    ] {
        let done = project.run(&arguments);
        assert!(!done.out.contains("hunter2") && !done.err.contains("hunter2"), "{}", done.out);
    }
    assert!(project.out(&["config", "get", "databases.shop.url"]).contains("ada:********@"));
    let store = "postgres://ada:hunter2@127.0.0.1/shop";
    for arguments in [&["--store", store, "ls"][..], &["--store", store, "server"]] {
        let done = project.fails(arguments, 2, &["SF5022", "`postgres`", "sqlite:PATH"]);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
    }
}

#[test]
fn a_project_is_found_from_below() {
    let project = Project::new(&[("surefoot.toml", ""), ("below/hello.surefoot.yaml", HELLO)]);
    let mut command = project.command(&["run", "-q"]);
    assert!(command.current_dir(project.path().join("below")).status().unwrap().success());
    assert!(project.path().join(".surefoot/store.db").is_file());
}

#[test]
fn stores_that_cannot_be_opened_say_why() {
    let project = Project::new(&[
        ("hello.surefoot.yaml", HELLO),
        ("text.db", "not a database"),
        ("empty.db", ""),
        ("folder/x", ""),
    ]);
    project.fails(&["ls"], 5, &["SF5010", "there is no store"]);
    project.fails(&["run", "--store", "text.db"], 7, &["SF5012", "not an SQLite database"]);
    project.fails(&["ls", "--store", "text.db"], 7, &["SF5012", "not an SQLite database"]);
    project.fails(&["ls", "--store", "empty.db"], 7, &["SF5012", "empty"]);
    project.fails(&["ls", "--store", "folder"], 7, &["SF5012", "directory"]);
    project.fails(&["run", "--store", "text.db/x.db"], 7, &["SF5012"]);
}

#[test]
fn the_store_is_told_verified_copied_and_cleaned() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    project.out(&["run"]);
    assert_eq!(project.json(&["store", "info", "-o", "json"])["runs"], 1);
    assert!(project.run(&["store", "verify"]).err.contains("in order"));
    project.out(&["store", "backup", "copy.db"]);
    project.fails(&["store", "backup", "copy.db"], 6, &["SF5016"]);
    assert_eq!(
        project.out(&["ls", "-o", "name", "--store", "copy.db"]),
        project.out(&["ls", "-o", "name"])
    );
    assert_eq!(
        project.out(&["store", "gc", "--older-than", "0s", "--dry-run"]),
        "1 runs would be removed\n"
    );
    project.out(&["store", "gc", "--older-than", "0s"]);
    assert_eq!(project.out(&["ls", "-o", "name"]), "");
    project.fails(&["store", "gc", "--older-than", "5"], 2, &["no unit"]);
}

#[test]
fn colours_heed_the_environment() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    project.out(&["run"]);
    let with = |name: &str| {
        let output = project.command(&["ls"]).env(name, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("\x1b[")
    };
    assert!(with("CLICOLOR_FORCE"));
    assert!(!with("NO_COLOR"));
}

#[test]
fn what_holds_runs_and_keys_is_for_its_owner_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    let unmasked = |arguments: &[&str]| {
        let plain = project.command(arguments);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.current_dir(plain.get_current_dir().unwrap());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let done = command.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    };
    unmasked(&["run"]);
    unmasked(&["store", "backup", "copy.db"]);
    unmasked(&["secret", "rotate-key", "key"]);
    let inside = project.path().join(".surefoot");
    let mut paths =
        vec![inside.clone(), project.path().join("copy.db"), project.path().join("key")];
    paths.extend(std::fs::read_dir(inside).unwrap().map(|it| it.unwrap().path()));
    assert!(paths.len() > 3, "{paths:?}");
    for path in paths {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}
