//! What an evaluation may cost. Every node, item and produced byte is charged, so that no
//! expression can occupy a thread or the memory, whoever wrote it.

use std::cell::Cell;

use super::error::{EvalError, EvalErrorKind, Fault, Limit};
use crate::limits::{EXPRESSION_OUTPUT_BYTES_MAX, EXPRESSION_STEPS_MAX};

/// Limits of one evaluation. Exceeding one is an error that no operator absorbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub steps: u64,
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { steps: EXPRESSION_STEPS_MAX, bytes: EXPRESSION_OUTPUT_BYTES_MAX }
    }
}

/// Bytes of text that are scanned for the price of one step.
const SCAN_BYTES_PER_STEP: usize = 64;

/// What is left of a budget.
#[derive(Debug)]
pub struct Meter {
    budget: Budget,
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Meter {
    pub fn new(budget: &Budget) -> Meter {
        Meter { budget: *budget, steps: Cell::new(budget.steps), bytes: Cell::new(budget.bytes) }
    }

    pub(super) fn step(&self) -> Result<(), Fault> {
        self.steps(1)
    }

    pub(super) fn steps(&self, count: usize) -> Result<(), Fault> {
        match self.steps.get().checked_sub(count as u64) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(self.exceeded(Limit::Steps)),
        }
    }

    /// Charges for reading `bytes` of text.
    pub(super) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        self.steps(bytes / SCAN_BYTES_PER_STEP)
    }

    /// Charges for `bytes` of memory, before they are taken.
    pub(super) fn produce(&self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => Err(self.exceeded(Limit::Bytes)),
        }
    }

    #[cold]
    fn exceeded(&self, which: Limit) -> Fault {
        // What is left must not serve a smaller request: the evaluation is over.
        self.steps.set(0);
        self.bytes.set(0);
        let limit = match which {
            Limit::Steps => self.budget.steps,
            Limit::Bytes => self.budget.bytes,
        };
        EvalError::fault(
            EvalErrorKind::BudgetExceeded { which },
            format!("the expression needs more than its budget of {limit} {which}"),
        )
    }
}
