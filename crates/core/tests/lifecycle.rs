//! The life of runs and tasks, looked at exhaustively: small plans, and in every state that they
//! can reach every command that anybody can give. Every change of a status is in the tables, every
//! entry of the tables is made, ends are final, verbs are idempotent, and nothing is ever stuck.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "what was looked at, with --nocapture")]
#![allow(clippy::disallowed_methods, reason = "the diagram is a file")]

mod support;

use std::collections::{BTreeSet, HashMap, VecDeque};

use std::fmt::Write as _;
use std::path::Path;
use support::cases;
use support::lab::{Change, Lab, Move, Print};

use surefoot_core::run::{Command, RUN_TRANSITIONS, RunStatus, TASK_TRANSITIONS, TaskStatus};

/// States of one plan that are looked at, unless SUREFOOT_VERIFY_CASES says otherwise.
const STATES: u64 = 150;

/// Small plans that together have every construct with a status of its own.
const PLANS: &[(&str, u32, &str)] = &[
    ("chain", 9, "{id: p, tasks: {a: {uses: w}, b: {needs: [a], uses: w}}}"),
    ("slots", 1, "{id: p, tasks: {a: {uses: w, retry: 2, timeout: {queue: 1h}}, b: {uses: w}}}"),
    (
        "diamond",
        2,
        "{id: p, tasks: {a: {uses: w}, b: {needs: [a], uses: w}, c: {needs: [a], if: 'false', uses: w}, d: {needs: [b, c], join: all_done, uses: w}}}",
    ),
    (
        "saga",
        9,
        "{id: p, tasks: {a: {uses: w, compensate: {uses: u}}, b: {needs: [a], uses: w, timeout: 5s}}, on_failure: {tell: {uses: w}}, finally: {clean: {uses: w}}}",
    ),
    (
        "items",
        2,
        "{id: p, tasks: {a: {uses: w, for_each: [1, 2], retry: {max_attempts: 2, delay: 5s}}}}",
    ),
    (
        "machine",
        9,
        "{id: p, initial: one, states: {one: {on: {go: two}, after: {1h: three}}, two: {uses: w, next: three, on: {failed: one, stop: three}}, three: {final: true}}}",
    ),
    (
        "machine_in_graph",
        9,
        "{id: p, tasks: {m: {compensate: {uses: u}, retry: 2, initial: one, states: {one: {on: {go: two}}, two: {uses: w, next: end}, end: {final: true}}}, t: {needs: [m], uses: w}}}",
    ),
    (
        "graph_in_machine",
        9,
        "{id: p, initial: one, states: {one: {tasks: {a: {uses: w}, b: {needs: [a], uses: w}}, on: {go: end, failed: end}, next: end}, end: {final: true}}}",
    ),
    (
        "waits",
        9,
        "{id: p, tasks: {ask: {uses: approval, with: {timeout: 1h, on_timeout: reject}}, come: {uses: signal, with: {name: come}}, clock: {uses: wait, with: {for: 5s}}}}",
    ),
    (
        "waits_again",
        9,
        "{id: p, tasks: {clock: {uses: wait, retry: 2, with: {for: 5s}}, value: {needs: [clock], uses: transform, with: 1, compensate: {uses: u}}, bad: {needs: [value], uses: fail, with: {message: no, retryable: true}, retry: {max_attempts: 2, delay: 5s}}}}",
    ),
    (
        "sub_run",
        9,
        "{id: p, tasks: {sub: {uses: workflow, with: {id: other}, retry: {max_attempts: 2, delay: 5s}, timeout: 1h}, last: {needs: [sub], uses: w}}}",
    ),
    (
        "undone_graph",
        9,
        "{id: p, tasks: {g: {compensate: {uses: u}, tasks: {a: {uses: transform, with: 1}}}, bad: {needs: [g], uses: fail, with: {message: no}}}}",
    ),
    ("time_limit", 9, "{id: p, timeout: 5s, tasks: {g: {timeout: 3s, tasks: {a: {uses: w}}}}}"),
    ("no_variables", 9, "{id: p, vars: {x: '${{ input.missing }}'}, tasks: {a: {uses: w}}}"),
];

/// What was found about one plan.
#[derive(Default)]
struct Found {
    states: usize,
    /// States whose moves were not looked at, because there were too many.
    beyond: usize,
    moves: usize,
    run: BTreeSet<(RunStatus, RunStatus)>,
    task: BTreeSet<(TaskStatus, TaskStatus)>,
}

/// Looks at every state of a plan, breadth first, and checks what holds in each.
fn explore(name: &str, source: &str, slots: u32, states_max: usize) -> Found {
    let mut found = Found::default();
    let start = Lab::new(source, slots);
    let mut known: HashMap<Print, usize> = HashMap::from([(start.print(), 0)]);
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut ends: Vec<usize> = Vec::new();
    let mut looked_at: Vec<(usize, Lab)> = Vec::new();
    let mut open = VecDeque::from([(0, start)]);
    while let Some((at, mut lab)) = open.pop_front() {
        if lab.status().is_terminal() {
            ends.push(at);
        }
        if found.states >= states_max {
            found.beyond += 1;
            continue;
        }
        found.states += 1;
        for step in lab.moves() {
            let mut next = lab.fork();
            let changes = next.make(&step);
            found.moves += 1;
            check_move(name, &lab, &step, &next, &changes);
            note(&mut found, changes.unwrap_or_default());
            let fresh = known.len();
            let place = *known.entry(next.print()).or_insert(fresh);
            if place == fresh {
                before.push(Vec::new());
                open.push_back((place, next));
            }
            if !by_hand(&step) {
                before[place].push(at);
            }
        }
        looked_at.push((at, lab));
    }
    check_nothing_is_stuck(name, &before, ends, looked_at);
    found
}

fn note(found: &mut Found, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Run(from, to) => drop(found.run.insert((from, to))),
            Change::Task(_, from, to) => drop(found.task.insert((from, to))),
        }
    }
}

/// Checks what holds for every command in every state.
fn check_move(
    name: &str,
    before: &Lab,
    step: &Move,
    after: &Lab,
    changes: &Result<Vec<Change>, String>,
) {
    let told = || format!("{name}: {step:?} in\n{before}\nleads to\n{after}");
    let Ok(changes) = changes else {
        assert_eq!(before.state(), after.state(), "a refusal changes nothing: {}", told());
        return;
    };
    for change in changes {
        match change {
            Change::Run(from, to) => {
                assert!(RUN_TRANSITIONS.contains(&(*from, *to)), "{from} to {to}: {}", told());
                let reopens = matches!(step, Move::Ask(Command::Retry | Command::Rewind { .. }));
                assert!(!from.is_terminal() || reopens, "{from} is an end: {}", told());
            }
            Change::Task(path, from, to) => {
                let legal = TASK_TRANSITIONS.contains(&(*from, *to));
                assert!(legal, "`{path}` goes from {from} to {to}: {}", told());
            }
        }
    }
    check_idempotent(step, after, &told);
}

/// Asked twice, a verb does no more than asked once.
fn check_idempotent(step: &Move, after: &Lab, told: &dyn Fn() -> String) {
    let Move::Ask(command) = step else { return };
    let mut again = after.fork();
    let changes = again.make(step);
    match command {
        // Two signals are two signals; a time may have come meanwhile.
        Command::Signal { .. } | Command::Tick | Command::Recover => {}
        // What has ended or failed since is wanted once more.
        Command::Rewind { to } if !after.is_at_its_first_attempt(to) => {}
        Command::Complete { .. }
        | Command::Fail { .. }
        | Command::Lost { .. }
        | Command::Dispatch { .. }
        | Command::ChildStarted { .. }
        | Command::ChildEnded { .. } => assert!(changes.is_err(), "twice: {}", told()),
        Command::Admit
        | Command::Advance
        | Command::Beat { .. }
        | Command::Vote { .. }
        | Command::Pause
        | Command::Resume
        | Command::Cancel
        | Command::Kill
        | Command::Retry
        | Command::Rewind { .. }
        | Command::Skip { .. }
        | Command::SetResult { .. } => {
            assert_eq!(again.state().tasks, after.state().tasks, "twice: {}", told());
            assert_eq!(again.status(), after.status(), "twice: {}", told());
        }
    }
}

/// Whether somebody must decide it: what a run may not depend on to end.
fn by_hand(step: &Move) -> bool {
    match step {
        Move::Time => false,
        Move::Ask(command) => matches!(
            command,
            Command::Cancel
                | Command::Kill
                | Command::Retry
                | Command::Rewind { .. }
                | Command::Skip { .. }
                | Command::SetResult { .. }
        ),
    }
}

/// From every state that was looked at, an end can be reached, without anybody deciding by hand:
/// by moves that were looked at, or by going on from there.
fn check_nothing_is_stuck(
    name: &str,
    before: &[Vec<usize>],
    ends: Vec<usize>,
    looked_at: Vec<(usize, Lab)>,
) {
    let mut ending = vec![false; before.len()];
    let mut open = ends;
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut ending[at], true) {
            open.extend(&before[at]);
        }
    }
    for (at, mut lab) in looked_at {
        let begin = lab.to_string();
        assert!(ending[at] || lab.go_on(), "{name}: stuck after\n{begin}\nat\n{lab}");
    }
}

#[test]
fn every_command_in_every_state_is_legal_and_every_transition_is_made() {
    let states_max = cases(STATES) as usize;
    let (mut run, mut task) = (BTreeSet::new(), BTreeSet::new());
    let (mut states, mut moves) = (0, 0);
    for (name, slots, source) in PLANS {
        let found = explore(name, source, *slots, states_max);
        println!("{name}: {} states, {} moves, {} beyond", found.states, found.moves, found.beyond);
        states += found.states;
        moves += found.moves;
        run.extend(found.run);
        task.extend(found.task);
    }
    println!("{states} states, {moves} moves");
    check_coverage(&run, RUN_TRANSITIONS, &RunStatus::ALL);
    check_coverage(&task, TASK_TRANSITIONS, &TaskStatus::ALL);
}

/// Every entry of the table was made; every status was reached.
fn check_coverage<S: Copy + Ord + std::fmt::Debug>(
    made: &BTreeSet<(S, S)>,
    table: &[(S, S)],
    all: &[S],
) {
    let missing: Vec<_> = table.iter().filter(|it| !made.contains(it)).collect();
    assert!(missing.is_empty(), "never made: {missing:?}");
    let reached: BTreeSet<S> = made.iter().flat_map(|it| [it.0, it.1]).collect();
    assert_eq!(reached.len(), all.len(), "reached: {reached:?}");
}

/// The page that has the diagrams.
const PAGE: &str = "../../docs/lifecycle.md";

#[test]
fn the_page_shows_the_tables() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let built = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &built).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap();
    assert!(published == built, "run this test with UPDATE=1 to write {}", file.display());
}

fn page() -> String {
    let run = diagram(
        RUN_TRANSITIONS.iter().map(|it| (it.0.name(), it.1.name(), it.0.is_terminal())),
        RunStatus::ALL.iter().filter(|it| it.is_terminal()).map(|it| it.name()),
    );
    let task = diagram(
        TASK_TRANSITIONS.iter().map(|it| (it.0.name(), it.1.name(), it.0.is_ended())),
        TaskStatus::ALL.iter().filter(|it| it.is_ended()).map(|it| it.name()),
    );
    format!(
        "# The life of a run and of a task

This page is built from the tables at the top of `crates/core/src/run/status.rs` by
`UPDATE=1 cargo test -p surefoot-core --test lifecycle`; the same test looks at small workflows
exhaustively and makes every one of these changes, and no other.

## A run

`completed`, `failed` and `cancelled` are ends. Only `retry` and `rewind` leave them (`again` below).

{run}
| status | means |
|---|---|
| `pending` | created, waits for its turn under a concurrency limit |
| `running` | it goes on, or waits for something that its tasks say |
| `paused` | nothing new starts; what runs, ends |
| `cancelling` | somebody cancelled it; compensation and `finally` still run |
| `completed`, `failed`, `cancelled` | over |

## A task

A task has ended when it is `completed`, `failed`, `skipped`, `cancelled` or `compensated`. An end
is left (`again`) by `retry`, `rewind`, `skip` and `set-result`, by the next visit of a state, and
by compensation.

{task}
| status | means |
|---|---|
| `pending` | waits for its needs, or for a place in its graph |
| `ready` | waits for a slot |
| `running` | an attempt is being made, or tasks inside it run |
| `retrying` | an attempt failed, the next one has a time |
| `waiting` | waits for a time, a signal, a person, an event or a sub-run |
| `completed`, `failed`, `skipped`, `cancelled` | how it ended |
| `compensated` | completed, and undone since |

What makes each change is in [the semantics](semantics.md).
"
    )
}

/// Draws a diagram. What leaves an end does so only because somebody (or the next visit of a state)
/// wants it again.
fn diagram<'a>(
    transitions: impl Iterator<Item = (&'a str, &'a str, bool)>,
    ends: impl Iterator<Item = &'a str>,
) -> String {
    let mut text = String::from("```mermaid\nstateDiagram-v2\n  [*] --> pending\n");
    for (from, to, leaves_an_end) in transitions {
        let label = if leaves_an_end { ": again" } else { "" };
        writeln!(text, "  {from} --> {to}{label}").unwrap();
    }
    for end in ends {
        writeln!(text, "  {end} --> [*]").unwrap();
    }
    text.push_str("```\n");
    text
}
