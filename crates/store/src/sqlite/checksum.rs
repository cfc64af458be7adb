//! Checksums of what is stored, so that damage is an error and never a wrong answer. SQLite itself
//! has none.

use rusqlite::types::{Value, ValueRef};
use surefoot_core::ids::RunId;

/// About what the columns of a row take.
const ROW_BYTES: usize = 768;

/// Covers one record. With run and position inside, a record at the wrong place is damage as well.
pub fn of_record(run: RunId, seq: u64, body: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&run.to_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(body);
    first_half(&hasher.finalize())
}

/// Covers the columns of a row. NULL counts for nothing, so that a column may be added later.
pub fn of_values<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    // Hashed in one go: a call for each of eighty small parts costs more than the hash.
    let mut text = Vec::with_capacity(ROW_BYTES);
    for (column, value) in values.enumerate() {
        let mut part = |kind: u8, bytes: &[u8]| {
            text.extend_from_slice(&[column as u8, kind]);
            text.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            text.extend_from_slice(bytes);
        };
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(it) => part(1, &it.to_le_bytes()),
            ValueRef::Real(it) => part(2, &it.to_le_bytes()),
            ValueRef::Text(it) => part(3, it),
            ValueRef::Blob(it) => part(4, it),
        }
    }
    first_half(&blake3::hash(&text))
}

pub fn of_owned(values: &[Value]) -> i64 {
    of_values(values.iter().map(ValueRef::from))
}

fn first_half(hash: &blake3::Hash) -> i64 {
    let mut half = [0u8; 8];
    half.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(half)
}
