//! What the shop was asked and what it did: a file of JSON lines, each on disk before the shop
//! goes on. It is the evidence of the demo, written by somebody else than the engine.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Entry {
    /// A request came.
    Asked { path: String, key: String },
    /// It took effect. Later requests with this key get the same reply and have none.
    Done { path: String, key: String, reply: Value },
}

pub struct Ledger {
    file: File,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Opens the ledger with all that stands in it: keys are remembered over restarts.
    pub fn open(path: &Path) -> io::Result<Ledger> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Ledger { file, entries: read(path)? })
    }

    /// Returns once the entry is on disk.
    pub fn record(&mut self, entry: Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.entries.push(entry);
        Ok(())
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Reads a ledger that another process may be writing. A last line without an end is not there yet.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
    lines.map(|it| Ok(serde_json::from_str(it)?)).collect()
}

/// Returns the keys of the requests that came for a path, in order.
pub fn asked<'a>(entries: &'a [Entry], wanted: &str) -> Vec<&'a str> {
    let keys = entries.iter().filter_map(|it| match it {
        Entry::Asked { path, key } if path == wanted => Some(key.as_str()),
        Entry::Asked { .. } | Entry::Done { .. } => None,
    });
    keys.collect()
}

/// Returns the replies of the requests for a path that took effect, in order.
pub fn done<'a>(entries: &'a [Entry], wanted: &str) -> Vec<&'a Value> {
    let replies = entries.iter().filter_map(|it| match it {
        Entry::Done { path, reply, .. } if path == wanted => Some(reply),
        Entry::Asked { .. } | Entry::Done { .. } => None,
    });
    replies.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_ledger_is_read_again_without_its_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let asked_once = Entry::Asked { path: "/charges".to_owned(), key: "k".to_owned() };
        Ledger::open(&path).unwrap().record(asked_once.clone()).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"what":"done","#).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.entries(), [asked_once]);
        assert_eq!(asked(ledger.entries(), "/charges"), ["k"]);
        assert!(done(ledger.entries(), "/charges").is_empty());
    }
}
