//! What `surefoot check` says of proofs, to people and to programs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::Value;
use support::{HELLO, Project};

const FILE: &str = "order.surefoot.yaml";

/// `ship` reads what `risk` gives, and `risk` may be skipped.
const UNREAD: &str = "id: order
version: 1.0.0
tasks:
  risk: {if: input.total > 10, uses: transform, with: {score: 1}}
  ship: {needs: [risk], join: all_done, uses: log, with: {message: '${{ tasks.risk.output.score }}'}}
";

/// `never` waits for a failure that cannot be.
const DEAD: &str = "id: order
tasks:
  fine: {uses: transform, with: 1}
  never: {needs: [fine], join: any_failed, uses: log, with: {message: hi}}
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_finding_is_told_step_by_step() {
    let project = Project::new(&[(FILE, UNREAD)]);
    let done = project.run(&["check"]);
    assert_eq!(done.code, 3, "{}", done.out);
    for text in ["error[SF2205]", "it happens like this:", "1. ", "risk L4"] {
        assert!(done.out.contains(text), "{text}: {}", done.out);
    }
    assert!(!done.out.contains('\x1b'), "no colours in a pipe");
    assert!(done.err.contains("1 error, 0 warnings, "), "{}", done.err);
    assert!(done.err.contains("1 refuted"), "{}", done.err);
}

#[test]
fn proofs_are_listed_with_their_verdicts() {
    let project = Project::new(&[(FILE, DEAD)]);
    let done = project.run(&["check", "--prove"]);
    assert_eq!(done.code, 0, "{}", done.err);
    for text in [
        "order 1 (order.surefoot.yaml)",
        "proved   SF2101",
        "refuted  SF2109",
        "assuming that",
        "took ",
    ] {
        assert!(done.out.contains(text), "{text}: {}", done.out);
    }
    let good = Project::new(&[(FILE, HELLO)]);
    let done = good.run(&["check", "--prove", "--strict"]);
    assert_eq!(done.code, 0, "{}", done.out);
}

#[test]
fn a_task_is_explained() {
    let project = Project::new(&[(FILE, UNREAD)]);
    let done = project.run(&["check", "--explain", "ship"]);
    assert_eq!(done.code, 3, "a refused definition can be explained");
    for text in ["starts", "`risk` (line 4)", "all_done", "proofs", "refuted SF2205"] {
        assert!(done.out.contains(text), "{text}: {}", done.out);
    }
    let good = Project::new(&[(FILE, DEAD)]);
    let done = good.run(&["check", "--explain", "nver"]);
    assert_eq!(done.code, 5);
    assert!(done.err.contains("did you mean `never`?"), "{}", done.err);
    let value = json(&good.out(&["check", "--explain", "never", "--format", "json"]));
    assert_eq!(value["workflows"][0]["explanation"]["task"], "never");
}

#[test]
fn pictures_are_marked() {
    let project = Project::new(&[(FILE, DEAD)]);
    let ascii = project.run(&["check", "--graph", "ascii"]).out;
    assert!(ascii.contains("never (never runs)"), "{ascii}");
    project.fails(&["check", "--graph", "svg", "--format", "sarif"], 2, &["SF5001", "--graph"]);
}

#[test]
fn programs_read_verdicts_as_json() {
    let project = Project::new(&[(FILE, UNREAD)]);
    let value = json(&project.run(&["check", "--format", "json"]).out);
    assert!(value["problems"][0]["trace"][0].is_string(), "{value:#}");
    let workflow = &value["workflows"][0];
    assert_eq!((&workflow["workflow"], &workflow["is_accepted"]), (&"order".into(), &false.into()));
    let of = |code: &str| {
        let all = workflow["properties"].as_array().unwrap();
        all.iter()
            .find(|it| it["code"] == code)
            .unwrap_or_else(|| panic!("{code}: {value:#}"))
            .clone()
    };
    assert_eq!(
        (&of("SF2101")["verdict"], &of("SF2205")["verdict"]),
        (&"proved".into(), &"refuted".into())
    );
    assert!(of("SF2101")["assuming"].is_array());
    assert_eq!(of("SF2205")["trace"], value["problems"][0]["trace"]);
}

#[test]
fn what_was_found_can_be_replayed() {
    let project = Project::new(&[(FILE, UNREAD)]);
    let done = project.run(&["check", "--save-counterexamples", "found"]);
    assert_eq!(done.code, 3);
    let command = done.err.lines().find(|it| it.starts_with("surefoot run ")).unwrap();
    assert!(command.ends_with("--replay-counterexample found/order.SF2205.1.json"), "{command}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let done = project.run(&words);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("reproduced: "), "{}", done.err);
}

#[test]
fn proofs_are_kept_and_checked_by_themselves() {
    let project = Project::new(&[(FILE, DEAD)]);
    let done = project.run(&["check", "--save-certificates", "proofs"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains(" certificates in proofs"), "{}", done.err);
    let file = "proofs/order.SF2104.1.json";
    let out = project.out(&["check", "--verify-certificate", file]);
    assert!(out.starts_with(&format!("{file}: valid, SF2104 of `never` of `order`: ")), "{out}");
    let value = json(&project.out(&["check", "--format", "json", "--verify-certificate", file]));
    assert_eq!(value["valid"][0]["subject"], "never", "{value:#}");

    let path = project.path().join(file);
    let mut edited = json(&std::fs::read_to_string(&path).unwrap());
    edited["certificate"]["evidence"]["contradiction"]["clauses"] = serde_json::json!([[1, 2]]);
    std::fs::write(&path, edited.to_string()).unwrap();
    let verify = ["check", "--verify-certificate", file];
    project.fails(&verify, 3, &["SF5050", "do not end in a contradiction"]);
    project.fails(&["check", "--verify-certificate", FILE], 3, &["SF5050", "not a certificate"]);
}

#[test]
fn a_version_is_compared_with_the_one_before() {
    let older = HELLO.replace("version: 1.0.0", "version: 0.9.0");
    let project = Project::new(&[(FILE, HELLO), ("older.yaml", &older)]);
    let out = project.out(&["check", FILE, "--against", "older.yaml"]);
    assert!(out.contains("2 the same"), "{out}");
    let value = json(&project.out(&["check", FILE, "--against", "older.yaml", "--format", "json"]));
    let properties = value["workflows"][0]["properties"].as_array().unwrap();
    assert!(
        properties.iter().any(|it| it["code"] == "SF2601" && it["verdict"] == "proved"),
        "{value:#}"
    );
    project.out(&["run", FILE]);
    project.fails(&["check", FILE, "--against", "9.9"], 5, &["SF5041", "no such version"]);
}

#[test]
fn github_shows_the_trace_in_the_message() {
    let project = Project::new(&[(FILE, UNREAD)]);
    let done = project.run(&["check", "--format", "github"]);
    assert!(done.out.starts_with("::error file=order.surefoot.yaml,line=5,col="), "{}", done.out);
    assert!(done.out.contains("%0A1. "), "{}", done.out);
    assert_eq!(done.out.lines().count(), 1, "{}", done.out);
}

#[test]
fn sarif_is_as_the_standard_has_it() {
    let project = Project::new(&[
        (FILE, UNREAD),
        ("dead.surefoot.yaml", DEAD),
        ("broken.surefoot.yaml", "id: 1\ntasks: {a: {uses: log, wiht: 1}}\n"),
    ]);
    for arguments in
        [&["check", "--format", "sarif"][..], &["check", "--format", "sarif", "--prove"]]
    {
        let done = project.run(arguments);
        assert_eq!(done.code, 3);
        let log = json(&done.out);
        assert_sarif(&log);
        let results = log["runs"][0]["results"].as_array().unwrap();
        let of = |code: &str| results.iter().find(|it| it["ruleId"] == code).unwrap();
        let steps = &of("SF2205")["codeFlows"][0]["threadFlows"][0]["locations"];
        assert!(!steps.as_array().unwrap().is_empty(), "{log:#}");
        assert!(of("SF2109")["relatedLocations"][0]["message"]["text"].is_string(), "{log:#}");
        let passes = results.iter().filter(|it| it["kind"] == "pass").count();
        assert_eq!(passes > 0, arguments.contains(&"--prove"), "{log:#}");
    }
}

/// What the schema of SARIF 2.1.0 requires of the parts that are written.
#[track_caller]
fn assert_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    for run in log["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string(), "{driver}");
        let rules = driver["rules"].as_array().unwrap();
        for rule in rules {
            for text in ["shortDescription", "fullDescription", "help"] {
                assert!(rule[text]["text"].as_str().is_some_and(|it| !it.is_empty()), "{rule}");
            }
        }
        assert!(
            ["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap())
        );
        assert!(run["invocations"][0]["executionSuccessful"].is_boolean());
        for result in run["results"].as_array().unwrap() {
            assert_result(result, rules);
        }
    }
}

#[track_caller]
fn assert_result(result: &Value, rules: &[Value]) {
    let place = result["ruleIndex"].as_u64().unwrap() as usize;
    assert_eq!(rules[place]["id"], result["ruleId"]);
    assert!(result["message"]["text"].is_string(), "{result}");
    let level = result["level"].as_str().unwrap();
    let kind = result["kind"].as_str().unwrap_or("fail");
    assert!(["pass", "open", "fail"].contains(&kind), "{result}");
    // The standard: a result that is no failure has no level.
    assert_eq!(level == "none", kind != "fail", "{result}");
    assert!(["none", "note", "warning", "error"].contains(&level), "{result}");
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    let flows = list(&result["codeFlows"]);
    let threads: Vec<Value> = flows.iter().flat_map(|it| list(&it["threadFlows"])).collect();
    let steps: Vec<Value> = threads.iter().flat_map(|it| list(&it["locations"])).collect();
    let steps: Vec<Value> = steps.iter().map(|it| it["location"].clone()).collect();
    assert_eq!(list(&result["locations"]).len(), 1, "{result}");
    for location in [list(&result["locations"]), list(&result["relatedLocations"]), steps].concat()
    {
        assert_location(&location);
    }
}

#[track_caller]
fn assert_location(location: &Value) {
    let physical = &location["physicalLocation"];
    assert!(physical["artifactLocation"]["uri"].is_string(), "{location}");
    let region = &physical["region"];
    let number = |name: &str| region[name].as_u64();
    let start = (number("startLine").unwrap(), number("startColumn").unwrap_or(1));
    assert!(start >= (1, 1), "{location}");
    if let Some(line) = number("endLine") {
        assert!((line, number("endColumn").unwrap()) >= start, "{location}");
    }
}
