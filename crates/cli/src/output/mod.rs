//! How results are written: to whom, in which format, with or without colours.

pub mod harmless;
pub mod problem;
pub mod style;
pub mod table;
pub mod time;
mod yaml;

use std::io::{IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use serde_json::Value;

use crate::arguments::{Colour, Format};
use crate::failure::Result;
use time::TimeStyle;

pub use table::Table;

/// Narrower terminals are treated as this wide.
const WIDTH_MIN: usize = 40;
/// What a pipe is taken for.
const WIDTH_DEFAULT: usize = 100;

/// The two streams of the process, and how to write to them.
pub struct Output {
    pub format: Format,
    pub time: TimeStyle,
    pub quiet: bool,
    choice: ColorChoice,
    /// Redrawing in place is possible and wanted.
    pub is_live: bool,
    pub width: usize,
}

impl Output {
    pub fn new(format: Format, time: TimeStyle, colour: Colour, quiet: bool, live: bool) -> Output {
        let choice = match colour {
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
            Colour::Auto => ColorChoice::Auto,
        };
        let is_live = live && !quiet && std::io::stderr().is_terminal();
        Output { format, time, quiet, choice, is_live, width: width() }
    }

    /// Standard output: results only.
    pub fn out(&self) -> impl Write {
        AutoStream::new(std::io::stdout().lock(), self.choice)
    }

    /// Standard error: everything else.
    pub fn err(&self) -> impl Write {
        AutoStream::new(std::io::stderr().lock(), self.choice)
    }

    /// Says something about what is going on, unless told to be quiet.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            // Nothing can be done about a terminal that is gone.
            let _ = writeln!(self.err(), "{text}");
        }
    }

    /// Lets the library's own log through: warnings, and with `-v` more.
    pub fn trace(&self, verbose: u8) {
        let level = match verbose {
            0 if self.quiet => tracing::Level::ERROR,
            0 => tracing::Level::WARN,
            1 => tracing::Level::INFO,
            2 => tracing::Level::DEBUG,
            _ => tracing::Level::TRACE,
        };
        let is_plain =
            AutoStream::new(std::io::stderr(), self.choice).current_choice() == ColorChoice::Never;
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(harmless::OneLine(std::io::stderr))
            .with_ansi(!is_plain)
            .init();
    }

    pub fn is_for_people(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    pub fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// Writes one result for machines. `name` is what `-o name` prints.
    pub fn value(&self, value: &Value, name: &str) -> Result<()> {
        let mut out = self.out();
        match self.format {
            Format::Json | Format::Table | Format::Wide => {
                writeln!(out, "{}", harmless::json(&format!("{value:#}")))?
            }
            Format::Jsonl => writeln!(out, "{}", harmless::json(&value.to_string()))?,
            Format::Yaml => out.write_all(harmless::json(&yaml::print(value)).as_bytes())?,
            Format::Name => writeln!(out, "{name}")?,
        }
        Ok(())
    }

    /// Writes a list for machines: one array, or one line each.
    pub fn list(&self, all: &[(String, Value)]) -> Result<()> {
        match self.format {
            Format::Jsonl | Format::Name => {
                all.iter().try_for_each(|(name, value)| self.value(value, name))
            }
            Format::Json | Format::Yaml | Format::Table | Format::Wide => {
                let values: Vec<Value> = all.iter().map(|(_, value)| value.clone()).collect();
                self.value(&Value::Array(values), "")
            }
        }
    }

    /// Returns a text with its colours, if standard output is to have any.
    pub fn coloured(&self, text: &str) -> String {
        let choice = AutoStream::new(std::io::stdout(), self.choice).current_choice();
        match choice {
            ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
            _ => text.to_owned(),
        }
    }

    /// Writes text for people.
    pub fn text(&self, text: &str) -> Result<()> {
        self.out().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// The columns of the terminal. COLUMNS is for pipes and tests.
fn width() -> usize {
    let wished = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
    wished.or_else(terminal_width).unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN)
}

fn terminal_width() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills the structure that it is given, or fails and leaves it.
    let asked = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (asked == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
