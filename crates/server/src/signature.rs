//! Signatures of webhooks: HMAC-SHA256 over `TIMESTAMP.BODY`.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What stands before the hexadecimal digits.
const PREFIX: &str = "sha256=";

/// A signature that was read. One signature has one text, however its sender wrote it: a recording
/// is known by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature([u8; 32]);

impl Signature {
    /// Reads 64 hexadecimal digits, with or without the name of the algorithm before them.
    pub fn read(text: &str) -> Option<Signature> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.strip_prefix(PREFIX).unwrap_or(&text);
        HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok().map(Signature)
    }

    /// Whether it was made with a secret. Takes the same time whatever is wrong with it.
    pub fn is_by(&self, secret: &str, timestamp: &str, body: &[u8]) -> bool {
        mac(secret, timestamp, body).verify_slice(&self.0).is_ok()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", HEXLOWER.encode(&self.0))
    }
}

/// Signs what is sent out, as [`Signature::is_by`] has it.
pub(crate) fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    Signature(mac(secret, timestamp, body).finalize().into_bytes().into()).to_string()
}

fn mac(secret: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_signature_is_that_of_openssl() {
        // printf '1795312800.{"a":1}' | openssl dgst -sha256 -hmac 's3cret'
        let good = "sha256=77e63bef1909f356e045d34b208f94268f700834f9a009e77fe646224ec8f852";
        let is_valid = |secret: &str, timestamp: &str, body: &[u8]| {
            Signature::read(good).unwrap().is_by(secret, timestamp, body)
        };
        assert_eq!(sign("s3cret", "1795312800", br#"{"a":1}"#), good);
        assert!(is_valid("s3cret", "1795312800", br#"{"a":1}"#));
        assert!(!is_valid("other", "1795312800", br#"{"a":1}"#));
        assert!(!is_valid("s3cret", "1795312801", br#"{"a":1}"#));
        assert!(!is_valid("s3cret", "1795312800", br#"{"a":2}"#));
        for same in [&good[7..], &good.replace('e', "E"), &format!(" {good} ")] {
            assert_eq!(Signature::read(same).map(|it| it.to_string()).as_deref(), Some(good));
        }
        let signed = good.replacen("=7", "=+", 1);
        for broken in
            ["", "sha256=", &good[..70], "sha256=\u{e9}", &good.replace('e', "x"), &signed]
        {
            assert_eq!(Signature::read(broken), None, "{broken}");
        }
    }
}
