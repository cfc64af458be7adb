//! What people read comes from others too: inputs, logs, errors, names. None of it may move the
//! cursor, change the terminal, or look like a line that it is not.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use tracing_subscriber::fmt::MakeWriter;

/// Returns a text that takes one line and changes nothing but its cells: what would do more is
/// written as an escape.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful, |it| it.escape_default().to_string())
}

/// As [`line()`], of a text that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful_in_lines, |it| it.escape_default().to_string())
}

/// Returns JSON, or our own YAML, that says the same: what a terminal would do something with is
/// inside of strings, and has an escape there.
pub fn json(text: &str) -> Cow<'_, str> {
    // None of what is harmful is beyond four digits.
    escaped(text, is_harmful_in_lines, |it| format!("\\u{:04x}", u32::from(it)))
}

fn escaped(
    text: &str,
    is_harmful: impl Fn(char) -> bool,
    escape: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for it in text.chars() {
        match is_harmful(it) {
            true => safe.push_str(&escape(it)),
            false => safe.push(it),
        }
    }
    Cow::Owned(safe)
}

fn is_harmful_in_lines(it: char) -> bool {
    is_harmful(it) && it != '\n'
}

/// Whether a terminal would do something else than show it. The last ones turn the direction of
/// what is read.
pub fn is_harmful(it: char) -> bool {
    let turns =
        matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (it.is_control() && it != '\t') || turns || matches!(it, '\u{2028}' | '\u{2029}')
}

/// Writes each event of the library's own log as one line, whatever is in it, to standard error.
pub struct OneLine<W>(pub W);

impl<'a, W, T: io::Write> MakeWriter<'a> for OneLine<W>
where
    W: Fn() -> T,
{
    type Writer = OneLine<T>;

    fn make_writer(&'a self) -> OneLine<T> {
        OneLine((self.0)())
    }
}

impl<W: io::Write> io::Write for OneLine<W> {
    /// An event comes as one piece, with a newline behind it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        self.0.write_all(coloured(text).as_bytes())?;
        self.0.write_all(b"\n")?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// As [`line()`], of a text that may have colours: those of the log itself, since the log escapes
/// what others would bring.
fn coloured(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_harmful) {
        safe.push_str(&rest[..at]);
        rest = &rest[at..];
        let colour = colour_len(rest);
        if colour > 0 {
            safe.push_str(&rest[..colour]);
            rest = &rest[colour..];
        } else if let Some(it) = rest.chars().next() {
            let _ = write!(safe, "{}", it.escape_default());
            rest = &rest[it.len_utf8()..];
        }
    }
    safe + rest
}

/// Returns how long the sequence is that a text begins with, if it only chooses a colour.
fn colour_len(text: &str) -> usize {
    let Some(after) = text.strip_prefix("\x1b[") else { return 0 };
    let numbers = after.bytes().take_while(|it| it.is_ascii_digit() || *it == b';').count();
    if after.as_bytes().get(numbers) == Some(&b'm') { "\x1b[".len() + numbers + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::{Arc, Mutex};

    use super::*;

    const HOSTILE: &str =
        "a\r\n2026-01-01T00:00:00Z ERROR forged\x1b[2J\x1b]0;t\x07\u{9b}31m\u{202e}b";

    #[test]
    fn what_is_harmless_stays_and_the_rest_becomes_visible() {
        assert_eq!(line("Grüße 你好 \t🙂"), "Grüße 你好 \t🙂");
        assert_eq!(line("a\nb"), "a\\nb");
        assert_eq!(lines("a\nb\x1b"), "a\nb\\u{1b}");
        assert!(!line(HOSTILE).contains(is_harmful), "{}", line(HOSTILE));
        let value = serde_json::json!({"a": [HOSTILE, "\u{7f}"]});
        let text = format!("{value:#}");
        let safe = json(&text);
        assert!(!safe.replace('\n', "").contains(is_harmful), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    /// What the log writes about a text of somebody else.
    fn logged(is_coloured: bool) -> String {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(is_coloured)
            .with_writer(OneLine(move || writer.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(reason = HOSTILE, "as a field");
            tracing::warn!(reason = %HOSTILE, "as it is shown");
            tracing::warn!("in the message: {HOSTILE}");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_of_the_log_is_one_line_whatever_is_in_it() {
        for is_coloured in [false, true] {
            let text = logged(is_coloured);
            let plain = anstream::adapter::strip_str(&text).to_string();
            let events: Vec<&str> = plain.lines().collect();
            assert_eq!(events.len(), 3, "{text:?}");
            for event in events {
                assert!(event.contains("WARN") && !event.starts_with("2026-01-01"), "{event:?}");
                assert!(!event.contains(is_harmful), "{event:?}");
            }
            // Nothing of others was taken for a colour or more, and dropped with the colours.
            assert_eq!(plain.matches("[2J").count(), 3, "{text:?}");
            assert_eq!(text.contains('\x1b'), is_coloured);
        }
    }
}
