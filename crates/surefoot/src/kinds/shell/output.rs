//! What a program prints: kept up to a limit, and logged line by line.

use serde::Deserialize;
use serde_json::{Value, json};
use surefoot_core::task_error::TaskError;

use crate::kinds::Context;

/// A longer line is logged in pieces.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one stream that are logged; a program that prints without end is not worth more.
const LOGGED_BYTES_MAX: usize = 1024 * 1024;

/// How stdout is given to the workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Parse {
    #[default]
    Text,
    Json,
    Lines,
}

/// One of the two streams.
pub(super) struct Stream {
    /// `stdout` or `stderr`: the level of its log lines.
    name: &'static str,
    kept: Vec<u8>,
    kept_bytes_max: usize,
    truncated: bool,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    logged_bytes: usize,
}

pub(super) struct Captured {
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

impl Stream {
    pub(super) fn new(name: &'static str, kept_bytes_max: usize) -> Stream {
        Stream {
            name,
            kept: Vec::new(),
            kept_bytes_max,
            truncated: false,
            line: Vec::new(),
            logged_bytes: 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8], context: &Context) {
        let room = (self.kept_bytes_max - self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.truncated |= room < bytes.len();
        if self.logged_bytes < LOGGED_BYTES_MAX {
            self.log_lines(bytes, context);
        }
    }

    fn log_lines(&mut self, bytes: &[u8], context: &Context) {
        self.logged_bytes += bytes.len();
        for part in bytes.split_inclusive(|it| *it == b'\n') {
            let mut rest = part;
            while !rest.is_empty() {
                let room = (LINE_BYTES_MAX - self.line.len()).min(rest.len());
                let (piece, after) = rest.split_at(room);
                self.line.extend_from_slice(piece);
                rest = after;
                if self.line.ends_with(b"\n") || self.line.len() == LINE_BYTES_MAX {
                    self.log_line(context);
                }
            }
        }
        if self.logged_bytes >= LOGGED_BYTES_MAX {
            self.finish(context);
            context.log("warn", &format!("no more of {} is logged", self.name));
        }
    }

    /// Logs what is left when the stream ends.
    pub(super) fn finish(&mut self, context: &Context) {
        if !self.line.is_empty() {
            self.log_line(context);
        }
    }

    fn log_line(&mut self, context: &Context) {
        let text = String::from_utf8_lossy(&self.line);
        context.log(self.name, text.trim_end_matches(['\n', '\r']));
        self.line.clear();
    }

    pub(super) fn last_lines(&self, lines_max: usize) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(lines_max)..].join("\n")
    }
}

impl Captured {
    pub(super) fn into_output(
        self,
        name: &str,
        code: i32,
        parse: Parse,
    ) -> Result<Value, TaskError> {
        if self.stdout.truncated && parse != Parse::Text {
            let limit = self.stdout.kept_bytes_max;
            let message = format!(
                "{name} printed more than {limit} bytes, so its output cannot be parsed; raise `max_output_bytes`"
            );
            return Err(TaskError::fatal("shell_output_limit", message));
        }
        let stdout = String::from_utf8_lossy(&self.stdout.kept);
        let mut output = json!({
            "exit_code": code,
            "stdout": stdout,
            "stderr": String::from_utf8_lossy(&self.stderr.kept),
            "stdout_truncated": self.stdout.truncated,
            "stderr_truncated": self.stderr.truncated,
        });
        match parse {
            Parse::Text => {}
            Parse::Lines => output["lines"] = json!(stdout.lines().collect::<Vec<_>>()),
            Parse::Json => {
                output["json"] = serde_json::from_str(&stdout).map_err(|error| {
                    TaskError::new(
                        "invalid_json",
                        format!("the stdout of {name} is not JSON: {error}"),
                    )
                })?;
            }
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use super::*;

    /// A pipe gives what it has, so a line comes in parts of any size.
    #[test]
    fn a_long_line_is_logged_in_pieces_however_it_comes() {
        for part_bytes in [1, 1_000, 4_096, LINE_BYTES_MAX - 1, LINE_BYTES_MAX, 20_000] {
            let lengths = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&lengths);
            let context =
                Context::for_test("sh", move |_, text| log.lock().unwrap().push(text.len()));
            let mut stream = Stream::new("stdout", 20_000);
            for part in [b'x'; 20_000].chunks(part_bytes) {
                stream.take(part, &context);
            }
            stream.finish(&context);
            let expected = [LINE_BYTES_MAX, LINE_BYTES_MAX, 20_000 - 2 * LINE_BYTES_MAX];
            assert_eq!(*lengths.lock().unwrap(), expected, "in parts of {part_bytes} bytes");
        }
    }
}
