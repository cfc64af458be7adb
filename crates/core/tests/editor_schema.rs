//! The published schema: it is the one that the code builds, it takes what the parser takes, and
//! it refuses what a schema can refuse.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::path::{Path, PathBuf};

use surefoot_core::editor_schema::editor_schema;
use surefoot_core::schema::Schema;
use surefoot_core::source::{ReadOptions, read};

/// What only the parser can tell: times, expressions, places, other keys' values, warnings.
const BEYOND_A_SCHEMA: &[&str] =
    &["at", "confusable_ids", "cron", "expressions", "secrets", "sql_interpolation"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_published_file_is_the_one_that_the_code_builds() {
    let file = folder("../../schema/surefoot.schema.json");
    let built = format!("{:#}\n", editor_schema());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &built).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap();
    assert!(published == built, "run this test with UPDATE=1 to write {}", file.display());
}

/// Validates each readable document of a folder, and hands over the file's name and the outcome.
fn each(name: &str, mut told: impl FnMut(&str, Result<(), String>)) {
    let schema = Schema::compile(&editor_schema()).unwrap();
    for entry in std::fs::read_dir(folder("tests/data").join(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "txt" {
            continue;
        }
        let reading = read(&std::fs::read(&path).unwrap(), &ReadOptions::default());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if !reading.problems.is_empty() {
            continue;
        }
        let results = reading.documents.iter().map(|it| schema.check(&it.to_value()));
        let outcome = results.collect::<Result<(), _>>().map_err(|it| format!("{it:#?}"));
        told(stem, outcome);
    }
}

#[test]
fn good_definitions_are_accepted() {
    each("good", |name, outcome| assert_eq!(outcome, Ok(()), "{name}"));
}

#[test]
fn broken_definitions_are_refused() {
    each("broken", |name, outcome| {
        if !BEYOND_A_SCHEMA.contains(&name) {
            assert!(outcome.is_err(), "{name} is accepted");
        }
    });
}
