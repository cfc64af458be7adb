//! Every colour of the command. A status is also a word: colour alone says nothing.

use anstyle::{AnsiColor, Style};
use surefoot::{RunStatus, TaskStatus};

pub const ERROR: Style = AnsiColor::Red.on_default().bold();
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub const HELP: Style = AnsiColor::Cyan.on_default();
pub const HEADING: Style = Style::new().bold();
pub const NAME: Style = AnsiColor::Cyan.on_default();
pub const SOFT: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
const BUSY: Style = AnsiColor::Blue.on_default();
const WAITS: Style = AnsiColor::Magenta.on_default();

pub fn task(status: TaskStatus) -> Style {
    match status {
        TaskStatus::Completed => GOOD,
        TaskStatus::Failed => ERROR,
        TaskStatus::Running | TaskStatus::Ready => BUSY,
        TaskStatus::Retrying => WARNING,
        TaskStatus::Waiting => WAITS,
        TaskStatus::Pending
        | TaskStatus::Skipped
        | TaskStatus::Cancelled
        | TaskStatus::Compensated => SOFT,
    }
}

pub fn run(status: RunStatus) -> Style {
    match status {
        RunStatus::Completed => GOOD,
        RunStatus::Failed => ERROR,
        RunStatus::Running => BUSY,
        RunStatus::Paused | RunStatus::Cancelling => WARNING,
        RunStatus::Pending | RunStatus::Cancelled => SOFT,
    }
}

/// Wraps a text in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
