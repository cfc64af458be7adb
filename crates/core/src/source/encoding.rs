//! From bytes to text. Definitions are UTF-8, with or without a byte order mark.

use super::{Problem, Span};

/// Returns the text, byte order mark included, so that offsets are those of the file.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(not_text(0, "this file is UTF-16").help("save it as UTF-8"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let what = if is_utf16_without_mark(bytes) { "UTF-16" } else { "a binary file" };
        let message = format!("this looks like {what}: byte {at} is zero");
        return Err(not_text(at, message).help("definitions are UTF-8 text in YAML or JSON"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let message = format!("byte {at} (0x{:02X}) is not valid UTF-8", bytes[at]);
        not_text(at, message).help("save the file as UTF-8")
    })
}

/// In text of the Latin script every second byte is then zero.
fn is_utf16_without_mark(bytes: &[u8]) -> bool {
    matches!(bytes, [0, first, 0, second, ..] | [first, 0, second, 0, ..] if *first != 0 && *second != 0)
}

fn not_text(at: usize, message: impl Into<String>) -> Problem {
    Problem::error("SF1001", Span::new(at, at + 1), message)
}
