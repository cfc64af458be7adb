//! The definitions of a project: files that end in `.surefoot.yaml`, and what stands in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use surefoot::core::check::{CheckContext, CheckedDocument, check_source};
use surefoot::core::limits::{DEFINITION_BYTES_MAX, LARGE_DEFINITION_BYTES_MAX};
use surefoot::core::source::Problem;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input::{read, reason};

const ENDINGS: [&str; 3] = [".surefoot.yaml", ".surefoot.yml", ".surefoot.json"];
const TEST_ENDINGS: [&str; 2] = [".surefoot-test.yaml", ".surefoot-test.yml"];
/// Directories below which nothing is looked for.
const SKIPPED: [&str; 3] = ["node_modules", "target", "__pycache__"];
/// Files that one search finds.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;

/// One file and what was found in it.
pub struct Source {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub documents: Vec<CheckedDocument>,
}

impl Source {
    pub fn read(path: &Path, context: &CheckContext) -> Result<Source> {
        let limit = if context.large { LARGE_DEFINITION_BYTES_MAX } else { DEFINITION_BYTES_MAX };
        let length =
            std::fs::metadata(path).map_or(0, |it| if it.is_file() { it.len() } else { 0 });
        // A file far beyond the limit is not read to be told so.
        if length > 2 * limit as u64 {
            let message = format!("`{}` has {length} bytes; the limit is {limit}", path.display());
            let hint = if context.large {
                "Split it, and start its parts with `uses: workflow`."
            } else {
                "Allow it with --large, or split it with `uses: workflow`."
            };
            return Err(Failure::new(Exit::Rejected, "SF1002", message).hint(hint));
        }
        let bytes = read(path)?;
        let documents = check_source(&bytes, context);
        Ok(Source { path: path.to_owned(), bytes, documents })
    }

    /// Returns the text of each document, for definitions are kept one by one. A line that begins
    /// with `---` separates documents wherever it stands in YAML, and never occurs in JSON.
    pub fn texts(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut texts = vec![String::new()];
        for line in text.lines() {
            let is_separator =
                line.strip_prefix("---").is_some_and(|it| it.trim_start() != it || it.is_empty());
            if is_separator {
                texts.push(String::new());
            }
            if let Some(last) = texts.last_mut() {
                last.push_str(line);
                last.push('\n');
            }
        }
        let says_something = |it: &String| {
            it.lines().any(|it| !it.trim().is_empty() && !it.starts_with('#') && it.trim() != "---")
        };
        texts.retain(says_something);
        texts
    }

    /// Returns every problem by place, and what happens step by step where that is known.
    pub fn problems(&self) -> impl Iterator<Item = (&Problem, &[String])> {
        self.documents.iter().flat_map(|document| {
            let findings = document.proofs.iter().flat_map(|it| &it.findings);
            let traces: HashMap<_, &[String]> =
                findings.map(|it| (key(&it.problem), it.trace.as_slice())).collect();
            let trace = move |it: &Problem| traces.get(&key(it)).copied().unwrap_or_default();
            document.problems.iter().map(move |it| (it, trace(it)))
        })
    }

    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// What tells one problem of a file from another.
fn key(problem: &Problem) -> (&'static str, u32, &str) {
    (problem.code, problem.label.span.start, &problem.message)
}

/// Finds the definitions below a directory, in order of their names.
pub fn find(directory: &Path) -> Result<Vec<PathBuf>> {
    find_by_ending(directory, &ENDINGS)
}

/// Finds the files of test cases.
pub fn find_tests(directory: &Path) -> Result<Vec<PathBuf>> {
    find_by_ending(directory, &TEST_ENDINGS)
}

fn find_by_ending(directory: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| {
            let message = format!("`{}` cannot be read: {}", folder.display(), reason(&error));
            Failure::new(Exit::Usage, "SF5003", message).hint("Name the files to check.")
        })?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Links are not followed: they may lead in circles.
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            if is_folder
                && depth < DEPTH_MAX
                && !name.starts_with('.')
                && !SKIPPED.contains(&&*name)
            {
                open.push((entry.path(), depth + 1));
            } else if !is_folder && endings.iter().any(|it| name.ends_with(it)) {
                found.push(entry.path());
            }
        }
        if found.len() > FILES_MAX {
            let message = format!("there are more than {FILES_MAX} definitions below here");
            return Err(
                Failure::new(Exit::Usage, "SF5005", message).hint("Name the files to check.")
            );
        }
    }
    found.sort();
    Ok(found
        .into_iter()
        .map(|it| it.strip_prefix("./").map_or_else(|_| it.clone(), Path::to_owned))
        .collect())
}

/// Returns the only definition in the current directory, for commands that need one.
pub fn the_only_one() -> Result<PathBuf> {
    let mut here: Vec<PathBuf> = find(Path::new("."))?;
    here.retain(|it| it.components().count() == 1);
    match here.len() {
        1 => Ok(here.remove(0)),
        0 => Err(Failure::new(Exit::Usage, "SF5005", "no *.surefoot.yaml is here")
            .hint("Name a file, or start with `surefoot init`.")),
        _ => {
            let names: Vec<String> = here.iter().map(|it| it.display().to_string()).collect();
            Err(Failure::new(Exit::Usage, "SF5005", "several definitions are here")
                .hint(format!("Name one of {}.", names.join(", "))))
        }
    }
}
