//! People come in with tokens of an identity provider, and nobody else does.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use support::issuer::{Issuer, Key, unsigned};
use support::{Answer, Server, answer};
use surefoot::{Clock, Engine, SystemClock};
use surefoot_server::{Algorithm, OidcConfig, ServerConfig, Service};

const MINUTE_MS: u64 = 60_000;

async fn server(config: OidcConfig) -> Server {
    Server::with(ServerConfig { oidc: Some(config), ..ServerConfig::default() }).await
}

async fn look(server: &Server, token: &str) -> Answer {
    answer(server.request("GET", "/v1/runs").bearer_auth(token)).await
}

#[tokio::test]
async fn people_are_who_their_provider_says() {
    for key in [Key::rsa(), Key::p256(), Key::ed25519()] {
        let issuer = Issuer::open(vec![key.jwk("k1")]).await;
        let server = server(issuer.config()).await;
        let token = key.token("k1", &issuer.claims(json!({"roles": ["deployer", "viewer"]})));
        let put = server.request("PUT", "/v1/workflows/a").bearer_auth(&token);
        let put = put
            .header("content-type", "application/yaml")
            .body("{id: a, tasks: {t: {uses: signal, with: {name: go}}}}");
        let put = answer(put).await;
        assert_eq!(put.status, 201, "{} {}", key.algorithm(), put.text);
        let start = server.request("POST", "/v1/workflows/a/runs").bearer_auth(&token);
        let started = answer(start.json(&json!({}))).await;
        assert_eq!(started.body["actor"], "oidc:ada", "{}", started.text);
        let tokens = answer(server.request("GET", "/v1/tokens").bearer_auth(&token)).await;
        assert_eq!((tokens.status, tokens.code()), (403, "SF4011"));
        let nobody = server.get("/v1/runs").await;
        assert_eq!((nobody.status, nobody.code()), (401, "SF4010"));
    }
}

#[tokio::test]
async fn who_has_no_role_is_told_so() {
    let key = Key::ed25519();
    let issuer = Issuer::open(vec![key.jwk("k1")]).await;
    let server = server(issuer.config()).await;
    for roles in [json!([]), json!(["guest"]), Value::Null, json!(7)] {
        let found = look(&server, &key.token("k1", &issuer.claims(json!({"roles": roles})))).await;
        assert_eq!((found.status, found.code()), (403, "SF4011"), "{}", found.text);
    }
}

#[tokio::test]
async fn an_admin_of_the_provider_makes_tokens_that_work_beside() {
    let key = Key::ed25519();
    let issuer = Issuer::open(vec![key.jwk("k1")]).await;
    let server = server(issuer.config()).await;
    let admin = key.token("k1", &issuer.claims(json!({"roles": "admin"})));
    let make = server.request("POST", "/v1/tokens").bearer_auth(&admin);
    let made = answer(make.json(&json!({"name": "till", "role": "viewer"}))).await;
    assert_eq!(made.status, 201, "the door is closed already, so it need not be an admin's");
    assert_eq!(look(&server, made.body["token"].as_str().unwrap()).await.status, 200);
    assert_eq!(look(&server, &admin).await.status, 200);
    assert_eq!(look(&server, "sf_0.0.0").await.status, 401);
}

/// Makes tokens that nobody may come in with, and says what is wrong with each.
fn wrong_tokens(issuer: &Issuer, key: &Key, stranger: &Key) -> Vec<(&'static str, String)> {
    let good = issuer.claims(json!({}));
    let token = key.token("k1", &good);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let with = |changes: Value| key.token("k1", &issuer.claims(changes));
    let header = |header: Value| key.token_with(&header, &good);
    let now = good["iat"].as_u64().unwrap();
    let bits = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let flipped = |at: usize| {
        let mut bits = bits.clone();
        bits[at] ^= 1;
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bits))
    };
    let jwk = key.jwk("k1");
    let public = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let hmac = |secret: &[u8]| {
        let signed = unsigned(r#"{"alg":"HS256","kid":"k1"}"#, &good);
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let root = unsigned(r#"{"alg":"RS256","kid":"k1"}"#, &issuer.claims(json!({"sub": "root"})));
    let twice = unsigned(r#"{"alg":"RS256","alg":"none","kid":"k1"}"#, &good);
    let own = json!({"alg": stranger.algorithm(), "kid": "k1", "jwk": stranger.jwk("k1")});
    let far = json!({"alg": stranger.algorithm(), "kid": "k1", "jku": "https://evil.example/keys"});
    vec![
        ("no algorithm", format!("{}.", unsigned(r#"{"alg":"none","kid":"k1"}"#, &good))),
        (
            "no algorithm, in capitals",
            format!("{}.", unsigned(r#"{"alg":"NONE","kid":"k1"}"#, &good)),
        ),
        ("no algorithm, but a signature", header(json!({"alg": "none", "kid": "k1"}))),
        ("a MAC with the modulus", hmac(&public)),
        ("a MAC with the key as it is published", hmac(jwk.to_string().as_bytes())),
        ("a MAC with nothing", hmac(b"")),
        ("another issuer", with(json!({"iss": "https://evil.example"}))),
        ("another service", with(json!({"aud": "shop"}))),
        ("no audience", with(json!({"aud": null}))),
        ("expired", with(json!({"exp": now - 120}))),
        ("without an end", with(json!({"exp": null}))),
        ("not yet valid", with(json!({"nbf": now + 3600}))),
        ("made in the future", with(json!({"iat": now + 3600}))),
        ("a key that is not known", key.token("k2", &good)),
        ("no name of a key", header(json!({"alg": "RS256"}))),
        ("an extension", header(json!({"alg": "RS256", "kid": "k1", "crit": ["exp"]}))),
        ("an extension, unnamed", header(json!({"alg": "RS256", "kid": "k1", "crit": []}))),
        ("too large", with(json!({"padding": "x".repeat(16 * 1024)}))),
        ("a forged signature", flipped(0)),
        ("a forged end of a signature", flipped(bits.len() - 1)),
        ("a short signature", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bits[1..]))),
        ("no signature", format!("{signed}.")),
        ("claims of another", format!("{root}.{signature}")),
        ("a stranger's key under a known name", stranger.token("k1", &good)),
        ("a key that comes along", stranger.token_with(&own, &good)),
        ("a place of keys that comes along", stranger.token_with(&far, &good)),
        ("an algorithm of another family", header(json!({"alg": "ES256", "kid": "k1"}))),
        ("an algorithm that is not configured", header(json!({"alg": "RS384", "kid": "k1"}))),
        ("two algorithms", format!("{twice}.{signature}")),
        (
            "a token for another end",
            header(json!({"alg": "RS256", "kid": "k1", "typ": "logout+jwt"})),
        ),
        ("no name", with(json!({"sub": null}))),
        ("padding", format!("{token}=")),
        ("four parts", format!("{token}.{signature}")),
        ("dots alone", "..".to_owned()),
        ("no JSON", format!("{}.{}.{signature}", "x".repeat(8), "y".repeat(8))),
    ]
}

#[tokio::test]
async fn what_the_provider_did_not_say_opens_nothing() {
    let (key, stranger) = (Key::rsa(), Key::ed25519());
    let issuer = Issuer::open(vec![key.jwk("k1")]).await;
    let tokens = wrong_tokens(&issuer, &key, &stranger);
    let told = [
        "the token is not known",
        "the token has expired",
        "the token is not valid yet",
        "the token is not for this service",
        "the token is another issuer's",
        "the token does not name its holder",
    ];
    // An address is not listened to after twenty of them, so each server hears ten.
    for tokens in tokens.chunks(10) {
        let server = server(issuer.config()).await;
        assert_eq!(look(&server, &key.token("k1", &issuer.claims(json!({})))).await.status, 200);
        for (what, token) in tokens {
            let found = look(&server, token).await;
            assert_eq!((found.status, found.code()), (401, "SF4010"), "{what}: {}", found.text);
            let detail = found.body["detail"].as_str().unwrap();
            assert!(told.contains(&detail), "{what}: {detail}");
            assert!(found.body["hint"].as_str().unwrap().contains("Bearer"), "{what}");
            assert_eq!(found.header("www-authenticate"), "Bearer", "{what}");
            for secret in [&issuer.url, "k1", token.as_str()] {
                assert!(!found.text.contains(secret), "{what}: {}", found.text);
            }
        }
    }
}

#[tokio::test]
async fn who_forges_tokens_is_not_listened_to() {
    let key = Key::ed25519();
    let issuer = Issuer::open(vec![key.jwk("k1")]).await;
    let server = server(issuer.config()).await;
    let forged = Key::ed25519().token("k1", &issuer.claims(json!({})));
    let mut refused = 0;
    for _ in 0..30 {
        refused += u32::from(look(&server, &forged).await.status == 429);
    }
    assert_eq!(refused, 10);
    assert_eq!(look(&server, &key.token("k1", &issuer.claims(json!({})))).await.status, 200);
}

/// A clock that is set forward by hand.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        SystemClock::new().now() + self.0.load(Ordering::SeqCst)
    }
}

impl Ahead {
    fn by(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_not_more_often() {
    let (old, new) = (Key::ed25519(), Key::p256());
    let issuer = Issuer::open(vec![old.jwk("k1")]).await;
    let clock = Ahead::default();
    let engine = Engine::builder().clock(Arc::new(clock.clone())).open().await.unwrap();
    let oidc = OidcConfig { stale_seconds: 600, ..issuer.config() };
    let config = ServerConfig { oidc: Some(oidc), ..ServerConfig::default() };
    let server = Server::over(engine, config).await;
    let claims = issuer.claims(json!({"exp": 4_000_000_000_u64}));
    let (first, second) = (old.token("k1", &claims), new.token("k2", &claims));
    assert_eq!(issuer.fetches(), 0, "nothing is fetched before it is needed");
    for _ in 0..5 {
        assert_eq!(look(&server, &first).await.status, 200);
    }
    assert_eq!(issuer.fetches(), 1);
    // A new key is fetched as soon as a token names it, but not twice in half a minute.
    issuer.keys.lock().unwrap().push(new.jwk("k2"));
    assert_eq!(look(&server, &second).await.status, 401);
    assert_eq!(issuer.fetches(), 1);
    clock.by(MINUTE_MS / 2);
    assert_eq!(look(&server, &second).await.status, 200);
    assert_eq!(issuer.fetches(), 2);
    for id in ["k3", "k4", "k5"] {
        assert_eq!(look(&server, &new.token(id, &claims)).await.status, 401);
    }
    assert_eq!(issuer.fetches(), 2);
    // A key that the provider withdraws is gone after the next fetch.
    *issuer.keys.lock().unwrap() = vec![new.jwk("k2")];
    clock.by(5 * MINUTE_MS);
    assert_eq!(look(&server, &first).await.status, 401);
    assert_eq!(look(&server, &second).await.status, 200);
    // While the provider does not answer, its keys are used for ten minutes.
    issuer.is_down.store(true, Ordering::SeqCst);
    clock.by(9 * MINUTE_MS);
    assert_eq!(look(&server, &second).await.status, 200);
    clock.by(2 * MINUTE_MS);
    let found = look(&server, &second).await;
    assert_eq!((found.status, found.code()), (503, "SF4030"), "{}", found.text);
    assert!(!found.header("retry-after").is_empty());
    assert!(!found.text.contains(&issuer.url));
    issuer.is_down.store(false, Ordering::SeqCst);
    clock.by(MINUTE_MS);
    assert_eq!(look(&server, &second).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_contradicts_itself_gives_no_keys() {
    let key = Key::ed25519();
    let keys = |issuer: &Issuer| format!("{}/keys", issuer.url);
    let check = async |discovery: &dyn Fn(&Issuer) -> Value, published: Vec<Value>| {
        let issuer = Issuer::open(published).await;
        let discovery = discovery(&issuer);
        *issuer.discovery.lock().unwrap() = Some(discovery.clone());
        let server = server(issuer.config()).await;
        let found = look(&server, &key.token("k1", &issuer.claims(json!({})))).await;
        assert_eq!((found.status, found.code()), (503, "SF4030"), "{discovery}: {}", found.text);
    };
    let good = || vec![key.jwk("k1")];
    check(&|it| json!({"issuer": "https://evil.example", "jwks_uri": keys(it)}), good()).await;
    check(&|it| json!({"issuer": it.url, "jwks_uri": "http://192.0.2.1/keys"}), good()).await;
    check(&|it| json!({"issuer": it.url, "jwks_uri": "file:///keys"}), good()).await;
    check(&|it| json!({"issuer": it.url}), good()).await;
    // Keys for other ends, of other kinds and without a name are not taken.
    let mut other = vec![
        key.jwk("k1"),
        key.jwk("k1"),
        key.jwk("k1"),
        json!({"kty": "oct", "kid": "k1", "k": "AAAA"}),
    ];
    other[0]["use"] = "enc".into();
    other[1]["alg"] = "HS256".into();
    other[2].as_object_mut().unwrap().remove("kid");
    check(&|it| json!({"issuer": it.url, "jwks_uri": keys(it)}), other).await;
}

#[tokio::test]
async fn a_key_is_for_its_algorithm_alone() {
    let key = Key::rsa();
    let mut jwk = key.jwk("k1");
    jwk["alg"] = "PS256".into();
    let issuer = Issuer::open(vec![jwk]).await;
    let algorithms = vec![Algorithm::RS256, Algorithm::PS256];
    let server = server(OidcConfig { algorithms, ..issuer.config() }).await;
    assert_eq!(look(&server, &key.token("k1", &issuer.claims(json!({})))).await.status, 401);
}

#[tokio::test]
async fn a_provider_closes_the_door() {
    let engine = Engine::builder().open().await.unwrap();
    let issuer = Issuer::open(Vec::new()).await;
    let config = ServerConfig {
        listen: "0.0.0.0:0".to_owned(),
        oidc: Some(issuer.config()),
        ..ServerConfig::default()
    };
    let service = Service::open(engine.clone(), config.clone()).await.unwrap();
    assert!(service.may_listen().is_ok(), "callers are authenticated");
    let oidc = OidcConfig { issuer: "http://id.example".to_owned(), ..issuer.config() };
    let config = ServerConfig { oidc: Some(oidc), ..config };
    let error = Service::open(engine, config).await.err().unwrap().to_string();
    assert!(error.contains("`issuer` must be an https URL"), "{error}");
}
