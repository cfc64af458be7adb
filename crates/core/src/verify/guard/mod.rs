//! Decides questions about guards: is a choice complete, do two guards overlap, can one be true,
//! can one fail, and on which data.
//!
//! The values of each path are split into regions that no comparison in the guards can tell
//! further apart: each constant, what lies between two, what is missing, null or of a wrong type.
//! One value of each region stands for all of it, and the evaluator itself says what each part of
//! a guard comes to there, so that this procedure and a run cannot disagree. The questions are
//! then answered by walking over the combinations of regions.
//!
//! What comes out is exact for comparisons of paths with constants and with each other, `in`,
//! `has`, `default`, `size`, `startsWith`, bools and every combination of them. Any other part is
//! taken as true, false or failing as may be, and reported as [`Unknown`]. So what no data does
//! here, no data does in a run; a [`Witness`] that assumes something of such a part may not exist.
//! It is taken for granted that an evaluation keeps to its [`crate::expr::Budget`].
//!
//! ```
//! use surefoot_core::expr::Expr;
//! use surefoot_core::verify::guard::{Domain, Limits, choice};
//!
//! let small = Expr::parse("input.total < 100").unwrap();
//! let large = Expr::parse("input.total > 100").unwrap();
//! let report = choice(&[Some(&small), Some(&large)], &Domain::any(), &Limits::default()).unwrap();
//! assert_eq!(report.gap.unwrap().to_string(), "input.total = 100");
//! ```

mod candidate;
mod choice;
mod domain;
mod join;
mod leaf;
mod number;
mod number_places;
mod path;
mod region_text;
mod regions;
mod search;
mod skeleton;
mod table;
mod terms;
mod text_places;
mod unknown;
mod variables;
mod witness;

pub use choice::{ChoiceReport, Dead, GuardError, Overlap, choice};
pub use domain::{Domain, Domains};
pub use path::Path;
pub use regions::{Content, Partition, Region, Regions, Subject};
pub use search::{Literal, Outcome};
pub use table::Table;
pub use unknown::{Exceeded, Limit, Reason, Unknown};
pub use witness::{Cause, Witness};

/// Cells of one question.
pub const CELLS_MAX: usize = 100_000;
/// Parts of guards that one question looks at, each as often as it does.
pub const STEPS_MAX: usize = 2_000_000;
/// Paths that one cell says something about.
pub const CELL_PATHS_MAX: usize = 256;
/// Values of one path that are told apart, before those that no guard tells apart are joined.
pub const REGIONS_MAX: usize = 512;
/// Nodes of one guard that is looked into.
pub const NODES_MAX: usize = 10_000;
/// Paths that may be compared with each other, directly or not.
const SHARING_PATHS_MAX: usize = 4;
/// Combinations of values in one comparison.
const COMBINATIONS_MAX: usize = 32_768;
/// Evaluations for all guards that are split together.
const EVALUATIONS_MAX: usize = 2_000_000;
/// A size that data is built for to try it.
const LENGTH_MAX: usize = 1_000;
/// Items in all data that is built to try sizes.
const ITEMS_MAX: usize = 100_000;

/// What a question may cost. Beyond, the answer is that it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub cells: usize,
    pub steps: usize,
    /// Paths that one cell says something about.
    pub paths: usize,
    /// Values of one path that are told apart.
    pub regions: usize,
    /// Nodes of one guard.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            cells: CELLS_MAX,
            steps: STEPS_MAX,
            paths: CELL_PATHS_MAX,
            regions: REGIONS_MAX,
            nodes: NODES_MAX,
        }
    }
}
