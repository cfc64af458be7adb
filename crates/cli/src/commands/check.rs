//! `surefoot check`: every problem of every file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use surefoot::core::check::CheckContext;
use surefoot::core::source::{LineIndex, Problem, Severity};

use super::{graph, nets};
use crate::arguments::{Check, Format, Report};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{problem, style};
use crate::project::{self, Source};
use crate::session::Session;

pub fn check(session: &Session, arguments: &Check) -> Result<Exit> {
    let started = Instant::now();
    let files = if arguments.files.is_empty() { found()? } else { arguments.files.clone() };
    let databases = session.settings.engine.databases.keys().cloned().collect();
    let context = CheckContext {
        large: arguments.large || session.settings.engine.allow_large,
        databases: Some(databases),
        ..CheckContext::default()
    };
    let is_json = matches!(session.output.format, Format::Json | Format::Jsonl | Format::Yaml);
    let report = if is_json { Report::Json } else { arguments.format };
    let (mut tally, mut unread, mut found) = (Tally::default(), None, Vec::new());
    for file in &files {
        match read(session, file, &context, &mut tally) {
            Ok(source) => {
                tally.add(&source);
                match report {
                    Report::Json => found.extend(json_of(&source)),
                    Report::Human => human(session, &source)?,
                    Report::Github => github(session, &source)?,
                }
                if let Some(picture) = arguments.graph {
                    for plan in source.documents.iter().filter_map(|it| it.plan.as_ref()) {
                        session.output.text(&graph::picture(session, plan, picture))?;
                    }
                }
            }
            // The other files are still worth checking.
            Err(failure) => {
                failure.print(session.global.colour());
                unread = Some(worse(unread, failure.exit));
            }
        }
    }
    if report == Report::Json {
        session.output.value(
            &json!({"files": files.len(), "errors": tally.errors,
            "warnings": tally.warnings, "problems": found}),
            "",
        )?;
    } else {
        session.output.say(tally.summary(files.len(), started));
    }
    let is_rejected = tally.errors > 0 || (arguments.strict && tally.warnings > 0);
    Ok(if is_rejected { Exit::Rejected } else { unread.unwrap_or(Exit::Ok) })
}

/// Reads and checks a file of either sort.
fn read(
    session: &Session,
    file: &Path,
    context: &CheckContext,
    tally: &mut Tally,
) -> Result<Source> {
    if !nets::is_net(file) {
        return Source::read(file, context);
    }
    let checked = nets::check(file)?;
    tally.workflows += checked.proved.len();
    checked.proved.iter().for_each(|it| session.output.say(format!("proved: {it}")));
    Ok(checked.source)
}

fn found() -> Result<Vec<PathBuf>> {
    let files = project::find(Path::new("."))?;
    if files.is_empty() {
        return Err(Failure::new(Exit::Usage, "SF5005", "no *.surefoot.yaml is here or below")
            .hint("Name a file, or start with `surefoot init`."));
    }
    Ok(files)
}

fn worse(before: Option<Exit>, now: Exit) -> Exit {
    match before {
        Some(Exit::Rejected) => Exit::Rejected,
        _ => now,
    }
}

#[derive(Default)]
struct Tally {
    workflows: usize,
    errors: usize,
    warnings: usize,
}

impl Tally {
    fn add(&mut self, source: &Source) {
        self.workflows += source.documents.iter().filter(|it| it.definition.is_some()).count();
        let count = |severity| problems(source).filter(|it| it.severity == severity).count();
        self.errors += count(Severity::Error);
        self.warnings += count(Severity::Warning);
    }

    fn summary(&self, files: usize, started: Instant) -> String {
        let ms = started.elapsed().as_millis();
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let (errors, warnings) = (count(self.errors, "error"), count(self.warnings, "warning"));
        let sum = if self.errors > 0 {
            style::paint(style::ERROR, format!("{errors}, {warnings}"))
        } else if self.warnings > 0 {
            style::paint(style::WARNING, format!("{errors}, {warnings}"))
        } else {
            format!("{} in {} in order", count(self.workflows, "workflow"), count(files, "file"))
        };
        format!("{sum} in {ms} ms")
    }
}

pub fn problems(source: &Source) -> impl Iterator<Item = &Problem> {
    source.documents.iter().flat_map(|it| &it.problems)
}

fn human(session: &Session, source: &Source) -> Result<()> {
    let all: Vec<Problem> = problems(source).cloned().collect();
    let text = problem::draw(&all, &source.bytes, &source.name(), session.output.width);
    session.output.text(&text)
}

fn json_of(source: &Source) -> Vec<Value> {
    let lines = LineIndex::new(&source.bytes);
    problems(source).map(|it| it.to_json(&lines, &source.name())).collect()
}

/// The workflow commands of GitHub Actions.
fn github(session: &Session, source: &Source) -> Result<()> {
    let lines = LineIndex::new(&source.bytes);
    let mut out = session.output.out();
    for problem in problems(source) {
        let word = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let (line, column) = lines.position(problem.label.span.start);
        let help = problem.help.as_deref().map_or_else(String::new, |it| format!(" ({it})"));
        let message = escaped(&format!("{}{help}", problem.message));
        let file = escaped(&source.name()).replace(':', "%3A").replace(',', "%2C");
        writeln!(
            out,
            "::{word} file={file},line={line},col={column},title={}::{message}",
            problem.code
        )?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
