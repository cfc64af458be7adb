//! Who may depend on what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::report;
use crate::repository::{metadata, root};

/// Packages that must not be in what a crate ships, however deep.
const NEVER_BELOW: &[(&str, &[&str])] = &[
    // Pure: no runtime, no randomness of its own, no log, no network.
    (
        "surefoot-core",
        &["tokio", "async-trait", "futures-util", "rand", "tracing", "reqwest", "rusqlite", "clap"],
    ),
    (
        "surefoot-net",
        &["tokio", "rand", "tracing", "reqwest", "rusqlite", "clap", "surefoot-core", "surefoot"],
    ),
    ("surefoot-store", &["reqwest", "tokio-postgres", "clap", "axum"]),
    // Light: for workers and programs that talk to a server.
    (
        "surefoot-client",
        &["surefoot-core", "surefoot-store", "surefoot", "rusqlite", "axum", "clap"],
    ),
    // Embedded in programs that have a server, a command line and a log of their own.
    ("surefoot", &["axum", "clap", "tracing-subscriber", "anstream", "comfy-table"]),
];

/// Packages that only one crate may name.
const ONLY_IN: &[(&str, &str)] = &[
    ("clap", "surefoot-cli"),
    ("clap_complete", "surefoot-cli"),
    ("anstream", "surefoot-cli"),
    ("anstyle", "surefoot-cli"),
    ("annotate-snippets", "surefoot-cli"),
    ("comfy-table", "surefoot-cli"),
    ("tracing-subscriber", "surefoot-cli"),
    ("axum", "surefoot-server"),
    ("notify", "surefoot-cli"),
    ("boon", "surefoot-core"),
    ("granit-parser", "surefoot-core"),
    ("roxmltree", "surefoot-net"),
];

/// Names that say nothing about what a crate is for.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "types", "helpers", "shared", "misc"];

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// The packages of this workspace.
fn members() -> Vec<&'static Value> {
    let ids: BTreeSet<&str> =
        array(metadata(), "workspace_members").iter().filter_map(Value::as_str).collect();
    array(metadata(), "packages").iter().filter(|it| ids.contains(text(it, "id"))).collect()
}

/// Names of all packages that a crate ships with.
fn shipped_with(name: &str) -> BTreeSet<&'static str> {
    let names: BTreeMap<&str, &str> =
        array(metadata(), "packages").iter().map(|it| (text(it, "id"), text(it, "name"))).collect();
    let nodes: BTreeMap<&str, &Value> =
        array(&metadata()["resolve"], "nodes").iter().map(|it| (text(it, "id"), it)).collect();
    let start = members().into_iter().find(|it| text(it, "name") == name).map(|it| text(it, "id"));
    let mut seen = BTreeSet::new();
    let mut left: Vec<&str> = start.into_iter().collect();
    while let Some(id) = left.pop() {
        let dependencies = nodes.get(id).map_or(&[][..], |node| array(node, "deps"));
        // A kind that is null is a normal dependency; the others are of tests and builds.
        let normal = dependencies
            .iter()
            .filter(|it| array(it, "dep_kinds").iter().any(|it| it["kind"].is_null()));
        left.extend(normal.map(|it| text(it, "pkg")).filter(|it| seen.insert(*it)));
    }
    seen.into_iter().map(|id| names[id]).collect()
}

#[test]
fn no_crate_ships_with_what_it_must_not_know() {
    let mut findings = Vec::new();
    for (name, never) in NEVER_BELOW {
        let shipped = shipped_with(name);
        assert!(!shipped.is_empty(), "{name} is not in the workspace");
        let found = never.iter().filter(|it| shipped.contains(**it));
        findings.extend(found.map(|it| format!("{name} ships with {it}")));
    }
    report("a crate depends on what DESIGN says it must never import", findings);
}

#[test]
fn some_packages_belong_to_one_crate() {
    let mut findings = Vec::new();
    for member in members() {
        for dependency in array(member, "dependencies").iter().filter(|it| it["kind"].is_null()) {
            let (name, used) = (text(member, "name"), text(dependency, "name"));
            let owner = ONLY_IN.iter().find(|(it, _)| *it == used).map(|it| it.1);
            if owner.is_some_and(|it| it != name) {
                findings.push(format!("{name} uses {used}, which belongs to {}", owner.unwrap()));
            }
        }
    }
    report("a package is used by a crate that must do without", findings);
}

#[test]
fn definitions_hash_alike_everywhere() {
    let nodes = array(&metadata()["resolve"], "nodes");
    let json = nodes.iter().filter(|it| text(it, "id").contains("serde_json"));
    let ordered = json.filter(|it| array(it, "features").iter().any(|it| it == "preserve_order"));
    let findings = ordered.map(|it| text(it, "id").to_owned()).collect();
    report("content hashes rely on sorted maps: switch `preserve_order` off", findings);
}

#[test]
fn every_crate_inherits_from_the_workspace() {
    let mut findings = Vec::new();
    for member in members() {
        let manifest = fs::read_to_string(text(member, "manifest_path")).unwrap();
        let name = text(member, "name");
        for line in ["version", "edition", "rust-version", "license", "publish"] {
            let wanted = format!("\n{line}.workspace = true\n");
            if !manifest.contains(&wanted) {
                findings.push(format!("{name} does not say `{}`", wanted.trim()));
            }
        }
        if !manifest.contains("\n[lints]\nworkspace = true\n") {
            findings.push(format!("{name} does not inherit the lints"));
        }
        if text(member, "description").is_empty() {
            findings.push(format!("{name} has no description"));
        }
        if name.split('-').any(|it| EMPTY_NAMES.contains(&it)) {
            findings.push(format!("{name}: the name does not say what the crate is for"));
        }
    }
    report("a crate goes its own way", findings);
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let lines = manifest.lines().skip_while(|it| *it != "[workspace.dependencies]").skip(1);
    let mut findings = Vec::new();
    for line in lines.take_while(|it| !it.starts_with('[')) {
        let Some((name, rest)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if rest.contains("path = ") {
            continue;
        }
        if !rest.contains(" # ") {
            findings.push(format!("Cargo.toml: {name} has no comment"));
        }
        if !page.contains(&format!("`{name}`")) {
            findings.push(format!("docs/dependencies.md does not mention `{name}`"));
        }
    }
    report("a dependency does not say why it is here", findings);
}
