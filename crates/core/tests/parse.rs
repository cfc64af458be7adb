//! Definitions in, definitions and problems out. The cases are files under `data/`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};

use surefoot_core::parse::{Parsed, parse_source};
use surefoot_core::source::{LineIndex, ReadOptions};

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

#[test]
fn good_definitions_have_no_problems() {
    for file in files("good") {
        let bytes = std::fs::read(&file).unwrap();
        let parsed = parse(&bytes);
        assert_eq!(render(&bytes, &parsed), "", "{}", file.display());
        assert!(!parsed.definitions.is_empty(), "{}", file.display());
    }
}
