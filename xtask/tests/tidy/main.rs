//! The project's rules, as tests: what the compiler and clippy cannot know. Each test names every
//! place that breaks its rule, so that one edit mends them all.

#![expect(clippy::unwrap_used, reason = "tests")]

mod dependencies;
mod documents;
mod repository;
mod sources;

/// Fails with every finding, or passes if there is none.
#[track_caller]
fn report(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}
