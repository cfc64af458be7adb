//! Definitions and what the check says of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use surefoot_core::check::{CheckContext, CheckedDocument, check_source};

fn check(source: &str) -> CheckedDocument {
    check_source(source.as_bytes(), &CheckContext::default()).remove(0)
}
#[test]
fn the_examples_of_the_design_are_clean() {
    for source in [include_str!("data/check/order_processing.yaml"), include_str!("data/check/document_approval.yaml")] {
        let found = check(source);
        assert!(found.problems.is_empty(), "{:#?}", found.problems);
        assert!(found.plan.is_some());
    }
}
