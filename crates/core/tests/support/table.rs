//! Tables of cases as text files: a title, a definition and what is to be said of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Checks each case of a file below `tests/data`. Set `UPDATE_EXPECTED=1` to write what is found
/// now into the file, then read the difference.
#[track_caller]
pub fn check(file: &str, describe: impl Fn(&str) -> String) {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let cases = std::fs::read_to_string(&path).unwrap();
    let mut found = String::new();
    for case in cases.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let (source, _) = rest.split_once("---\n").unwrap();
        let text = describe(source);
        write!(found, "=== {title}\n{source}---\n{text}\n").unwrap();
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return std::fs::write(&path, &found).unwrap();
    }
    for (found, expected) in found.split("=== ").zip(cases.split("=== ")) {
        assert_eq!(found, expected, "{file}; UPDATE_EXPECTED=1 takes the new text over");
    }
}

/// Returns the YAML and JSON files in a folder and those within.
pub fn definitions_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(definitions_below(&path));
        } else if path.extension().is_some_and(|it| it == "yaml" || it == "json") {
            found.push(path);
        }
    }
    found
}
