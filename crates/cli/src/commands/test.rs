//! `surefoot test`: cases of definitions on a virtual clock, and under faults.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use surefoot::core::check::CheckContext;
use surefoot::core::source::{Problem, ReadOptions, read};
use surefoot::testkit::{Mock, TestError, TestKit, TestOutcome};

use super::test_file::{Case, Steps, TestFile};
use crate::arguments::Test;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::style;
use crate::output::time::took;
use crate::project::{Source, find_tests};
use crate::session::{Session, wait};

/// What became of one case.
struct Verdict {
    file: String,
    name: String,
    /// What was not as expected, a sentence each.
    faults: Vec<String>,
    /// Crashes that the case survived.
    plays: u64,
    took: Duration,
}

pub fn test(session: &Session, arguments: &Test) -> Result<Exit> {
    let files = if arguments.files.is_empty() {
        find_tests(Path::new("."))?
    } else {
        arguments.files.clone()
    };
    if files.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "SF5005",
            "no *.surefoot-test.yaml is here or below",
        )
        .hint("`surefoot init` writes one beside each workflow."));
    }
    let mut verdicts = Vec::new();
    for file in &files {
        for verdict in wait(cases_of(session, file, arguments))? {
            session.output.say(line(&verdict));
            verdicts.push(verdict);
        }
    }
    if let Some(path) = &arguments.junit {
        write_junit(path, &verdicts)?;
    }
    let failed = verdicts.iter().filter(|it| !it.faults.is_empty()).count();
    if !session.output.is_for_people() {
        let list: Vec<_> = verdicts.iter().map(|it| (it.name.clone(), json_of(it))).collect();
        session.output.list(&list)?;
    }
    session.output.say(format!("{} passed, {failed} failed", verdicts.len() - failed));
    Ok(if failed > 0 { Exit::Failed } else { Exit::Ok })
}

async fn cases_of(session: &Session, path: &Path, arguments: &Test) -> Result<Vec<Verdict>> {
    let file = load(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let context = CheckContext { large: true, ..CheckContext::default() };
    let source = Source::read(&folder.join(&file.workflow), &context)?;
    super::graph::reject_errors(session, &source)?;
    let mut verdicts = Vec::new();
    for case in &file.cases {
        let wanted = arguments.filter.as_ref().is_none_or(|it| case.name.contains(it.as_str()));
        if wanted {
            verdicts.push(try_out(&path.display().to_string(), &source, case, arguments).await?);
        }
    }
    Ok(verdicts)
}

fn load(path: &Path) -> Result<TestFile> {
    let bytes = crate::input::read(path)?;
    let wrong = |what: String| {
        Failure::new(Exit::Usage, "SF5048", format!("{}: {what}", path.display()))
            .hint("A test file has `workflow` and `cases`; explain it with `surefoot help SF5048`.")
    };
    let reading = read(&bytes, &ReadOptions::default());
    if let Some(problem) = reading.problems.iter().find(|it: &&Problem| it.is_error()) {
        let lines = surefoot::core::source::LineIndex::new(&bytes);
        let (line, column) = lines.position(problem.label.span.start);
        return Err(wrong(format!("{line}:{column}: [{}] {}", problem.code, problem.message)));
    }
    let document =
        reading.documents.first().ok_or_else(|| wrong("the file is empty".to_owned()))?;
    serde_json::from_value(document.to_value()).map_err(|error| wrong(error.to_string()))
}

async fn try_out(file: &str, source: &Source, case: &Case, arguments: &Test) -> Result<Verdict> {
    let started = Instant::now();
    let mut kit = kit(source, case)?;
    if let Some(input) = &case.input {
        kit = kit.input(input.clone());
    }
    let mut verdict = Verdict {
        file: file.to_owned(),
        name: case.name.clone(),
        faults: Vec::new(),
        plays: 0,
        took: Duration::ZERO,
    };
    match kit.run().await {
        Ok(outcome) => verdict.faults = differences(case, &outcome),
        Err(error) => verdict.faults.push(error.to_string()),
    }
    if arguments.crash_everywhere && verdict.faults.is_empty() {
        match kit.crash_everywhere().await {
            Ok(report) => verdict.plays = report.plays,
            Err(TestError::Violations(all)) => {
                verdict.faults.extend(all.iter().map(ToString::to_string))
            }
            Err(error) => verdict.faults.push(error.to_string()),
        }
    }
    verdict.took = started.elapsed();
    Ok(verdict)
}

fn kit(source: &Source, case: &Case) -> Result<TestKit> {
    let texts = source.texts();
    let (tested, others) = texts.split_first().ok_or_else(|| {
        Failure::new(Exit::Usage, "SF5048", format!("`{}` has no workflow", source.name()))
            .hint("Name the definition under `workflow`.")
    })?;
    let mut kit = others.iter().fold(TestKit::new(tested), |kit, it| kit.with_workflow(it));
    for (task, mock) in &case.mocks {
        let mock = mock.answers().map(Mock::sequence).map_err(|reason| {
            Failure::new(
                Exit::Usage,
                "SF5048",
                format!("case `{}`, mock `{task}`: {reason}", case.name),
            )
            .hint("A mock is `output: JSON`, `error: {type, message}` or `sequence: [...]`.")
        })?;
        kit = kit.mock(task, mock);
    }
    let Steps { signals, votes } = case.steps().map_err(|reason| {
        Failure::new(Exit::Usage, "SF5048", format!("case `{}`: {reason}", case.name))
            .hint("Times are durations after the start, such as `at: 30s`.")
    })?;
    let kit = signals.into_iter().fold(kit, |kit, (at, name, data)| kit.signal(at, &name, data));
    Ok(votes.into_iter().fold(kit, |kit, (at, actor, command)| kit.at(at, &actor, command)))
}

/// Compares what happened with what was expected.
fn differences(case: &Case, outcome: &TestOutcome) -> Vec<String> {
    let mut faults = Vec::new();
    let expected = &case.expect;
    if let Some(status) = &expected.status
        && status != outcome.status.name()
    {
        let why = outcome
            .error
            .as_ref()
            .map_or_else(String::new, |it| format!(" ({})", it.error.message));
        faults.push(format!("the run should be {status} and is {}{why}", outcome.status));
    }
    if let Some(output) = &expected.output
        && let Some(place) = missing(output, &outcome.output, "output")
    {
        faults.push(place);
    }
    for (path, status) in &expected.tasks {
        match outcome.tasks.get(path) {
            Some(task) if task.status.name() == status => {}
            Some(task) => {
                faults.push(format!("task `{path}` should be {status} and is {}", task.status))
            }
            None => faults.push(format!("task `{path}` should be {status} and was never reached")),
        }
    }
    for (path, attempts) in &expected.attempts {
        let made = outcome.tasks.get(path).map_or(0, |it| it.attempts);
        if made != *attempts {
            faults.push(format!("task `{path}` should have {attempts} attempts and has {made}"));
        }
    }
    if !expected.refused {
        faults.extend(outcome.refused.iter().map(|it| format!("a step was refused: {it}")));
    }
    faults
}

/// Returns the first place where `actual` lacks something of `expected`. Objects may have more.
fn missing(expected: &Value, actual: &Value, place: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(key, value)| {
            missing(value, found.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"))
        }),
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => None,
        _ if expected == actual => None,
        _ => Some(format!("{place} should be {expected} and is {actual}")),
    }
}

fn line(verdict: &Verdict) -> String {
    let mut text = match verdict.faults.is_empty() {
        true => style::paint(style::task(surefoot::TaskStatus::Completed), "✓ passed"),
        false => style::paint(style::ERROR, "✗ failed"),
    };
    let _ = write!(
        text,
        "  {}: {}  {}",
        verdict.file,
        verdict.name,
        took(verdict.took.as_millis() as u64)
    );
    if verdict.plays > 0 {
        let _ = write!(text, "  survived {} crashes", verdict.plays);
    }
    verdict.faults.iter().for_each(|it| text.push_str(&format!("\n    {it}")));
    text
}

fn json_of(verdict: &Verdict) -> Value {
    json!({"file": verdict.file, "name": verdict.name, "passed": verdict.faults.is_empty(),
        "faults": verdict.faults, "plays": verdict.plays, "took_ms": verdict.took.as_millis() as u64})
}

/// The report that continuous integration reads.
fn write_junit(path: &Path, verdicts: &[Verdict]) -> Result<()> {
    let failed = verdicts.iter().filter(|it| !it.faults.is_empty()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"surefoot\" tests=\"{}\" failures=\"{failed}\">\n",
        verdicts.len()
    );
    for it in verdicts {
        let (file, name, seconds) = (xml(&it.file), xml(&it.name), it.took.as_secs_f64());
        let _ =
            write!(text, "  <testcase classname=\"{file}\" name=\"{name}\" time=\"{seconds:.3}\">");
        if !it.faults.is_empty() {
            let _ = write!(text, "<failure>{}</failure>", xml(&it.faults.join("\n")));
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite>\n");
    std::fs::write(path, text).map_err(|error| {
        Failure::new(
            Exit::Usage,
            "SF5053",
            format!("`{}` cannot be written: {error}", path.display()),
        )
        .hint("Check the directory.")
    })
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
