//! Faults planted into correct definitions: each kind, at random places of random definitions, must
//! be found, under its code. And the correct definitions raise no alarm. SUREFOOT_VERIFY_CASES says
//! into how many definitions each kind is planted.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "what was looked at, with --nocapture")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use support::random_definitions::{Options, RandomDefinition};
use support::{Chance, cases};
use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::source::Severity;

/// A kind of fault: the tasks that have it, all named `bad…`, and the codes that name it.
struct Fault {
    name: &'static str,
    codes: &'static [&'static str],
    tasks: Value,
    /// Changes that the definition as a whole needs.
    top: Value,
}

fn fault(name: &'static str, codes: &'static [&'static str], tasks: Value) -> Fault {
    Fault { name, codes, tasks, top: json!({}) }
}

fn with_top(fault: Fault, top: Value) -> Fault {
    Fault { top, ..fault }
}

fn faults() -> Vec<Fault> {
    let mut all = faults_of_graphs();
    all.extend(faults_of_machines());
    all.extend(faults_of_effects());
    all
}

fn faults_of_graphs() -> Vec<Fault> {
    let read = |id: &str| json!({"x": format!("${{{{ tasks.{id}.output.x }}}}")});
    vec![
        fault(
            "a condition that is never true",
            &["SF2203"],
            json!({
                "bad": {"if": "input.n > 2 && input.n < 1", "uses": "work"},
            }),
        ),
        fault(
            "a condition that is always true",
            &["SF2203"],
            json!({
                "bad": {"if": "input.n > 2 || input.n < 3", "uses": "work"},
            }),
        ),
        fault(
            "conditions that exclude each other in a row",
            &["SF2104"],
            json!({
                "bad_first": {"if": "input.n > 2", "uses": "work"},
                "bad": {"needs": ["bad_first"], "if": "input.n < 1", "uses": "work"},
            }),
        ),
        fault(
            "a condition that excludes that of the group around",
            &["SF2104"],
            json!({
                "bad_group": {"if": "input.kind == \"x\"", "tasks": {
                    "bad": {"if": "input.kind == \"y\"", "uses": "work"},
                }},
            }),
        ),
        fault(
            "a join of branches that exclude each other",
            &["SF2109"],
            json!({
                "bad_x": {"if": "input.kind == \"x\"", "uses": "work"},
                "bad_y": {"if": "input.kind == \"y\"", "uses": "work"},
                "bad": {"needs": ["bad_x", "bad_y"], "uses": "work"},
            }),
        ),
        fault(
            "an error handler of what cannot fail",
            &["SF2109"],
            json!({
                "bad_safe": {"uses": "transform", "with": {"x": 1}},
                "bad": {"needs": ["bad_safe"], "join": "any_failed", "uses": "work"},
            }),
        ),
        fault(
            "a task behind one that always fails",
            &["SF2109"],
            json!({
                "bad_failing": {"uses": "fail", "with": {"message": "no"}, "on_failure": "continue"},
                "bad": {"needs": ["bad_failing"], "uses": "work"},
            }),
        ),
        fault(
            "a field of a task that may be skipped",
            &["SF2205"],
            json!({
                "bad_check": {"uses": "work"},
                "bad_maybe": {"if": "input.a", "uses": "work"},
                "bad": {
                    "needs": ["bad_check", "bad_maybe"], "join": "none_failed",
                    "uses": "work", "with": read("bad_maybe"),
                },
            }),
        ),
        fault(
            "the whole output of a task that may be skipped",
            &["SF2205"],
            json!({
                "bad_check": {"uses": "work"},
                "bad_maybe": {"if": "input.a", "uses": "work"},
                "bad": {
                    "needs": ["bad_check", "bad_maybe"], "join": "none_failed",
                    "uses": "work", "with": {"x": "${{ tasks.bad_maybe.output }}"},
                },
            }),
        ),
        fault(
            "a field of a task whose failure is accepted",
            &["SF2205"],
            json!({
                "bad_maybe": {"uses": "work", "on_failure": "continue"},
                "bad": {
                    "needs": ["bad_maybe"], "join": "all_done",
                    "uses": "work", "with": read("bad_maybe"),
                },
            }),
        ),
        fault(
            "an error handler that reads the output",
            &["SF2205"],
            json!({
                "bad_maybe": {"uses": "work"},
                "bad": {
                    "needs": ["bad_maybe"], "join": "any_failed",
                    "uses": "work", "with": read("bad_maybe"),
                },
            }),
        ),
        fault(
            "a field of the slower of two",
            &["SF2205"],
            json!({
                "bad_a": {"uses": "work"},
                "bad_b": {"uses": "work"},
                "bad": {
                    "needs": ["bad_a", "bad_b"], "join": "any_success",
                    "uses": "work", "with": read("bad_a"),
                },
            }),
        ),
        fault(
            "a condition on the output of a task that may be skipped",
            &["SF2205"],
            json!({
                "bad_check": {"uses": "work"},
                "bad_maybe": {"if": "input.a", "uses": "work"},
                "bad": {
                    "needs": ["bad_check", "bad_maybe"], "join": "none_failed",
                    "if": "tasks.bad_maybe.output.x > 1", "uses": "work",
                },
            }),
        ),
        fault(
            "a failure that a clean-up hides",
            &["SF2108"],
            json!({
                "bad": {"uses": "work"},
                "bad_clean": {"needs": ["bad"], "join": "all_done", "uses": "log", "with": {"message": "x"}},
            }),
        ),
        with_top(
            fault(
                "a condition on an optional field",
                &["SF2204"],
                json!({
                    "bad": {"if": "input.note == \"x\"", "uses": "work"},
                }),
            ),
            json!({"note": {"type": "string"}}),
        ),
        fault(
            "tasks that wait for each other",
            &["SF1102"],
            json!({
                "bad": {"needs": ["bad_b"], "uses": "work"},
                "bad_b": {"needs": ["bad"], "uses": "work"},
            }),
        ),
        fault(
            "a need that nobody defines",
            &["SF1101"],
            json!({
                "bad": {"needs": ["bad_elsewhere"], "uses": "work"},
            }),
        ),
        fault(
            "a read of a task that is not before",
            &["SF1121"],
            json!({
                "bad_later": {"uses": "work"},
                "bad": {"uses": "work", "with": read("bad_later")},
            }),
        ),
        fault(
            "a signal that nobody need send",
            &["SF2107"],
            json!({
                "bad": {"uses": "signal", "with": {"name": "bad"}},
            }),
        ),
        fault(
            "a quorum that nobody can reach",
            &["SF2107"],
            json!({
                "bad": {"uses": "approval", "with": {"users": ["ann"], "quorum": 2, "timeout": "1h", "on_timeout": "reject"}},
            }),
        ),
        fault(
            "a workflow that starts itself",
            &["SF1112"],
            json!({
                "bad": {"uses": "workflow", "with": {"id": "random"}},
            }),
        ),
    ]
}

/// A task that is a machine.
fn machine(states: Value) -> Value {
    json!({"bad": {"vars": {"v": 0}, "initial": "bad_s", "states": states}})
}

fn faults_of_machines() -> Vec<Fault> {
    vec![
        fault(
            "guards that leave a gap",
            &["SF2201"],
            machine(json!({
                "bad_s": {"next": [{"if": "input.n > 2", "to": "bad_e"}, {"if": "input.n < 2", "to": "bad_e"}]},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "guards that overlap",
            &["SF2202"],
            machine(json!({
                "bad_s": {"next": [
                    {"if": "input.n > 1", "to": "bad_e"}, {"if": "input.n < 3", "to": "bad_f"}, {"to": "bad_e"},
                ]},
                "bad_f": {"final": true},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a guard that is never true where it stands",
            &["SF2203"],
            machine(json!({
                "bad_s": {"next": [
                    {"if": "input.n > 1", "to": "bad_e"}, {"if": "input.n > 2", "to": "bad_f"}, {"to": "bad_f"},
                ]},
                "bad_f": {"final": true},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a transition behind one that always wins",
            &["SF1209"],
            machine(json!({
                "bad_s": {"next": [{"to": "bad_e"}, {"if": "input.a", "to": "bad_f"}]},
                "bad_f": {"final": true},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a state that no way leads to",
            &["SF1204"],
            machine(json!({
                "bad_s": {"next": "bad_e"},
                "bad_island": {"next": "bad_e"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a state that guards close off",
            &["SF2104", "SF2203"],
            machine(json!({
                "bad_s": {"next": [{"if": "input.n > 2 && input.n < 1", "to": "bad_f"}, {"to": "bad_e"}]},
                "bad_f": {"next": "bad_e"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "states that no final one can be reached from",
            &["SF1205"],
            machine(json!({
                "bad_s": {"on": {"go": "bad_t"}},
                "bad_t": {"on": {"go": "bad_u"}},
                "bad_u": {"on": {"go": "bad_t"}},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a state without a way out",
            &["SF1203"],
            machine(json!({
                "bad_s": {"on": {"go": "bad_t", "stop": "bad_e"}},
                "bad_t": {"uses": "work"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a loop that never waits",
            &["SF1206"],
            machine(json!({
                "bad_s": {"next": "bad_t"},
                "bad_t": {"next": "bad_s"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a loop that never waits while a guard holds",
            &["SF2105", "SF2106"],
            machine(json!({
                "bad_s": {"next": [{"if": "input.a", "to": "bad_t"}, {"to": "bad_e"}]},
                "bad_t": {"next": "bad_s"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "a read of a state that may not have been visited",
            &["SF2205"],
            machine(json!({
                "bad_s": {"on": {"go": "bad_t", "skip": "bad_u"}},
                "bad_t": {"uses": "work", "next": "bad_u"},
                "bad_u": {"uses": "work", "with": {"x": "${{ tasks.bad_t.output.x }}"}, "next": "bad_e"},
                "bad_e": {"final": true},
            })),
        ),
        fault(
            "the event of a failure that cannot be",
            &["SF2107"],
            machine(json!({
                "bad_s": {"uses": "log", "with": {"message": "x"}, "next": "bad_e", "on": {"failed": "bad_e"}},
                "bad_e": {"final": true},
            })),
        ),
    ]
}

fn faults_of_effects() -> Vec<Fault> {
    let post = |with: Value| {
        let mut all = json!({"method": "POST", "url": "https://x.example/y"});
        all.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        all
    };
    vec![
        fault(
            "two tasks that write the same thing",
            &["SF2206"],
            json!({
                "bad": {"uses": "work", "writes": ["ledger"]},
                "bad_b": {"uses": "work", "writes": ["ledger"]},
            }),
        ),
        fault(
            "one task that reads what another writes",
            &["SF2206"],
            json!({
                "bad": {"uses": "work", "reads": ["ledger"]},
                "bad_b": {"uses": "work", "writes": ["ledger"]},
            }),
        ),
        fault(
            "items that write the same thing",
            &["SF2206"],
            json!({
                "bad": {"for_each": "${{ input.items }}", "uses": "work", "writes": ["ledger"]},
            }),
        ),
        fault(
            "two tasks that write the same file",
            &["SF2206"],
            json!({
                "bad": {"uses": "file", "with": {"op": "write", "path": "out.txt", "text": "a"}},
                "bad_b": {"uses": "file", "with": {"op": "write", "path": "out.txt", "text": "b"}},
            }),
        ),
        fault(
            "an unsafe effect that is retried",
            &["SF2401"],
            json!({
                "bad": {"uses": "http", "with": post(json!({"idempotency": false})), "retry": 3},
            }),
        ),
        fault(
            "money that is kept",
            &["SF2402"],
            json!({
                "bad": {"uses": "work", "effect": "unsafe"},
                "bad_then": {"needs": ["bad"], "uses": "work"},
                "bad_undone": {"uses": "work", "compensate": {"uses": "undo"}},
            }),
        ),
        fault(
            "an undoing that reads what may not be there",
            &["SF2403"],
            json!({
                "bad_check": {"uses": "work"},
                "bad_maybe": {"if": "input.a", "uses": "work"},
                "bad": {
                    "needs": ["bad_check", "bad_maybe"], "join": "none_failed", "uses": "work",
                    "compensate": {"uses": "undo", "with": {"x": "${{ tasks.bad_maybe.output.x }}"}},
                },
            }),
        ),
        fault(
            "a time-out that is longer than the one around",
            &["SF2404"],
            json!({
                "bad": {"timeout": {"total": "1m"}, "tasks": {
                    "bad_inner": {"uses": "work", "timeout": "1h"},
                }},
            }),
        ),
        fault(
            "a secret in a URL",
            &["SF2406"],
            json!({
                "bad": {"uses": "http", "with": {"url": "https://x.example/?key=${{ secrets.key }}"}},
            }),
        ),
    ]
}

/// Draws a definition of a graph in which nothing is wrong.
fn correct(chance: &mut Chance) -> Value {
    let options = Options { machines: chance.percent(50), ..Options::small() };
    loop {
        let drawn = RandomDefinition::new(chance.draw(), &options);
        // A time-out of the run bounds every wait in it.
        let is_bounded = drawn.value.get("timeout").is_some();
        let is_graph = drawn.value.get("tasks").is_some();
        if is_graph && !is_bounded && alarms(&drawn.value).is_empty() {
            return drawn.value;
        }
    }
}

/// Returns what is found in a definition, notes aside: code and message.
fn alarms(definition: &Value) -> Vec<(String, String)> {
    found(definition)
        .into_iter()
        .filter(|it| it.2 != Severity::Note)
        .map(|it| (it.0, it.1))
        .collect()
}

fn found(definition: &Value) -> Vec<(String, String, Severity)> {
    let source = definition.to_string();
    let document = check_source(source.as_bytes(), &CheckContext::default()).pop().unwrap();
    let subjects: BTreeMap<usize, String> = document
        .proofs
        .iter()
        .flat_map(|it| &it.proofs)
        .filter_map(|it| match it.verdict {
            surefoot_core::verify::Verdict::Refuted { finding } => {
                Some((finding, it.subject.clone()))
            }
            _ => None,
        })
        .collect();
    let of = |problem: &surefoot_core::source::Problem| {
        let findings = document.proofs.iter().flat_map(|it| it.findings.iter().enumerate());
        let at = findings.clone().find(|it| it.1.problem == *problem).map(|it| it.0);
        at.and_then(|at| subjects.get(&at).cloned()).unwrap_or_default()
    };
    document
        .problems
        .iter()
        .map(|it| {
            let shown: String =
                source[it.label.span.start as usize..it.label.span.end as usize].to_owned();
            (it.code.to_owned(), format!("{} [{shown}] [{}]", it.message, of(it)), it.severity)
        })
        .collect()
}

/// Plants a fault at a random place: in the top graph or in a group of its own, and behind a random
/// task or not.
fn plant(fault: &Fault, definition: &mut Value, chance: &mut Chance) {
    let mut tasks: Map<String, Value> = fault.tasks.as_object().unwrap().clone();
    let mut depth = chance.below(3);
    while depth > 0 {
        depth -= 1;
        tasks = Map::from_iter([(format!("bad_group_{depth}"), json!({"tasks": tasks}))]);
    }
    // Behind what never completes, nothing goes wrong; and behind a condition that decides the
    // planted ones, they are no fault, or another one.
    let is_plain =
        |it: &Value| it["uses"] == "work" && it.get("needs").is_none() && it.get("if").is_none();
    let there: Vec<String> = definition["tasks"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|it| is_plain(it.1))
        .map(|it| it.0.clone())
        .collect();
    if !there.is_empty()
        && tasks.len() == 1
        && chance.percent(30)
        && !fault.codes[0].starts_with("SF11")
    {
        let before = chance.pick(&there).clone();
        let first = tasks.values_mut().next().unwrap();
        if first.get("needs").is_none() {
            first["needs"] = json!([before]);
        }
    }
    // One after the other, nothing races.
    definition.as_object_mut().unwrap().remove("max_parallel");
    definition["tasks"].as_object_mut().unwrap().extend(tasks);
    let properties = definition["input"]["properties"].as_object_mut().unwrap();
    properties.extend(fault.top.as_object().unwrap().clone());
}

#[test]
fn every_planted_fault_is_found() {
    let all = faults();
    assert!(all.len() >= 25);
    let mut missed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut example = BTreeMap::new();
    for (kind, fault) in all.iter().enumerate() {
        for case in 0..cases(12) {
            let mut chance = Chance::new((kind as u64) << 32 | case);
            let mut definition = correct(&mut chance);
            // Where every run fails anyway, nothing hides a failure.
            while fault.codes == ["SF2108"] && definition.to_string().contains("\"uses\":\"fail\"")
            {
                definition = correct(&mut chance);
            }
            plant(fault, &mut definition, &mut chance);
            let found = found(&definition);
            let is_it = |it: &(String, String, Severity)| {
                fault.codes.contains(&&*it.0) && (it.1.contains("bad") || it.0.starts_with("SF11"))
            };
            if !found.iter().any(is_it) {
                *missed.entry(fault.name).or_default() += 1;
                example.insert(fault.name, format!("{}\n{definition:#}\n{found:#?}", fault.name));
            }
        }
    }
    println!("{} kinds, {} definitions each", all.len(), cases(12));
    assert!(missed.is_empty(), "{missed:?}\n{}", example.values().next().unwrap());
}
