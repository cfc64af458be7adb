//! Definitions in, definitions and problems out. The cases are files under `data/`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use surefoot_core::definition::{Composite, Definition, Trigger, Work};
use surefoot_core::limits::{DEFINITION_BYTES_MAX, TASKS_MAX};
use surefoot_core::parse::{self, Parsed, parse_source};
use surefoot_core::source::{LineIndex, Node, ReadOptions};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

fn parse(bytes: &[u8]) -> Parsed {
    parse_source(bytes, &ReadOptions::default())
}

/// Writes the problems of a source, one a line.
fn render(bytes: &[u8], parsed: &Parsed) -> String {
    let lines = LineIndex::new(bytes);
    let line = |it: &surefoot_core::source::Problem| {
        let (line, column) = lines.position(it.label.span.start);
        let help = it.help.as_deref().unwrap_or("");
        format!("{} {line}:{column} {} | {help}\n", it.code, it.message)
    };
    parsed.problems.iter().map(line).collect()
}

/// Beside each broken source stands what is to be said about it. `UPDATE=1` writes it anew, for
/// a person to read and to judge.
#[test]
fn broken_definitions_have_all_their_problems_told() {
    let is_update = std::env::var_os("UPDATE").is_some();
    for file in files("broken").iter().filter(|it| it.extension().unwrap() != "txt") {
        let bytes = std::fs::read(file).unwrap();
        let found = render(&bytes, &parse(&bytes));
        let sidecar = file.with_extension("txt");
        if is_update {
            std::fs::write(&sidecar, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&sidecar).unwrap();
        assert_eq!(found, expected, "{}", file.display());
        assert!(!found.is_empty(), "{} is not broken", file.display());
    }
}

#[test]
fn good_definitions_have_no_problems() {
    for file in files("good") {
        let bytes = std::fs::read(&file).unwrap();
        let parsed = parse(&bytes);
        assert_eq!(render(&bytes, &parsed), "", "{}", file.display());
        assert!(!parsed.definitions.is_empty(), "{}", file.display());
    }
}

/// Reads a definition that must be without problems.
fn definition(text: &str) -> Definition {
    let mut parsed = parse(text.as_bytes());
    assert_eq!(render(text.as_bytes(), &parsed), "", "{text}");
    parsed.definitions.remove(0)
}

#[test]
fn short_forms_mean_the_same_as_long_forms() {
    let pairs = [
        ("tasks: {a: {uses: x, timeout: 5s}}", "tasks: {a: {uses: x, timeout: {run: 5s}}}"),
        ("tasks: {a: {uses: x, retry: 4}}", "tasks: {a: {uses: x, retry: {max_attempts: 4}}}"),
        (
            "tasks: {a: {uses: x}, b: {uses: x, needs: a}}",
            "tasks: {a: {uses: x}, b: {uses: x, needs: [a]}}",
        ),
        ("tasks: {a: {uses: x}}\nconcurrency: 2", "tasks: {a: {uses: x}}\nconcurrency: {limit: 2}"),
        (
            "tasks: {a: {uses: x}}\ntriggers: {every: 5s}",
            "tasks: {a: {uses: x}}\ntriggers: [{every: 5s}]",
        ),
        (
            "tasks: {a: {uses: x}}\ntriggers: {webhook: {path: h, secret: k}}",
            "tasks: {a: {uses: x}}\ntriggers: [{webhook: {path: h, secret: [k]}}]",
        ),
        (
            "tasks: {a: {uses: x}}\nretention: 5d",
            "tasks: {a: {uses: x}}\nretention: {completed: 5d, failed: 5d}",
        ),
        (
            "initial: a\nstates: {a: {next: b}, b: {final: true}}",
            "initial: a\nstates: {a: {next: [{to: b}]}, b: {final: true}}",
        ),
        (
            "initial: a\nstates: {a: {on: {e: b}}, b: {final: true}}",
            "initial: a\nstates: {a: {on: {e: [{to: b}]}}, b: {final: true}}",
        ),
    ];
    for (short, long) in pairs {
        let read = |body: &str| without_places(&definition(&format!("id: x\n{body}\n")));
        assert_eq!(read(short), read(long), "{short}");
    }
}

/// Writes a definition without its spans.
fn without_places(definition: &Definition) -> String {
    let text = format!("{definition:?}");
    let spans = regex::Regex::new(r"Span \{ start: \d+, end: \d+ \}").unwrap();
    spans.replace_all(&text, "_").into_owned()
}

#[test]
fn a_definition_built_in_code_goes_the_same_way() {
    let text = std::fs::read(
        files("good").iter().find(|it| it.ends_with("order_processing.yaml")).unwrap(),
    )
    .unwrap();
    let read = parse(&text);
    let value = surefoot_core::source::read(&text, &ReadOptions::default()).documents[0].to_value();
    let (built, problems) = parse::parse(&Node::from_value(&value), &ReadOptions::default());
    assert_eq!(problems, []);
    let ids = |it: &Definition| match &it.body {
        Composite::Graph(graph) => {
            let mut ids: Vec<_> = graph.tasks.iter().map(|it| it.id.value.clone()).collect();
            ids.sort();
            ids
        }
        Composite::Machine(_) => panic!("a graph"),
    };
    assert_eq!(ids(&built.unwrap()), ids(&read.definitions[0]));
}

#[test]
fn places_of_expressions_are_places_in_the_file() {
    let text =
        "id: a\ntasks:\n  é: {uses: x}\n  one:\n    uses: x\n    if: ${{  input.total > 1 }}\n";
    let parsed = parse(text.as_bytes());
    let Composite::Graph(graph) = &parsed.definitions[0].body else { panic!("a graph") };
    let condition = graph.tasks[1].condition.as_ref().unwrap();
    let start = condition.text_start.unwrap() as usize;
    assert!(text[start..].starts_with("input.total"), "{}", &text[start..]);
    let Work::Uses { kind, .. } = &graph.tasks[1].work else { panic!("a kind") };
    assert_eq!(&text[kind.span.start as usize..kind.span.end as usize], "x");
}

#[test]
fn strings_that_other_readers_take_for_something_else_stay_strings() {
    let text = "id: a\nlabels: {country: NO, time: 12:30:00, code: 010, on: off}\ntasks: {on: {uses: x}}\n";
    let labels = definition(text).labels;
    let found: Vec<(&str, &str)> =
        labels.iter().map(|(name, it)| (name.as_str(), it.as_str())).collect();
    assert_eq!(found, [("code", "010"), ("country", "NO"), ("on", "off"), ("time", "12:30:00")]);
}

#[test]
fn a_local_time_that_is_skipped_or_repeated_has_a_known_instant() {
    let at = |local: &str| {
        let text = format!(
            "id: a\ntriggers: {{at: {local}, timezone: America/New_York}}\ntasks: {{a: {{uses: x}}}}\n"
        );
        let parsed = parse(text.as_bytes());
        assert_eq!(parsed.problems.iter().map(|it| it.code).collect::<Vec<_>>(), ["SF1039"]);
        let Trigger::At { instant, .. } = &parsed.definitions[0].triggers[0].value else {
            panic!("at")
        };
        instant.value
    };
    assert_eq!(at("2027-03-14T02:30"), 1_805_009_400_000, "moved forward, to 03:30 -04:00");
    assert_eq!(at("2026-11-01T01:30"), 1_793_511_000_000, "the first, at -04:00");
}

/// Checks that a hostile text has exactly this problem; none of them may take long.
fn refused(bytes: &[u8], code: &str, message: &str) {
    let parsed = parse(bytes);
    let told = render(bytes, &parsed);
    assert_eq!(parsed.problems.len(), 1, "{told}");
    assert!(told.starts_with(code) && told.contains(message), "{told}");
}

#[test]
fn limits_hold_at_the_limit_and_refuse_one_beyond() {
    let padded = |length: usize| {
        let mut text = "id: a\ntasks: {a: {uses: x}}\n#".to_owned();
        text.push_str(&"x".repeat(length - text.len()));
        text
    };
    assert_eq!(parse(padded(DEFINITION_BYTES_MAX).as_bytes()).problems, []);
    refused(
        padded(DEFINITION_BYTES_MAX + 1).as_bytes(),
        "SF1002",
        "1048577 bytes; the limit is 1048576",
    );
    refused(&vec![b' '; 100 * 1024 * 1024], "SF1002", "104857600 bytes");

    let tasks = |count: usize| {
        let mut text = "id: a\ntasks:\n".to_owned();
        (0..count).for_each(|at| writeln!(text, "  t{at}: {{uses: x}}").unwrap());
        text
    };
    assert_eq!(parse(tasks(TASKS_MAX).as_bytes()).problems, []);
    refused(tasks(TASKS_MAX + 1).as_bytes(), "SF1042", "10000");
    assert_eq!(
        parse_source(tasks(TASKS_MAX + 1).as_bytes(), &ReadOptions { large: true }).problems,
        []
    );
}

#[test]
fn hostile_nesting_and_aliases_are_refused() {
    refused("[".repeat(100_000).as_bytes(), "SF1003", "64");
    refused(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes(), "SF1003", "64");
    let blocks: String =
        (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 300))).collect();
    assert!(!parse(blocks.as_bytes()).problems.is_empty());
    let steps: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(steps.as_bytes(), "SF1003", "64");
    let many = format!("a: &a x\nb: [{}]\n", vec!["*a"; 200_000].join(","));
    refused(many.as_bytes(), "SF1008", "100 aliases");
    refused(b"a: &a [*a]\n", "SF1008", "inside of what it refers to");
}

#[test]
fn a_source_full_of_problems_is_told_in_bounded_time() {
    let documents = "---\na: [\n".repeat(50_000);
    assert_eq!(parse(documents.as_bytes()).problems.len(), 1_000);
    let mut keys = "id: a\n".to_owned();
    (0..50_000).for_each(|at| writeln!(keys, "key_{at}: 1").unwrap());
    assert_eq!(parse(keys.as_bytes()).problems.len(), 1_000);
}

/// The good definitions, for mutation.
static SEEDS: LazyLock<Vec<String>> =
    LazyLock::new(|| files("good").iter().map(|it| std::fs::read_to_string(it).unwrap()).collect());

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = render(&bytes, &parse(&bytes));
    }

    #[test]
    fn any_text_of_yaml_signs_is_read_or_refused(text in "[ \\t\\n:,\\[\\]{}&*!|>'\"%@`#?$~a0.é-]{0,120}") {
        let _ = render(text.as_bytes(), &parse(text.as_bytes()));
    }

    /// Places of problems lie inside of the source, at the borders of characters.
    #[test]
    fn mutated_definitions_are_read_or_refused(
        which in any::<proptest::sample::Index>(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..20, "[ -~\\n\\té😀]{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = which.get(&SEEDS).chars().collect();
        for (at, length, with) in edits {
            let start = at.index(text.len().max(1)).min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        let parsed = parse(text.as_bytes());
        let _ = render(text.as_bytes(), &parsed);
        for problem in &parsed.problems {
            let span = problem.label.span;
            prop_assert!(text.get(span.start as usize..span.end as usize).is_some(), "{problem:?}\n{text}");
        }
    }
}
