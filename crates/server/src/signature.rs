//! Signatures of webhooks: HMAC-SHA256 over `TIMESTAMP.BODY`.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What stands before the hexadecimal digits.
const PREFIX: &str = "sha256=";

/// Whether a signature was made with a secret. Takes the same time whatever is wrong with it.
pub(crate) fn is_valid(secret: &str, timestamp: &str, body: &[u8], signature: &str) -> bool {
    let digits = signature.strip_prefix(PREFIX).unwrap_or(signature);
    let Ok(signature) = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()) else { return false };
    mac(secret, timestamp, body).verify_slice(&signature).is_ok()
}

/// Signs what is sent out, as [`is_valid`] has it.
pub(crate) fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let bytes = mac(secret, timestamp, body).finalize().into_bytes();
    format!("{PREFIX}{}", HEXLOWER.encode(&bytes))
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
    use super::*;

    #[test]
    fn a_signature_is_that_of_openssl() {
        // printf '1795312800.{"a":1}' | openssl dgst -sha256 -hmac 's3cret'
        let good = "sha256=77e63bef1909f356e045d34b208f94268f700834f9a009e77fe646224ec8f852";
        assert_eq!(sign("s3cret", "1795312800", br#"{"a":1}"#), good);
        assert!(is_valid("s3cret", "1795312800", br#"{"a":1}"#, good));
        assert!(is_valid("s3cret", "1795312800", br#"{"a":1}"#, &good[7..]));
        assert!(!is_valid("other", "1795312800", br#"{"a":1}"#, good));
        assert!(!is_valid("s3cret", "1795312801", br#"{"a":1}"#, good));
        assert!(!is_valid("s3cret", "1795312800", br#"{"a":2}"#, good));
        for broken in ["", "sha256=", &good[..70], "sha256=é", &good.replace(['a', 'e'], "x")] {
            assert!(!is_valid("s3cret", "1795312800", br#"{"a":1}"#, broken), "{broken}");
        }
    }
}
