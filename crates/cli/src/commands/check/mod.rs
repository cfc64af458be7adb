//! `surefoot check`: every problem of every file, and what is proved of the others.
//!
//! | file | writes |
//! |---|---|
//! | `machine` | JSON, and the workflow commands of GitHub Actions |
//! | `sarif` | SARIF, for code scanning |
//! | `prove` | every property with its verdict |
//! | `explain` | when one task runs, in words |
//! | `against` | where runs of an older version could go on |
//! | `counterexamples` | executions, to be replayed |
//! | `certificates` | proofs, to be checked by others |
//! | `tally` | the line at the end |

mod against;
mod certificates;
mod counterexamples;
mod explain;
mod machine;
mod prove;
mod sarif;
mod tally;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use surefoot::core::check::CheckContext;
use surefoot::core::verify::upgrade::Upgrade;

use super::{graph, nets};
use crate::arguments::{Check, Format, Report};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::problem;
use crate::project::{self, Source};
use crate::session::Session;
use tally::Tally;

/// Where the verifier's clock begins.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

pub fn check(session: &Session, arguments: &Check) -> Result<Exit> {
    let report = report(session, arguments)?;
    if !arguments.verify_certificate.is_empty() {
        return certificates::verify(session, arguments, report);
    }
    let files = if arguments.files.is_empty() { found()? } else { arguments.files.clone() };
    let context = context(session, arguments);
    let started = elapsed();
    let (mut tally, mut unread, mut collected) = (Tally::default(), None, Collected::default());
    for file in &files {
        match read(session, file, &context, &mut tally) {
            Ok(mut source) => {
                let upgrades = match &arguments.against {
                    Some(older) => against::compare(session, older, &mut source)?,
                    None => Vec::new(),
                };
                tally.add(&source);
                if let Some(directory) = &arguments.save_counterexamples {
                    counterexamples::save(session, directory, &source)?;
                }
                if let Some(directory) = &arguments.save_certificates {
                    certificates::save(session, directory, &source)?;
                }
                match report {
                    Report::Human => for_people(session, arguments, &source, &upgrades)?,
                    Report::Github => session.output.text(&machine::github(&source))?,
                    Report::Json => collected.add_json(arguments, &source),
                    Report::Sarif => collected.sarif.add(&source, arguments.prove),
                }
                collected.is_explained |= explain::find(arguments, &source).next().is_some();
                collected.tasks.extend(explain::paths(arguments, &source));
            }
            // The other files are still worth checking.
            Err(failure) => {
                failure.print(session.global.colour());
                unread = Some(worse(unread, failure.exit));
            }
        }
    }
    match report {
        Report::Json => session.output.value(&collected.json(files.len(), &tally), "")?,
        Report::Sarif => session.output.value(&collected.sarif.log(unread.is_none()), "")?,
        Report::Human | Report::Github if tally.files == 0 => {}
        Report::Human | Report::Github => {
            session.output.say(tally.summary(elapsed() - started));
        }
    }
    if tally.is_rejected(arguments) {
        return Ok(Exit::Rejected);
    }
    collected.missing_task(arguments)?;
    Ok(unread.unwrap_or(Exit::Ok))
}

/// What is written once all files were read.
#[derive(Default)]
struct Collected {
    problems: Vec<Value>,
    workflows: Vec<Value>,
    sarif: sarif::Log,
    is_explained: bool,
    /// Names that the one to explain may have been meant for.
    tasks: Vec<String>,
}

impl Collected {
    fn add_json(&mut self, arguments: &Check, source: &Source) {
        self.problems.extend(machine::problems(source));
        self.workflows.extend(machine::workflows(arguments, source));
    }

    fn json(&mut self, files: usize, tally: &Tally) -> Value {
        json!({
            "files": files, "errors": tally.errors, "warnings": tally.warnings,
            "proved": tally.proved, "refuted": tally.refuted, "unknown": tally.unknown,
            "problems": std::mem::take(&mut self.problems),
            "workflows": std::mem::take(&mut self.workflows),
        })
    }

    fn missing_task(&self, arguments: &Check) -> Result<()> {
        match &arguments.explain {
            Some(task) if !self.is_explained => Err(explain::missing(task, &self.tasks)),
            _ => Ok(()),
        }
    }
}

fn for_people(
    session: &Session,
    arguments: &Check,
    source: &Source,
    upgrades: &[Upgrade],
) -> Result<()> {
    let mut text = problem::draw(source, session.output.width);
    if let Some(picture) = arguments.graph {
        for document in &source.documents {
            text.push_str(&graph::found(session, document, picture));
        }
    }
    if arguments.prove {
        text.push_str(&prove::tables(source));
    }
    for upgrade in upgrades {
        text.push_str(&format!("{upgrade}\n"));
    }
    for found in explain::find(arguments, source) {
        text.push_str(&found.text());
    }
    session.output.text(&text)
}

fn report(session: &Session, arguments: &Check) -> Result<Report> {
    let is_json = matches!(session.output.format, Format::Json | Format::Jsonl | Format::Yaml);
    let report = match arguments.format {
        Report::Human if is_json => Report::Json,
        report => report,
    };
    let without = |option: &str| {
        let message = format!("--{option} has no place in this format");
        let hint = format!("Leave out --format, or run `surefoot check --{option}` beside it.");
        Err(Failure::new(Exit::Usage, "SF5001", message).hint(hint))
    };
    match report {
        Report::Json | Report::Sarif | Report::Github if arguments.graph.is_some() => {
            without("graph")
        }
        Report::Sarif | Report::Github if arguments.explain.is_some() => without("explain"),
        report => Ok(report),
    }
}

fn context(session: &Session, arguments: &Check) -> CheckContext {
    let databases = session.settings.engine.databases.keys().cloned().collect();
    CheckContext {
        large: arguments.large || session.settings.engine.allow_large,
        databases: Some(databases),
        clock: Some(elapsed),
        certify: arguments.save_certificates.is_some(),
        ..CheckContext::default()
    }
}

/// Writes a file into a directory that may not be there yet.
fn keep(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", path.display());
        Failure::new(Exit::Usage, "SF5053", message).hint("Name a directory that you may write.")
    })?;
    Ok(path)
}

fn elapsed() -> Duration {
    STARTED.elapsed()
}

/// Reads and checks a definition, or a file of another format.
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
