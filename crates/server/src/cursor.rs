//! Cursors: where the next part of a list starts. They are opaque to callers and bound to the list
//! that they came from, so one that was made up, cut or taken elsewhere is refused.

use axum::http::StatusCode;
use surefoot::RunId;

use crate::problem::Problem;

/// Letters of the check that follows the position.
const CHECK_LEN: usize = 12;

/// Makes the cursor of a list (its path and filter) that goes on after a run.
pub(crate) fn write(list: &str, after: RunId) -> String {
    write_text(list, &after.to_string())
}

/// Makes the cursor of a list that goes on after a key.
pub(crate) fn write_text(list: &str, after: &str) -> String {
    let check = check(list, after);
    format!("{after}{check}")
}

/// Reads a cursor of a list of runs.
pub(crate) fn read(list: &str, cursor: &str) -> Result<RunId, Problem> {
    read_text(list, cursor)?.parse().map_err(|_| foreign())
}

/// Reads a cursor of a list by key.
pub(crate) fn read_text(list: &str, cursor: &str) -> Result<String, Problem> {
    let at = cursor.len().saturating_sub(CHECK_LEN);
    let parts = cursor.is_ascii().then(|| cursor.split_at(at));
    let position = parts.filter(|(position, given)| check(list, position) == *given);
    position.map(|(position, _)| position.to_owned()).ok_or_else(foreign)
}

/// Refuses a cursor that this list has not given.
fn foreign() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "SF4008", "the cursor is not one of this list")
        .hint("Send `next_cursor` of the answer before, with the same filter.")
}

/// Not a secret: a cursor says nothing that its holder may not see, for every part of a list is
/// filtered by who asks.
fn check(list: &str, position: &str) -> String {
    let hash = blake3::hash(format!("{list}\n{position}").as_bytes());
    hash.to_hex()[..CHECK_LEN].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_list_alone() {
        let run = RunId::new(1_700_000_000_000, 7);
        let cursor = write("runs?status=failed", run);
        assert_eq!(read("runs?status=failed", &cursor).ok(), Some(run));
        for (list, cursor) in [
            ("runs?status=running", cursor.as_str()),
            ("runs?status=failed", &cursor[1..]),
            ("runs?status=failed", &cursor[..20]),
            ("runs?status=failed", ""),
            ("runs?status=failed", "é"),
        ] {
            assert!(read(list, cursor).is_err(), "{list} {cursor}");
        }
    }
}
