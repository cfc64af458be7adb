//! What is wrong with a file: where, what, and how to mend it.

/// A problem in a file that was read. The codes have pages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Problem {
    /// Such as `SF1301`.
    pub code: &'static str,
    pub message: String,
    pub help: String,
    /// Both from 1.
    pub line: u32,
    pub column: u32,
}

/// Codes of problems, in one place. `crates/core/src/source/codes.rs` has their titles.
pub mod code {
    pub const BROKEN_XML: &str = "SF1301";
    pub const DTD: &str = "SF1302";
    pub const TOO_LARGE: &str = "SF1303";
    pub const WRONG_FORMAT: &str = "SF1304";
    pub const MISSING_ATTRIBUTE: &str = "SF1305";
    pub const DUPLICATE_ID: &str = "SF1306";
    pub const DANGLING_REFERENCE: &str = "SF1307";
    pub const UNSUPPORTED_NET: &str = "SF1308";
    pub const UNKNOWN_ELEMENT: &str = "SF1309";
    pub const UNDECIDED_ELEMENT: &str = "SF1310";
    pub const WRONG_ARC: &str = "SF1311";
    pub const NOTHING_TO_CHECK: &str = "SF1312";
    pub const NOT_STRUCTURED: &str = "SF1313";
    pub const CUT_OFF: &str = "SF1314";
}
