//! The key that kept secrets are sealed with.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The variable that may hold the key itself.
const VARIABLE: &str = "SUREFOOT_SECRETS_KEY";
const KEY_LEN: usize = 32;
/// Bytes of a file that is read for a key.
const FILE_BYTES_MAX: u64 = 4096;
/// What the id of a key is derived for.
const ID_CONTEXT: &str = "surefoot 2026-11 id of a key of secrets";

/// 256 random bits. Shown nowhere; its id is.
#[derive(Clone)]
pub struct SecretsKey {
    bytes: [u8; KEY_LEN],
    id: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{place} is no key: it must be 64 hexadecimal digits, or 44 letters of base64")]
    Form { place: String },
    #[error("the key file {} cannot be read: {cause}", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("the key file {} cannot be written: {cause}", path.display())]
    Write { path: PathBuf, cause: std::io::Error },
}

impl SecretsKey {
    /// Reads the key of the environment, or else of a file.
    pub(super) fn of_environment(file: Option<&Path>) -> Result<Option<SecretsKey>, KeyError> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => {
                SecretsKey::parse(&text, &format!("the variable {VARIABLE}")).map(Some)
            }
            _ => file.map(SecretsKey::read).transpose(),
        }
    }

    /// Reads a key from a file.
    pub fn read(path: &Path) -> Result<SecretsKey, KeyError> {
        use std::io::Read as _;
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|it| it.take(FILE_BYTES_MAX).read_to_string(&mut text));
        read.map_err(|cause| KeyError::Read { path: path.to_owned(), cause })?;
        SecretsKey::parse(&text, &format!("the file {}", path.display()))
    }

    /// Makes a new key and writes it into a new file that only its owner may read.
    pub fn write_new(path: &Path) -> Result<SecretsKey, KeyError> {
        let bytes: [u8; KEY_LEN] = rand::random();
        let text = HEXLOWER.encode(&bytes) + "\n";
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut it| it.write_all(text.as_bytes()).and(it.sync_all()));
        written.map_err(|cause| KeyError::Write { path: path.to_owned(), cause })?;
        Ok(SecretsKey::new(bytes))
    }

    fn parse(text: &str, place: &str) -> Result<SecretsKey, KeyError> {
        let text = text.trim();
        let bytes = match blake3::Hash::from_hex(text) {
            Ok(hash) => Some(*hash.as_bytes()),
            Err(_) => STANDARD.decode(text).ok().and_then(|it| it.try_into().ok()),
        };
        let bytes = bytes.ok_or_else(|| KeyError::Form { place: place.to_owned() })?;
        Ok(SecretsKey::new(bytes))
    }

    fn new(bytes: [u8; KEY_LEN]) -> SecretsKey {
        let id = blake3::Hash::from_bytes(blake3::derive_key(ID_CONTEXT, &bytes)).to_hex();
        SecretsKey { bytes, id: id[..16].to_owned() }
    }

    /// Names the key and says nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text. `about` is not kept with it, but must be the same to open it.
    pub(super) fn seal(&self, text: &str, about: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = text.as_bytes().to_vec();
        let way = Nonce::assume_unique_for_key(nonce);
        self.cipher()
            .seal_in_place_append_tag(way, Aad::from(about), &mut sealed)
            .expect("a secret is shorter than what the cipher can seal");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what [`SecretsKey::seal`] made; nothing if it is another key's, or was changed.
    pub(super) fn open(&self, sealed: &[u8], about: &str) -> Option<String> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = sealed.to_vec();
        let opened = self.cipher().open_in_place(nonce, Aad::from(about), &mut text).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.bytes);
        LessSafeKey::new(key.expect("a key has the length that the cipher wants"))
    }
}

impl std::fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretsKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_the_same_key_for_the_same_thing_opens_what_was_sealed() {
        let (key, other) = (SecretsKey::new([7; KEY_LEN]), SecretsKey::new([8; KEY_LEN]));
        let sealed = key.seal("the text", "card");
        assert_eq!(key.open(&sealed, "card").as_deref(), Some("the text"));
        assert_eq!(key.open(&sealed, "carb"), None);
        assert_eq!(other.open(&sealed, "card"), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, "card"), None, "byte {at}");
            assert_eq!(key.open(&sealed[..at], "card"), None, "the first {at} bytes");
        }
        assert_ne!(key.seal("the text", "card"), sealed, "no nonce is used twice");
        assert_ne!(key.id(), other.id());
    }

    #[test]
    fn a_key_is_hexadecimal_or_base64_and_never_shown() {
        let hex = "0707070707070707070707070707070707070707070707070707070707070707";
        for text in [hex, &format!(" {hex}\n"), &STANDARD.encode([7; KEY_LEN])] {
            assert_eq!(SecretsKey::parse(text, "it").unwrap().bytes, [7; KEY_LEN], "{text}");
        }
        for text in ["", "hunter2", &hex[1..], &STANDARD.encode([7; 31]), &hex.replace('0', "g")] {
            let error = SecretsKey::parse(text, "it").unwrap_err().to_string();
            assert!(error.starts_with("it is no key") && !error.contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", SecretsKey::new([7; KEY_LEN])).contains("0707"));
    }

    #[test]
    fn a_new_key_is_for_its_owner_alone_and_never_written_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = SecretsKey::write_new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretsKey::read(&path).unwrap().bytes, made.bytes);
        assert!(matches!(SecretsKey::write_new(&path), Err(KeyError::Write { .. })));
    }
}
