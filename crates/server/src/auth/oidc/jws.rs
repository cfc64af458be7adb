//! The form of a token (RFC 7515, compact) and its signature. The cryptography is that of `ring`.
//!
//! Symmetric algorithms and `none` have no name here, so no configuration and no token can ask for
//! them. A key that comes with a token (`jwk`, `jku`, `x5c`) is never looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Kinds of tokens that say who asks; others are signed by the same key for other ends.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// How a token is signed.
#[expect(clippy::upper_case_acronyms, reason = "these are their names in RFC 7518")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// A token whose form is right; nothing in it is believed yet.
pub(super) struct Token<'a> {
    pub algorithm: Algorithm,
    pub key_id: String,
    claims: &'a str,
    signed: &'a [u8],
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart, or says why it is none that is taken.
    pub fn read(text: &'a str) -> Result<Token<'a>, &'static str> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err("it is too large");
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err("it does not have three parts");
        };
        let signed = &text.as_bytes()[..header.len() + 1 + claims.len()];
        let header: Header =
            decode(header).ok_or("its header cannot be read, or its algorithm is not taken")?;
        if header.crit.is_some() {
            return Err("it demands that an extension is understood");
        }
        if header.typ.is_some_and(|it| !TYPES.contains(&it.to_ascii_lowercase().as_str())) {
            return Err("it is of another type");
        }
        let key_id = header.kid.ok_or("it does not name its key")?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| "its signature cannot be read")?;
        Ok(Token { algorithm: header.alg, key_id, claims, signed, signature })
    }

    /// Returns what the token says, if the key signed it.
    pub fn verified<T: DeserializeOwned>(&self, key: &Key) -> Result<T, &'static str> {
        if !key.has_signed(self.algorithm, self.signed, &self.signature) {
            return Err("its signature is wrong");
        }
        decode(self.claims).ok_or("its claims cannot be read")
    }
}

/// Whether a text could be a token of an identity provider.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.split('.').count() == 3
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A public key that the provider publishes.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub id: String,
    /// The only algorithm that it is for, if the provider says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// An entry of a key set (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// Reads an entry of a key set; nothing if it is not a public key for signatures.
    pub fn read(jwk: &serde_json::Value) -> Option<Key> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        if jwk.purpose.is_some_and(|it| it != "sig") {
            return None;
        }
        let algorithm = match jwk.alg {
            Some(name) => Some(Algorithm::deserialize(serde_json::Value::from(name)).ok()?),
            None => None,
        };
        let bytes = |it: &Option<String>| URL_SAFE_NO_PAD.decode(it.as_deref()?).ok();
        let point = || Some([vec![4], bytes(&jwk.x)?, bytes(&jwk.y)?].concat());
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                Material::Rsa(RsaPublicKeyComponents { n: bytes(&jwk.n)?, e: bytes(&jwk.e)? })
            }
            ("EC", Some("P-256")) => Material::P256(point()?),
            ("EC", Some("P-384")) => Material::P384(point()?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
            _ => return None,
        };
        Some(Key { id: jwk.kid, algorithm, material })
    }

    fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.is_some_and(|it| it != algorithm) {
            return false;
        }
        let by = |way: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(way, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa(key), _) => {
                rsa(algorithm).is_some_and(|it| key.verify(it, message, signature).is_ok())
            }
            (Material::P256(key), Algorithm::ES256) => by(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), Algorithm::ES384) => by(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), Algorithm::EdDSA) => by(&signature::ED25519, key),
            // A key of one kind never verifies a signature of another.
            (Material::P256(_) | Material::P384(_) | Material::Ed25519(_), _) => false,
        }
    }
}

/// RSA keys have at least 2048 bits.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}
