//! `--prove`: every property with its verdict, and what that rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use surefoot::core::check::CheckedDocument;
use surefoot::core::verify::{Proof, Proofs, Property, Verdict};

use super::explain::word;
use crate::output::style;
use crate::project::Source;

/// Subjects of one property that are listed one by one.
const LISTED_MAX: usize = 20;
/// Columns of a property's title.
const TITLE_WIDTH: usize = 46;
/// What stands below a row begins here.
const INDENT: &str = "                   ";

pub fn tables(source: &Source) -> String {
    let name = source.name();
    source.documents.iter().filter_map(|it| table(&name, it)).collect()
}

fn table(file: &str, document: &CheckedDocument) -> Option<String> {
    let definition = document.definition.as_ref()?;
    let title = format!("{} {}", definition.id.value, definition.version.value);
    let mut out = format!("{} ({file})\n", style::paint(style::HEADING, title));
    let Some(proofs) = document.proofs.as_deref() else {
        out.push_str("  nothing is proved before the errors are mended\n\n");
        return Some(out);
    };
    let mut by_property: BTreeMap<Property, Vec<&Proof>> = BTreeMap::new();
    for proof in &proofs.proofs {
        by_property.entry(proof.property).or_default().push(proof);
    }
    for property in Property::all() {
        let all = by_property.get(&property).map_or(&[][..], Vec::as_slice);
        out.push_str(&row(property, all));
        out.push_str(&below(proofs, all));
    }
    out.push_str(&basis(proofs));
    Some(out + "\n")
}

fn row(property: Property, proofs: &[&Proof]) -> String {
    let rank = |it: &&&Proof| match it.verdict {
        Verdict::Proved { .. } => 0,
        Verdict::Unknown { .. } => 1,
        Verdict::Refuted { .. } => 2,
    };
    let (code, title) = (property.code(), property.title());
    let Some(worst) = proofs.iter().max_by_key(rank) else {
        return style::paint(
            style::SOFT,
            format!("  -        {code}  {title:<TITLE_WIDTH$}  nothing to ask"),
        ) + "\n";
    };
    let proved = proofs.iter().filter(|it| matches!(it.verdict, Verdict::Proved { .. })).count();
    let share = match proofs {
        [proof] if proof.subject.is_empty() => String::new(),
        _ => format!("{proved} of {}", proofs.len()),
    };
    format!("  {}  {code}  {title:<TITLE_WIDTH$}  {share}", word(&worst.verdict))
        .trim_end()
        .to_owned()
        + "\n"
}

/// What is not proved, and the bounds that were found.
fn below(proofs: &Proofs, all: &[&Proof]) -> String {
    let lines: Vec<String> = all.iter().filter_map(|it| detail(proofs, it)).collect();
    let mut out = String::new();
    for line in lines.iter().take(LISTED_MAX) {
        let _ = writeln!(out, "{INDENT}{line}");
    }
    if lines.len() > LISTED_MAX {
        let _ = writeln!(out, "{INDENT}and {} more", lines.len() - LISTED_MAX);
    }
    out
}

fn detail(proofs: &Proofs, proof: &Proof) -> Option<String> {
    let text = match &proof.verdict {
        Verdict::Proved { bound, .. } => bound.as_ref()?,
        Verdict::Unknown { reason } => reason,
        // What is wrong names whom it is about.
        Verdict::Refuted { finding } => {
            return Some(proofs.findings.get(*finding)?.problem.message.clone());
        }
    };
    Some(match proof.subject.split_once(" | ") {
        None if proof.subject.is_empty() => text.clone(),
        None => format!("`{}`: {text}", proof.subject),
        Some((a, b)) => format!("`{a}` and `{b}`: {text}"),
    })
}

/// What the proofs take for granted, and how long they took.
fn basis(proofs: &Proofs) -> String {
    let mut assumed = BTreeSet::new();
    for proof in &proofs.proofs {
        if let Verdict::Proved { assuming, .. } = &proof.verdict {
            assumed.extend(assuming);
        }
    }
    let mut out = String::new();
    if !assumed.is_empty() {
        out.push_str("  assuming that\n");
    }
    for assumption in assumed {
        let _ = writeln!(out, "    {assumption}");
    }
    let times: Vec<String> = proofs
        .stages
        .iter()
        .map(|it| format!("{} {:.1} ms", it.name, it.took.as_secs_f64() * 1e3))
        .collect();
    if !times.is_empty() {
        let times = format!("  took {}", times.join(", "));
        let _ = writeln!(out, "{}", style::paint(style::SOFT, times));
    }
    out
}
