//! Random choices against an SMT solver: `xtask/oracles/guards_z3.py`, which needs Python and the
//! package `z3-solver`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use surefoot_core::verify::guard::ChoiceReport;

use super::random::{Dice, Guard, Vocabulary};
use super::{Schemas, cases, parse, report, seed};

/// The solver is slow, so it is asked about some of the choices; all of them in `.ci/run`.
const SHARE: u64 = 10;
/// Choices that it is asked about at most.
const CASES_MAX: u64 = 1_000;

fn script() -> String {
    format!("{}/../../xtask/oracles/guards_z3.py", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a Python that has the solver: `SUREFOOT_PYTHON`, or the one of the system.
fn python() -> Option<String> {
    let python = std::env::var("SUREFOOT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import z3"]).stderr(Stdio::null()).status();
    found.is_ok_and(|it| it.success()).then_some(python)
}

fn must_run() -> bool {
    std::env::var_os("SUREFOOT_REQUIRE_ALL").is_some()
}

/// Says that a test could not run here, so that nobody takes silence for success.
fn skipped(why: &str) {
    assert!(
        !must_run(),
        "SUREFOOT_REQUIRE_ALL is set, but guards cannot be compared with a solver: {why}"
    );
    eprintln!("SKIPPED: guards are not compared with a solver: {why}");
}

fn field(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!({"type": "number"}),
        json!({"type": "number", "minimum": 0, "exclusiveMaximum": 3}),
        json!({"type": "integer"}),
        json!({"type": "integer", "minimum": 1, "maximum": 3}),
        json!({"type": "string"}),
        json!({"type": "boolean"}),
    ])
}

fn schema(dice: &mut Dice) -> Value {
    let mut required = vec!["a", "b", "c"];
    required.retain(|_| dice.one_in(2));
    let properties = json!({"a": field(dice), "b": field(dice), "c": field(dice)});
    json!({"type": "object", "properties": properties, "required": required})
}

fn draw(dice: &mut Dice) -> (Value, Vec<Guard>) {
    let values = dice.pick(&[
        vec![json!(0), json!(1), json!(2), json!(3)],
        vec![json!(1), json!(2), json!(1.5), json!(2.5)],
        vec![json!("a"), json!("ab"), json!("b")],
        vec![json!(1), json!(2), json!("a"), json!(true)],
    ]);
    let paths = vec!["input.a", "input.b", "input.c"];
    let vocabulary =
        Vocabulary { paths, values, sizes: false, pairs: dice.one_in(2), strict: true };
    let schema = schema(dice);
    let guards = (0..=dice.below(3)).map(|_| vocabulary.guard(dice, 2)).collect();
    (schema, guards)
}

/// What is said of a choice, as the solver says it: does it exist?
fn answers(report: &ChoiceReport, count: usize) -> Value {
    let overlap =
        |first, second| report.overlaps.iter().any(|it| (it.first, it.second) == (first, second));
    let pairs = (0..count).flat_map(|second| (0..second).map(move |first| (first, second)));
    json!({
        "gap": report.gap.is_some(),
        "taken": (0..count).map(|at| report.dead.iter().all(|it| it.guard != at)).collect::<Vec<_>>(),
        "errors": (0..count).map(|at| report.errors.iter().any(|it| it.guard == at)).collect::<Vec<_>>(),
        "overlaps": pairs.map(|(first, second)| overlap(first, second)).collect::<Vec<_>>(),
    })
}

#[test]
fn reports_agree_with_a_solver() {
    let Some(python) = python() else { return skipped("python3 with z3-solver is not there") };
    let seed = seed();
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let mut process = Command::new(python)
        .arg(script())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut questions = 0;
    let mut time = Duration::ZERO;
    let share = if must_run() { 1 } else { SHARE };
    let count = (cases() / share).min(CASES_MAX);
    for number in 0..count {
        let (schema, guards) = draw(&mut dice);
        let sources: Vec<Option<String>> = guards.iter().map(|it| Some(it.source())).collect();
        let domains = Schemas([("input".to_owned(), schema.clone())].into());
        let parsed = parse(&sources);
        let start = Instant::now();
        let report = report(&parsed, &domains).unwrap();
        time += start.elapsed();
        assert!(report.unknown.is_empty(), "seed {seed}: {:?}", report.unknown);
        let trees: Vec<Value> = guards.iter().map(Guard::to_json).collect();
        writeln!(input, "{}", json!({"schema": schema, "guards": trees})).unwrap();
        input.flush().unwrap();
        let solved: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let found = answers(&report, guards.len());
        assert_eq!(found, solved, "seed {seed}, case {number}: {schema} {sources:#?}");
        questions += 1 + 2 * guards.len() + guards.len() * (guards.len() - 1) / 2;
    }
    drop(input);
    assert!(process.wait().unwrap().success());
    let each = time / u32::try_from(count.max(1)).unwrap();
    eprintln!("{count} choices, {questions} questions, no disagreement; {each:?} a choice");
}
