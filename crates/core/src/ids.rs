//! Identifiers that outlive a process. Each is a newtype, so that a run id never goes where a
//! position or a hash is meant.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32: no I, L, O or U, so that an id can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a whole run id: 26 × 5 bits hold 128.
pub const RUN_ID_LEN: usize = 26;

/// Names one run. 128 bits, the first 48 being milliseconds since the Unix epoch (the layout of a
/// version 7 UUID, RFC 9562 §5.7), so that ids sort by creation and index pages stay warm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u128);

impl RunId {
    /// Builds an id from the time of creation and 80 bits drawn by the caller.
    pub fn new(now_ms: u64, random: u128) -> RunId {
        RunId((u128::from(now_ms & 0xFFFF_FFFF_FFFF) << 80) | (random & ((1 << 80) - 1)))
    }

    /// Derives the id of a sub-run from its parent, so that starting it twice starts it once.
    pub fn child(parent: RunId, task: &str, attempt: u32) -> RunId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&parent.to_bytes());
        hasher.update(task.as_bytes());
        hasher.update(&attempt.to_le_bytes());
        let mut low = [0u8; 16];
        low.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        RunId::new(parent.created_ms(), u128::from_le_bytes(low))
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> RunId {
        RunId(u128::from_be_bytes(bytes))
    }

    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Returns the milliseconds since the Unix epoch at which the run was created.
    pub const fn created_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// Returns the first and the last id whose text starts with `prefix`, or nothing if a
    /// character cannot occur in an id. Lower case is read as upper case.
    pub fn prefix_range(prefix: &str) -> Option<(RunId, RunId)> {
        if prefix.is_empty() || prefix.len() > RUN_ID_LEN {
            return None;
        }
        let mut low: u128 = 0;
        for (at, byte) in prefix.bytes().enumerate() {
            let digit = u128::from(digit(byte)?);
            if at == 0 && digit > 7 {
                return None;
            }
            low = (low << 5) | digit;
        }
        let missing = 5 * (RUN_ID_LEN - prefix.len()) as u32;
        let low = low.checked_shl(missing).unwrap_or(0);
        let span = if missing == 0 { 0 } else { (1u128 << missing) - 1 };
        Some((RunId(low), RunId(low | span)))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; RUN_ID_LEN];
        for (at, slot) in text.iter_mut().enumerate() {
            let shift = 5 * (RUN_ID_LEN - 1 - at) as u32;
            *slot = ALPHABET[((self.0 >> shift) & 31) as usize];
        }
        f.pad(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a whole run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a run id: expected {RUN_ID_LEN} characters of 0-9 and A-Z without I, L, O, U"
)]
pub struct InvalidRunId(pub String);

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<RunId, InvalidRunId> {
        match RunId::prefix_range(text) {
            Some((low, high)) if low == high => Ok(low),
            _ => Err(InvalidRunId(text.to_owned())),
        }
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RunId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The BLAKE3 hash of some content: definitions and large payloads are kept once under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(content: &[u8]) -> Digest {
        Digest(*blake3::hash(content).as_bytes())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 64];
        HEXLOWER.encode_mut(&self.0, &mut text);
        f.pad(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Digest, String> {
        let wrong = || format!("`{text}` is not a hash of 64 hexadecimal digits");
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| wrong())?;
        bytes.try_into().map(Digest).map_err(|_| wrong())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn digit(byte: u8) -> Option<u8> {
    let upper = byte.to_ascii_uppercase();
    ALPHABET.iter().position(|it| *it == upper).map(|at| at as u8)
}

/// The namespace of workflows whose id has no dot.
const DEFAULT_NAMESPACE: &str = "default";

/// Returns the namespace of a workflow: what stands before the first dot of its id.
pub fn namespace(workflow: &str) -> &str {
    workflow.split_once('.').map_or(DEFAULT_NAMESPACE, |(it, _)| it)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_run_id_survives_its_text() {
        let id = RunId::new(1_700_000_000_123, 0xDEAD_BEEF_0123_4567_89AB);
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        assert_eq!(id.to_string().to_lowercase().parse::<RunId>(), Ok(id));
        assert_eq!(id.created_ms(), 1_700_000_000_123);
        assert_eq!(RunId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn a_prefix_covers_its_id_and_nothing_else() {
        let id = RunId::new(1_700_000_000_123, 42);
        let (low, high) = RunId::prefix_range(&id.to_string()[..9]).unwrap();
        assert!(low <= id && id <= high && low != high);
        assert_eq!(RunId::prefix_range("IL"), None, "letters outside the alphabet");
        assert_eq!(RunId::prefix_range(""), None);
        assert_eq!(RunId::prefix_range("Z"), None, "the first character holds three bits");
        assert!("01".parse::<RunId>().is_err(), "a prefix is not an id");
    }

    #[test]
    fn a_child_id_depends_on_each_part() {
        let parent = RunId::new(5, 7);
        assert_eq!(RunId::child(parent, "a", 1), RunId::child(parent, "a", 1));
        assert_ne!(RunId::child(parent, "a", 1), RunId::child(parent, "b", 1));
        assert_ne!(RunId::child(parent, "a", 1), RunId::child(parent, "a", 2));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Digest::of(b"content");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert!("zz".parse::<Digest>().is_err());
    }
}
