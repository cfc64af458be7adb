//! Choices as data: `data/guards/*.txt`. A case is a block of lines: `schema ROOT JSON`,
//! `guard EXPRESSION` and `default`, then exactly what is reported.

use std::collections::BTreeMap;
use std::fs;

use surefoot_core::verify::guard::{ChoiceReport, Witness};

use super::{Schemas, parse, report};

fn render(report: &ChoiceReport) -> Vec<String> {
    let maybe = |it: &Witness| if it.is_certain() { "" } else { "maybe " };
    let mut lines = Vec::new();
    lines.extend(report.gap.iter().map(|it| format!("{}gap: {it}", maybe(it))));
    for it in &report.overlaps {
        let kind = maybe(&it.witness);
        lines.push(format!("{kind}overlap {} {}: {}", it.first, it.second, it.witness));
    }
    for dead in &report.dead {
        let covers: Vec<String> = dead.covered_by.iter().map(ToString::to_string).collect();
        let by = if covers.is_empty() { "nothing".to_owned() } else { covers.join(" ") };
        lines.push(format!("dead {} by {by}", dead.guard));
    }
    lines.extend(report.always.iter().map(|it| format!("always {it}")));
    for it in &report.errors {
        let kind = maybe(&it.witness);
        let cause = it.cause.as_ref().map_or_else(String::new, ToString::to_string);
        lines.push(format!("{kind}error {}, {cause}: {}", it.guard, it.witness));
    }
    lines.extend(report.unknown.iter().map(ToString::to_string));
    if lines.is_empty() {
        lines.push("fine".to_owned());
    }
    lines
}

/// Returns the difference between what a case expects and what is found, if there is any.
fn check(case: &str) -> Option<String> {
    let mut schemas = BTreeMap::new();
    let mut guards = Vec::new();
    let mut expected = Vec::new();
    for line in case.lines().filter(|it| !it.starts_with('#')) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("schema", rest) => {
                let (root, schema) = rest.split_once(' ').unwrap();
                schemas.insert(root.to_owned(), serde_json::from_str(schema).unwrap());
            }
            ("guard", guard) => guards.push(Some(guard.to_owned())),
            ("default", "") => guards.push(None),
            _ => expected.push(line.to_owned()),
        }
    }
    let found = match report(&parse(&guards), &Schemas(schemas)) {
        Ok(report) => render(&report),
        Err(exceeded) => vec![format!("unknown: {exceeded}")],
    };
    (found != expected).then(|| format!("{case}\n-- but found\n{}", found.join("\n")))
}

#[test]
fn choices_are_reported_as_their_tables_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/guards");
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let cases = text.split("\n\n").filter(|it| it.contains("guard ") || it.contains("default"));
        for case in cases {
            count += 1;
            wrong.extend(check(case.trim()).map(|it| format!("{}\n{it}", path.display())));
        }
    }
    assert!(count >= 30, "only {count} cases were read");
    assert!(wrong.is_empty(), "{} of {count} differ\n\n{}", wrong.len(), wrong.join("\n\n"));
}
