//! An identity provider on a free port: it publishes keys, and signs whatever a test wants signed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};
use surefoot_server::{OidcConfig, Role, RoleOf};

/// Signs nothing but the tokens of these tests.
const RSA: &[u8] = include_bytes!("issuer_rsa.der");

/// A key of the provider.
pub enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub fn rsa() -> Key {
        Key::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap()))
    }

    pub fn p256() -> Key {
        let (way, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let bytes = EcdsaKeyPair::generate_pkcs8(way, &random).unwrap();
        Key::P256(EcdsaKeyPair::from_pkcs8(way, bytes.as_ref(), &random).unwrap())
    }

    pub fn ed25519() -> Key {
        let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Key::Ed25519(Ed25519KeyPair::from_pkcs8(bytes.as_ref()).unwrap())
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Key::P256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// Returns the key as a provider publishes it.
    pub fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Key::Rsa(key) => {
                let parts = ring::signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": text(&parts.n), "e": text(&parts.e)})
            }
            Key::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Key::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
        };
        jwk["kid"] = id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// Makes a token.
    pub fn token(&self, id: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": id, "typ": "JWT"}), claims)
    }

    /// Makes a token with any header.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(&header.to_string(), claims);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())))
    }
}

/// Returns the first two parts of a token.
pub fn unsigned(header: &str, claims: &Value) -> String {
    let text = |it: &str| URL_SAFE_NO_PAD.encode(it);
    format!("{}.{}", text(header), text(&claims.to_string()))
}

/// A provider that is up until it is dropped.
#[derive(Clone)]
pub struct Issuer(Arc<Provider>);

pub struct Provider {
    pub url: String,
    /// What it says of itself, if not the truth.
    pub discovery: Mutex<Option<Value>>,
    pub keys: Mutex<Vec<Value>>,
    /// How often the keys were asked for.
    pub fetches: AtomicUsize,
    pub is_down: AtomicBool,
}

impl std::ops::Deref for Issuer {
    type Target = Provider;

    fn deref(&self) -> &Provider {
        &self.0
    }
}

impl Issuer {
    pub async fn open(keys: Vec<Value>) -> Issuer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Issuer(Arc::new(Provider {
            url: format!("http://{}", listener.local_addr().unwrap()),
            discovery: Mutex::default(),
            keys: Mutex::new(keys),
            fetches: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys_of))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    pub fn config(&self) -> OidcConfig {
        let role = |value: &str, role| RoleOf { value: value.to_owned(), role };
        OidcConfig {
            issuer: self.url.clone(),
            audience: vec!["surefoot".to_owned()],
            roles: vec![
                role("viewer", Role::Viewer),
                role("operator", Role::Operator),
                role("deployer", Role::Deployer),
                role("admin", Role::Admin),
            ],
            ..OidcConfig::default()
        }
    }

    /// Returns claims that are good for five minutes, with some changed; null removes one.
    pub fn claims(&self, changes: Value) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"iss": self.url, "aud": "surefoot", "sub": "ada", "iat": now,
            "exp": now + 300, "roles": ["operator"]});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let kept = claims.as_object().unwrap().clone().into_iter().filter(|it| !it.1.is_null());
        Value::Object(kept.collect())
    }
}

async fn discovery(State(issuer): State<Issuer>) -> Result<Json<Value>, StatusCode> {
    issuer.answer()?;
    let truth = json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)});
    Ok(Json(issuer.discovery.lock().unwrap().clone().unwrap_or(truth)))
}

async fn keys_of(State(issuer): State<Issuer>) -> Result<Json<Value>, StatusCode> {
    issuer.answer()?;
    issuer.fetches.fetch_add(1, Ordering::SeqCst);
    Ok(Json(json!({"keys": *issuer.keys.lock().unwrap()})))
}

impl Provider {
    fn answer(&self) -> Result<(), StatusCode> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(StatusCode::BAD_GATEWAY),
            false => Ok(()),
        }
    }
}
