//! How far a reader has come: the `id` of what it is sent.

use std::fmt;
use std::str::FromStr;

/// Everything up to here was seen: records of the journal and log lines, which are counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub journal: i64,
    pub logs: i64,
}

impl Position {
    /// Whether another has not come further in either count.
    pub fn covers(self, other: Position) -> bool {
        self.journal >= other.journal && self.logs >= other.logs
    }

    /// The further of both, each count for itself.
    pub fn max(self, other: Position) -> Position {
        Position { journal: self.journal.max(other.journal), logs: self.logs.max(other.logs) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.journal, self.logs)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Position, ()> {
        let (journal, logs) = text.split_once('-').ok_or(())?;
        let count = |it: &str| it.parse::<i64>().map_err(drop);
        let position = Position { journal: count(journal)?, logs: count(logs)? };
        if position.journal < 0 || position.logs < 0 { Err(()) } else { Ok(position) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_written() {
        for text in ["0-0", "12-7", "9223372036854775807-1"] {
            let position: Result<Position, ()> = text.parse();
            assert_eq!(position.map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "1", "1-", "-1-1", "1--1", "a-b", "1-1-1", "9223372036854775808-1"] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text}");
        }
    }
}
