//! What authors type: init, check, graph, convert, help, and mistakes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{HELLO, Project};

const BROKEN: &str = "
id: broken
tasks:
  a: {uses: log, with: {message: hi}, retrys: 3}
  b: {needs: [aa], uses: log, with: {message: hi}}
";

#[test]
fn a_good_definition_is_silent_on_standard_output() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    let done = project.run(&["check"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    assert!(done.err.starts_with("1 workflow in 1 file in order, "), "{}", done.err);
}

#[test]
fn every_problem_is_drawn_with_code_place_and_help() {
    let project = Project::new(&[("broken.surefoot.yaml", BROKEN)]);
    let done = project.run(&["check"]);
    assert_eq!(done.code, 3);
    for text in ["error[SF1020]", "broken.surefoot.yaml:4", "retrys", "did you mean", "help:"] {
        assert!(done.out.contains(text), "{text}: {}", done.out);
    }
    assert!(done.out.contains("`aa`"), "{}", done.out);
    assert!(!done.out.contains("\x1b["), "no colours in a pipe");
    assert!(done.err.contains("2 errors, 0 warnings in "), "{}", done.err);
    let coloured = project.run(&["check", "--color", "always"]);
    assert!(coloured.out.contains("\x1b["), "colours when asked for");
}

#[test]
fn problems_can_be_read_by_machines() {
    let project = Project::new(&[("broken.surefoot.yaml", BROKEN)]);
    let done = project.run(&["check", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &value["errors"]), (3, &serde_json::json!(2)));
    assert_eq!(value["problems"][0]["line"], 4);
}

#[test]
fn files_that_cannot_be_checked_are_told_apart() {
    let project = Project::new(&[("dir.surefoot.yaml/x", ""), ("empty.surefoot.yaml", "")]);
    std::fs::write(project.path().join("binary.surefoot.yaml"), b"\x7fELF\x00\xff\xfe").unwrap();
    let large = std::fs::File::create(project.path().join("large.surefoot.yaml")).unwrap();
    large.set_len(100 * 1024 * 1024).unwrap();
    project.fails(&["check", "none.yaml"], 5, &["SF5003", "does not exist"]);
    project.fails(&["check", "dir.surefoot.yaml"], 2, &["SF5003", "is a directory"]);
    project.fails(&["check", "large.surefoot.yaml"], 3, &["SF1002", "--large"]);
    let binary = project.run(&["check", "binary.surefoot.yaml"]);
    assert_eq!(binary.code, 3, "{}", binary.err);
    assert!(binary.out.contains("SF1001"), "{}", binary.out);
    assert_eq!(project.run(&["check", "empty.surefoot.yaml"]).code, 3);
}

#[test]
fn nothing_to_check_is_told() {
    Project::new(&[]).fails(&["check"], 2, &["SF5005", "surefoot init"]);
}

#[test]
fn pictures_come_in_four_languages() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    let file = "hello.surefoot.yaml";
    let starts = [("ascii", "┌"), ("mermaid", "flowchart TD"), ("dot", "digraph"), ("svg", "<svg")];
    for (format, start) in starts {
        let picture = project.out(&["graph", file, "--format", format]);
        assert!(picture.starts_with(start), "{format}: {picture}");
    }
}

#[test]
fn every_template_passes_the_check_and_is_never_written_twice() {
    let project = Project::new(&[]);
    let list = project.out(&["init", "--list"]);
    let names: Vec<&str> = list.lines().filter_map(|it| it.split_whitespace().next()).collect();
    assert_eq!(names.len(), 9, "{list}");
    for name in names {
        project.out(&["init", name]);
        project.fails(&["init", name], 6, &["SF5052", "exists already"]);
        assert!(project.path().join(name).join(".surefoot/workflow.schema.json").is_file());
    }
    let done = project.run(&["check", "--strict"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    project.fails(&["init", "oder"], 5, &["SF5051", "did you mean `order`?"]);
}

#[test]
fn hermetic_templates_run() {
    let cases = [
        ("hello", vec!["-i", "name=Ada"], 0, "Hello, Ada!"),
        ("fanout", vec!["-i", "numbers=[1,2,3]"], 0, "9"),
        ("saga", vec!["-i", "car_available=true"], 0, "booked"),
        ("saga", vec!["-i", "car_available=false"], 1, ""),
        ("etl", vec![], 0, "\"adults\": 2"),
        ("schedule", vec![], 0, ""),
        ("approval", vec!["--until-idle"], 8, ""),
        ("http", vec!["--mock", "ask={\"status\": 200}"], 0, ""),
        (
            "order",
            vec!["-i", "order_id=o-1", "-i", "items=[]", "-i", "total=1.0", "--mock", "http={}"],
            0,
            "o-1",
        ),
    ];
    for (template, arguments, code, output) in cases {
        let project = Project::new(&[]);
        project.out(&["init", template, "."]);
        let done = project.run(&[&["run"], &arguments[..]].concat());
        assert_eq!(done.code, code, "{template}: {}", done.err);
        assert!(done.out.contains(output), "{template}: {}", done.out);
    }
}

#[test]
fn a_graph_of_wfcommons_becomes_a_definition() {
    let tasks = r#"{"name": "two", "tasks": [{"id": "a", "deps": [], "runtime_s": 1},
        {"id": "b", "deps": ["a"], "runtime_s": 2}]}"#;
    let project = Project::new(&[("two.json", tasks), ("not.json", "{")]);
    project.out(&["convert", "two.json", "--kind", "transform", "--to", "two.surefoot.yaml"]);
    assert_eq!(project.run(&["check"]).code, 0);
    assert_eq!(project.run(&["run"]).code, 0);
    project.fails(&["convert", "not.json"], 2, &["SF5061", "not JSON"]);
}

#[test]
fn help_explains_codes_and_commands() {
    let project = Project::new(&[]);
    assert!(project.out(&["help", "SF1020"]).starts_with("# SF1020"));
    assert!(project.out(&["help", "sf5011"]).starts_with("# SF5011"));
    assert!(project.out(&["help", "retry"]).contains("--with-input"));
    project.fails(&["help", "SF9999"], 5, &["SF5008"]);
}

#[test]
fn typing_mistakes_are_usage_errors_with_a_suggestion() {
    let project = Project::new(&[]);
    project.fails(&["retyr"], 2, &["unrecognized subcommand 'retyr'", "'retry'"]);
    project.fails(&["check", "--stric"], 2, &["--strict"]);
    project.fails(&["skip"], 2, &["<RUN>"]);
    project.fails(&["ls", "-f", "status:faild"], 5, &["SF5010"]);
}

#[test]
fn every_command_has_an_example() {
    let project = Project::new(&[]);
    let help = project.out(&["--help"]);
    let commands = help.lines().skip_while(|it| *it != "Commands:").skip(1);
    let names = commands
        .take_while(|it| !it.is_empty())
        .filter(|it| it.starts_with("  ") && !it.starts_with("   "));
    for name in names.filter_map(|it| it.split_whitespace().next()) {
        let text = project.out(&["help", name]);
        assert!(text.contains("Example"), "{name}: {text}");
    }
}

#[test]
fn completions_are_scripts() {
    let project = Project::new(&[]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(project.out(&["completions", shell]).contains("surefoot"), "{shell}");
        project.out(&["completions", shell, "--install"]);
    }
    let home = project.path().join("home");
    assert!(home.join(".config/fish/completions/surefoot.fish").is_file());
}

#[test]
fn every_code_of_the_command_line_has_a_page_and_every_page_a_code() {
    use std::collections::BTreeSet;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut used, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|it| it.len() == 6 && it.starts_with("SF5"));
            used.extend(quoted.map(str::to_owned));
        }
    }
    let entries = surefoot::core::source::codes::ENTRIES.iter().map(|it| it.code.to_owned());
    let known: BTreeSet<String> = entries.filter(|it| it.starts_with("SF5")).collect();
    assert_eq!(used, known);
}

#[test]
fn the_tests_of_every_template_pass() {
    let project = Project::new(&[]);
    let list = project.out(&["init", "--list"]);
    for name in list.lines().filter_map(|it| it.split_whitespace().next()) {
        project.out(&["init", name]);
    }
    let done = project.run(&["test", "--junit", "report.xml"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("12 passed, 0 failed"), "{}", done.err);
    let report = std::fs::read_to_string(project.path().join("report.xml")).unwrap();
    assert!(report.contains("tests=\"12\" failures=\"0\""), "{report}");
}

#[test]
fn cases_are_repeated_with_a_crash_everywhere() {
    let project = Project::new(&[]);
    project.out(&["init", "saga", "."]);
    let done = project.run(&["test", "--crash-everywhere", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let cases: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert!(cases[1]["plays"].as_u64() > Some(10), "{cases}");
}

#[test]
fn a_case_that_fails_says_what_was_not_as_expected() {
    let cases = "
workflow: hello.surefoot.yaml
cases:
  - name: wrong
    expect: {status: failed, output: {text: Bye}, tasks: {say: skipped, sya: completed}, attempts: {say: 3}}
";
    let project =
        Project::new(&[("hello.surefoot.yaml", HELLO), ("hello.surefoot-test.yaml", cases)]);
    let said = [
        "the run should be failed and is completed",
        "output.text should be \"Bye\" and is \"Hello, world!\"",
        "task `say` should be skipped and is completed",
        "task `sya` should be completed and was never reached",
        "1 failed",
    ];
    project.fails(&["test"], 1, &said);
    project.write("hello.surefoot-test.yaml", "workflow: hello.surefoot.yaml\ncasse: []\n");
    project.fails(&["test"], 2, &["SF5048", "unknown field `casse`"]);
    project.write("hello.surefoot-test.yaml", "workflow: none.yaml\ncases: []\n");
    project.fails(&["test"], 5, &["SF5003"]);
}
