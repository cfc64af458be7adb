//! Instants as they are on the wire: RFC 3339, UTC, milliseconds.

use surefoot::core::time::Millis;

/// Writes an instant.
pub(crate) fn text(at: Millis) -> String {
    let instant = i64::try_from(at).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    instant.map_or_else(|| at.to_string(), |it| format!("{it:.3}"))
}

/// Reads an instant; nothing if it is not one after 1970.
pub(crate) fn read(text: &str) -> Option<Millis> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Millis::try_from(instant.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_it_was_written() {
        let at = 1_795_312_800_123;
        assert_eq!(text(at), "2026-11-22T02:00:00.123Z");
        assert_eq!(read(&text(at)), Some(at));
        assert_eq!(read("1969-12-31T23:59:59Z"), None);
        assert_eq!(read("tomorrow"), None);
    }
}
