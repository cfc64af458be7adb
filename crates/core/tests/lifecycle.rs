//! The life of runs and tasks, looked at exhaustively: small plans, and in every state that they
//! can reach every command that anybody can give. Every change of a status is in the tables, every
//! entry of the tables is made, ends are final, verbs are idempotent, and nothing is ever stuck.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the diagram is a file")]

mod support;

use std::collections::{BTreeSet, HashMap, VecDeque};

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
        "{id: p, initial: one, states: {one: {on: {go: two}, after: {1h: three}}, two: {uses: w, next: one, on: {failed: three, stop: three}}, three: {final: true}}}",
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
    ("time_limit", 9, "{id: p, timeout: 5s, tasks: {g: {timeout: 3s, tasks: {a: {uses: w}}}}}"),
    ("no_variables", 9, "{id: p, vars: {x: '${{ input.missing }}'}, tasks: {a: {uses: w}}}"),
];

/// Entries of the tables that no command can make, and why they stand there all the same.
const RUN_NOT_TAKEN: &[(RunStatus, RunStatus, &str)] = &[];
const TASK_NOT_TAKEN: &[(TaskStatus, TaskStatus, &str)] = &[];

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
    let mut beyond: Vec<(usize, Lab)> = Vec::new();
    let mut open = VecDeque::from([(0, start)]);
    while let Some((at, mut lab)) = open.pop_front() {
        if lab.status().is_terminal() {
            ends.push(at);
        }
        if found.states >= states_max {
            beyond.push((at, lab));
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
            before[place].push(at);
        }
    }
    found.beyond = beyond.len();
    check_nothing_is_stuck(name, &before, ends, beyond);
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
        // The task goes back to the start, where it is already.
        Command::Rewind { .. } => {
            assert_eq!(again.print(), after.print(), "twice: {}", told());
        }
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
        | Command::Skip { .. }
        | Command::SetResult { .. } => {
            assert_eq!(again.state().tasks, after.state().tasks, "twice: {}", told());
            assert_eq!(again.status(), after.status(), "twice: {}", told());
        }
    }
}

/// From every state that was looked at, an end can be reached; from those beyond the bound it is
/// reached by going on.
fn check_nothing_is_stuck(
    name: &str,
    before: &[Vec<usize>],
    ends: Vec<usize>,
    beyond: Vec<(usize, Lab)>,
) {
    let mut ending = vec![false; before.len()];
    let mut open = ends;
    for (at, mut lab) in beyond {
        let begin = lab.to_string();
        assert!(lab.go_on(), "{name}: stuck after\n{begin}\nat\n{lab}");
        open.push(at);
    }
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut ending[at], true) {
            open.extend(&before[at]);
        }
    }
    let stuck = ending.iter().filter(|it| !**it).count();
    assert_eq!(stuck, 0, "{name}: {stuck} states from which no end can be reached");
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
    check_coverage(&run, RUN_TRANSITIONS, RUN_NOT_TAKEN, &RunStatus::ALL);
    check_coverage(&task, TASK_TRANSITIONS, TASK_NOT_TAKEN, &TaskStatus::ALL);
}

/// Every entry of the table was made or has its reason; every status was reached.
fn check_coverage<S: Copy + Ord + std::fmt::Debug>(
    made: &BTreeSet<(S, S)>,
    table: &[(S, S)],
    not_taken: &[(S, S, &str)],
    all: &[S],
) {
    let excused: BTreeSet<(S, S)> = not_taken.iter().map(|it| (it.0, it.1)).collect();
    let missing: Vec<_> =
        table.iter().filter(|it| !made.contains(it) && !excused.contains(it)).collect();
    assert!(missing.is_empty(), "never made: {missing:?}");
    let stale: Vec<_> = excused.intersection(made).collect();
    assert!(stale.is_empty(), "made, though excused: {stale:?}");
    let reached: BTreeSet<S> = made.iter().flat_map(|it| [it.0, it.1]).collect();
    assert_eq!(reached.len(), all.len(), "reached: {reached:?}");
}
