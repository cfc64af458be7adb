//! What several test files share: chance from a seed, plans from text, an oracle that draws.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their settings")]

pub mod lab;
pub mod python;
pub mod random_definitions;
pub mod random_machines;
pub mod random_oracle;
pub mod table;

use std::sync::Arc;

use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::plan::Plan;

/// A sequence of draws that depends on its seed alone (SplitMix64, Steele et al., OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    /// True in `percent` of all cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Returns the plan of a definition that must pass the checks.
pub fn plan(source: &str) -> Arc<Plan> {
    try_plan(source).unwrap_or_else(|problems| panic!("{problems}\n{source}"))
}

/// Returns the plan of a definition, or what is wrong with it. It is not proved: definitions that
/// go wrong are executed here on purpose.
pub fn try_plan(source: &str) -> Result<Arc<Plan>, String> {
    let context = CheckContext { proved_before: true, ..CheckContext::default() };
    let mut documents = check_source(source.as_bytes(), &context);
    let document = documents.pop().unwrap();
    let errors = document.problems.iter().filter(|it| it.is_error());
    let errors: Vec<String> = errors.map(|it| format!("{}: {}", it.code, it.message)).collect();
    document.plan.ok_or_else(|| errors.join("\n"))
}

/// Returns how many random cases to try: `default` unless SUREFOOT_VERIFY_CASES says otherwise.
pub fn cases(default: u64) -> u64 {
    let wanted = std::env::var("SUREFOOT_VERIFY_CASES").ok();
    wanted.map_or(default, |it| it.parse().expect("SUREFOOT_VERIFY_CASES is a number"))
}
