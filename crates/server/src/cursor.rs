//! Cursors: where the next part of a list starts. They are opaque to callers and bound to the list
//! that they came from, so one that was made up, cut or taken elsewhere is refused.

use axum::http::StatusCode;
use surefoot::RunId;

use crate::problem::Problem;

/// Letters of the check that follows the position.
const CHECK_LEN: usize = 12;

/// Makes the cursor of a list (its path and filter) that goes on after a run.
pub(crate) fn write(list: &str, after: RunId) -> String {
    let position = after.to_string();
    let check = check(list, &position);
    format!("{position}{check}")
}

/// Reads a cursor of a list.
pub(crate) fn read(list: &str, cursor: &str) -> Result<RunId, Problem> {
    let at = cursor.len().saturating_sub(CHECK_LEN);
    let parts = cursor.is_ascii().then(|| cursor.split_at(at));
    let run = parts.and_then(|(position, given)| {
        (check(list, position) == given).then(|| position.parse().ok()).flatten()
    });
    run.ok_or_else(foreign)
}

/// Refuses a cursor that this list has not given.
pub(crate) fn foreign() -> Problem {
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
