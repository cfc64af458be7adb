//! The decision procedure of guards: tables of choices, random choices against brute force and
//! against an SMT solver, and input that is meant to exhaust it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code reports and panics")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the cases are files, and the solver is a process"
)]

mod brute_force;
mod limits;
mod random;
mod solver;
mod tables;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use surefoot_core::expr::Expr;
use surefoot_core::verify::guard::{ChoiceReport, Domain, Domains, Exceeded, Limits, Path, choice};

/// Schemas by root; any other root is some object.
struct Schemas(BTreeMap<String, Value>);

impl Domains for Schemas {
    fn domain(&self, path: &Path) -> Domain {
        match self.0.get(&path.root) {
            Some(schema) => Domain::at(schema, &path.segments),
            None => Domain::at(&json!({"type": "object"}), &path.segments),
        }
    }
}

/// Parses guards; None is a default.
fn parse(guards: &[Option<String>]) -> Vec<Option<Expr>> {
    let parse = |it: &String| Expr::parse(it).unwrap_or_else(|error| panic!("{it}: {error}"));
    guards.iter().map(|it| it.as_ref().map(parse)).collect()
}

fn report(guards: &[Option<Expr>], domains: &dyn Domains) -> Result<ChoiceReport, Exceeded> {
    let guards: Vec<Option<&Expr>> = guards.iter().map(Option::as_ref).collect();
    choice(&guards, domains, &Limits::default())
}

/// How many random choices a test tries: 3,000, or what `SUREFOOT_VERIFY_CASES` says.
fn cases() -> u64 {
    let wanted = std::env::var("SUREFOOT_VERIFY_CASES").ok();
    wanted.map_or(3_000, |it| it.parse().expect("SUREFOOT_VERIFY_CASES is a number"))
}

/// The seed of this run: `SUREFOOT_VERIFY_SEED`, or one that changes.
fn seed() -> u64 {
    let wanted = std::env::var("SUREFOOT_VERIFY_SEED").ok();
    wanted.map_or_else(
        || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.unwrap().as_nanos() as u64
        },
        |it| it.parse().expect("SUREFOOT_VERIFY_SEED is a number"),
    )
}
