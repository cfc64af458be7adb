//! What documents say of the repository must be so.

use std::path::{Component, Path, PathBuf};

use surefoot_core::check::{CheckContext, check_source};

use crate::report;
use crate::repository::{File, files, root};

/// Folders whose names in a document's code marks are paths of the repository.
const FOLDERS: &[&str] = &["crates/", "docs/", "xtask/", "examples/", "bench/", "schema/", ".ci/"];

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files(&["md"]) {
        for target in links(&file.text) {
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            let path = target.split('#').next().unwrap_or_default();
            if !is_elsewhere && !path.is_empty() && !resolve(file, path).exists() {
                findings.push(format!("{}: {target}", file.path));
            }
        }
    }
    report("a link leads nowhere", findings);
}

/// Pages that name paths of the repository in code marks.
const MAPS: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/"];

#[test]
fn named_paths_exist() {
    let mut findings = Vec::new();
    let is_map = |file: &&&File| MAPS.iter().any(|it| file.path.starts_with(it));
    for file in files(&["md"]).iter().filter(is_map) {
        for name in file.text.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|it| name.starts_with(it));
            let is_pattern = name.contains(['*', '<', ' ', '{', 'N']);
            if is_path && !is_pattern && !root().join(name).exists() {
                findings.push(format!("{}: `{name}`", file.path));
            }
        }
    }
    report("a document names a path that does not exist", findings);
}

/// A whole definition in a document is accepted by the check, without so much as a warning.
#[test]
fn definitions_in_documents_are_accepted() {
    let mut findings = Vec::new();
    let is_page = |file: &&&File| !file.path.starts_with("docs/errors/");
    let mut seen = 0;
    for file in files(&["md"]).iter().filter(is_page) {
        for block in file.text.split("```yaml\n").skip(1) {
            let source = block.split("\n```").next().unwrap_or_default();
            // Others are parts of a definition.
            if !source.starts_with("id: ") {
                continue;
            }
            seen += 1;
            for document in check_source(source.as_bytes(), &CheckContext::default()) {
                findings.extend(document.problems.iter().map(|problem| {
                    format!("{}: [{}] {}", file.path, problem.code, problem.message)
                }));
            }
        }
    }
    assert!(seen > 0, "no definition was found");
    report("a definition in a document has problems", findings);
}

#[test]
fn every_error_page_can_be_found() {
    let sources = files(&["rs"]);
    let pages = files(&["md"]).into_iter().filter(|it| it.path.starts_with("docs/errors/SF"));
    let lost = pages.filter(|page| !sources.iter().any(|it| it.text.contains(&*page.path)));
    let findings = lost.map(|it| it.path.clone()).collect();
    report("a page is registered nowhere, so `surefoot help` does not know it", findings);
}

#[test]
fn what_every_reader_looks_for_is_there() {
    let wanted = ["LICENSE", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let missing = wanted.into_iter().filter(|it| !root().join(it).is_file());
    report("a file is missing", missing.map(str::to_owned).collect());
}

/// Returns the targets of Markdown links, outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        // Odd pieces stand in code marks.
        for prose in line.split('`').step_by(2) {
            let ends = prose.match_indices("](").map(|(at, _)| &prose[at + 2..]);
            targets.extend(ends.filter_map(|it| Some(it.split_once(')')?.0)));
        }
    }
    targets
}

/// Returns where a link of a file leads, without `..`.
fn resolve(file: &File, target: &str) -> PathBuf {
    let folder = Path::new(&file.path).parent().unwrap();
    let mut path = root();
    for part in folder.join(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path
}
