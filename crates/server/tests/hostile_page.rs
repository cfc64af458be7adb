//! The page about hostile input names tests; here it is checked that they exist.

#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the page and the tests are files")]

use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/explanation/hostile-input.md");
/// Tests that the page names at least.
const NAMED_MIN: usize = 90;

/// Returns what stands in backquotes and looks like `crate/file::test`.
fn named() -> Vec<(&'static str, &'static str, &'static str)> {
    let quoted = PAGE.split('`').skip(1).step_by(2);
    let split = |it: &'static str| {
        let (file, test) = it.split_once("::")?;
        let (package, file) = file.split_once('/')?;
        Some((package, file, test))
    };
    quoted.filter_map(split).filter(|it| it.2 != "test").collect()
}

fn files(package: &str, file: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(package);
    let places = ["tests", "src"].map(|it| root.join(it).join(file));
    let files = places
        .iter()
        .flat_map(|it| [it.with_extension("rs"), it.join("mod.rs"), it.join("main.rs")]);
    files.filter(|it| it.is_file()).collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let named = named();
    assert!(named.len() >= NAMED_MIN, "{} tests are named", named.len());
    let mut missing = Vec::new();
    for (package, file, test) in named {
        let exists = files(package, file).iter().any(|it| {
            let text = std::fs::read_to_string(it).unwrap();
            text.contains(&format!("fn {test}(")) || text.contains(&format!("    {test}: "))
        });
        if !exists {
            missing.push(format!("{package}/{file}::{test}"));
        }
    }
    assert!(missing.is_empty(), "the page names tests that are not there: {missing:#?}");
}

#[test]
fn forty_advisories_are_held_by_a_test() {
    let advisories = PAGE
        .lines()
        .filter(|it| ["| CVE-", "| GHSA-", "| RUSTSEC-"].iter().any(|begin| it.starts_with(begin)));
    assert!(advisories.count() >= 40);
}
