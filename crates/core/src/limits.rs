//! Every limit of the engine, with its name. A limit is checked where the data enters, with an
//! error that says both numbers.

use serde::{Deserialize, Serialize};

/// Bytes of a definition's source.
pub const DEFINITION_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a definition's source when large definitions are allowed by a flag.
pub const LARGE_DEFINITION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Tasks of a definition, states and nested tasks counted.
pub const TASKS_MAX: usize = 10_000;
/// Tasks of a definition when large definitions are allowed by a flag.
pub const LARGE_TASKS_MAX: usize = 100_000;
/// Entries in all `needs` of a definition.
pub const EDGES_MAX: usize = 100_000;
/// Entries in all `needs` when large definitions are allowed by a flag.
pub const LARGE_EDGES_MAX: usize = 2_000_000;
/// Depth of nesting, in YAML, JSON and composites.
pub const DEPTH_MAX: usize = 64;
/// Characters of an id.
pub const ID_LEN_MAX: usize = 128;
/// Bytes of an expression's source.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;
/// Brackets inside brackets of an expression; the parser recurses for each.
pub const EXPRESSION_BRACKETS_MAX: usize = 48;
/// Height of an expression's syntax tree; all that walk it recurse.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Steps of one evaluation: nodes visited, items iterated, blocks of text scanned.
pub const EXPRESSION_STEPS_MAX: u64 = 500_000;
/// Bytes that one evaluation may produce, its result included.
pub const EXPRESSION_OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of a regular expression.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Bytes of a regular expression once compiled: `(a{1000}){1000}` is short and enormous.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Entries in `labels`.
pub const LABELS_MAX: usize = 64;
/// Times that a task may be tried.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// Times that an attempt of one task may be lost to a crash before the task fails.
pub const LOST_ATTEMPTS_MAX: u32 = 10;
/// Depth of sub-runs below a run.
pub const SUB_RUN_DEPTH_MAX: u32 = 16;
/// Signals that a run keeps before a task or transition consumes them.
pub const SIGNALS_MAX: usize = 2_000;
/// Tasks that one decision advances before it yields to other runs.
pub const ADVANCE_MAX: usize = 512;
/// Automatic transitions in a row, without a task, event or timer between them.
pub const AUTOMATIC_TRANSITIONS_MAX: u32 = 1_000;

/// Limits that a user may set in `surefoot.toml` under `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one value that enters the journal: an input, an output, a signal's payload.
    pub payload_bytes: usize,
    /// Bytes of all outputs that one run keeps.
    pub context_bytes: usize,
    /// Items of one `for_each`.
    pub fan_out: usize,
    /// Bytes of log text kept for one attempt; what is beyond is dropped and counted.
    pub log_bytes: usize,
    /// Attempts that this process runs at once.
    pub slots: usize,
    /// Runs kept in memory at once; idle ones are dropped and reloaded.
    pub resident_runs: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            payload_bytes: 1024 * 1024,
            context_bytes: 8 * 1024 * 1024,
            fan_out: 10_000,
            log_bytes: 1024 * 1024,
            slots: 256,
            resident_runs: 100_000,
        }
    }
}

impl Limits {
    /// Returns the first limit with which no run could ever go on.
    pub fn impossible(&self) -> Option<&'static str> {
        let at_least_one = [
            ("limits.payload_bytes", self.payload_bytes),
            ("limits.context_bytes", self.context_bytes),
            ("limits.slots", self.slots),
            ("limits.resident_runs", self.resident_runs),
        ];
        at_least_one.into_iter().find(|(_, it)| *it == 0).map(|(name, _)| name)
    }
}
