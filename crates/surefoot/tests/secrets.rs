//! Secrets that the store keeps: sealed, bound to their names, and readable with their key alone.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::secrets::{SECRETS_MAX, SecretError, SecretsKey, VALUE_BYTES_MAX, VaultError};
use surefoot::store::{Expect, ItemWrite, MemoryStore, Store};
use surefoot::{Config, Context, Engine, OpenError, SecretsConfig, StartRequest, TaskError};

const SOURCE: &str = "{id: a, tasks: {call: {uses: ask, with: {card: '${{ secrets.card }}'}}}, \
    output: '${{ tasks.call.output }}'}";
const VALUE: &str = "4111-1111-1111-1111";

/// Opens an engine whose handler says how long the card that it was given is.
async fn open(
    store: Arc<dyn Store>,
    secrets: SecretsConfig,
    dispatch: bool,
) -> Result<Engine, OpenError> {
    Engine::builder()
        .store_with(store)
        .config(Config { secrets, ..Config::default() })
        .dispatch(dispatch)
        .handler("ask", async |_: Context, input: Value| {
            let card = input["card"].as_str().unwrap_or_default();
            Ok::<_, TaskError>(json!({"length": card.len(), "card": card}))
        })
        .open()
        .await
}

fn with_key(file: &Path) -> SecretsConfig {
    SecretsConfig { key_file: Some(file.to_owned()), ..SecretsConfig::default() }
}

async fn length(engine: &Engine) -> Value {
    engine.deploy(SOURCE).await.unwrap();
    let outcome = engine.execute(StartRequest::new("a")).await.unwrap();
    let text = outcome.output.to_string();
    assert!(!text.contains(VALUE), "{text}");
    outcome.output["length"].clone()
}

fn reason(error: Option<OpenError>) -> String {
    match error {
        Some(OpenError::Secrets(VaultError::Kept(error))) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_kept_secret_is_given_to_attempts_and_the_store_never_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("store.db"), folder.path().join("key"));
    SecretsKey::write_new(&key).unwrap();
    let url = format!("sqlite:{}", path.display());
    let config = Config { secrets: with_key(&key), ..Config::default() };
    let builder = || {
        Engine::builder().store(&url).config(config.clone()).handler(
            "ask",
            async |_: Context, input: Value| {
                Ok::<_, TaskError>(json!({"length": input["card"].as_str().unwrap().len()}))
            },
        )
    };
    let engine = builder().open().await.unwrap();
    let kept = engine.set_secret("CARD", VALUE, "ada").await.unwrap();
    assert_eq!((kept.name.as_str(), kept.set_by.as_str()), ("card", "ada"));
    assert_eq!(length(&engine).await, json!(VALUE.len()), "from now on, without a restart");
    engine.set_secret("card", "another one", "ada").await.unwrap();
    engine.set_secret("card", VALUE, "bob").await.unwrap();
    engine.stop(Duration::ZERO).await.unwrap();
    drop(engine);
    let engine = builder().open().await.unwrap();
    assert_eq!(length(&engine).await, json!(VALUE.len()));
    let all = engine.kept_secrets().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].set_by, "bob");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes.windows(VALUE.len()).any(|it| it == VALUE.as_bytes());
        assert!(!found, "the value is in a file");
    }
    assert!(engine.remove_secret("card").await.unwrap());
    assert!(!engine.remove_secret("card").await.unwrap());
    let outcome = engine.execute(StartRequest::new("a")).await.unwrap();
    assert!(outcome.error.is_some(), "it is forgotten");
    engine.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn what_the_machine_says_goes_before_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = (folder.path().join("key"), folder.path().join("secrets"));
    SecretsKey::write_new(&key).unwrap();
    std::fs::write(&file, "card=123\n").unwrap();
    let config = SecretsConfig { file: Some(file), ..with_key(&key) };
    let engine = open(Arc::new(MemoryStore::new()), config, true).await.unwrap();
    engine.set_secret("card", VALUE, "ada").await.unwrap();
    assert_eq!(length(&engine).await, json!(3));
}

#[tokio::test]
async fn without_its_key_a_secret_stays_closed_and_says_which_key_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (folder.path().join("key"), folder.path().join("other"));
    let id = SecretsKey::write_new(&key).unwrap().id().to_owned();
    let other_id = SecretsKey::write_new(&other).unwrap().id().to_owned();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = open(store.clone(), with_key(&key), true).await.unwrap();
    engine.set_secret("card", VALUE, "ada").await.unwrap();
    engine.stop(Duration::ZERO).await.unwrap();

    let none = SecretsConfig::default();
    let error = reason(open(store.clone(), none.clone(), true).await.err());
    assert_eq!(
        error,
        format!("the secret `card` is sealed with the key {id}, and no key is given")
    );
    let error = reason(open(store.clone(), with_key(&other), true).await.err());
    assert_eq!(
        error,
        format!("the secret `card` is sealed with the key {id}, and the key given is {other_id}")
    );
    std::fs::write(folder.path().join("bad"), "hunter2hunter2").unwrap();
    let error = reason(open(store.clone(), with_key(&folder.path().join("bad")), true).await.err());
    assert!(error.contains("is no key") && !error.contains("hunter2"), "{error}");

    // Who executes nothing may look, and clear away what nobody can open any more.
    let engine = open(store.clone(), none, false).await.unwrap();
    let refused = engine.set_secret("card", VALUE, "ada").await;
    assert!(matches!(refused, Err(SecretError::NoKey)));
    assert_eq!(engine.kept_secrets().await.unwrap()[0].key, id);
    assert!(engine.remove_secret("card").await.unwrap());
    engine.stop(Duration::ZERO).await.unwrap();
    assert!(open(store, with_key(&other), true).await.is_ok());
}

#[tokio::test]
async fn a_sealed_body_opens_under_its_own_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    SecretsKey::write_new(&key).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = open(store.clone(), with_key(&key), true).await.unwrap();
    engine.set_secret("card", VALUE, "ada").await.unwrap();
    engine.stop(Duration::ZERO).await.unwrap();
    let item = store.item("secrets", "card").await.unwrap().unwrap();
    let check = async |name: &str, body: Vec<u8>| {
        let write = ItemWrite::put("secrets", name, Expect::Anything, body);
        store.write_items(vec![write]).await.unwrap().unwrap();
        let error = reason(open(store.clone(), with_key(&key), true).await.err());
        assert!(error.contains(&format!("`{name}` does not open")), "{error}");
        let undo = ItemWrite::remove("secrets", name, Expect::Anything);
        store.write_items(vec![undo]).await.unwrap().unwrap();
    };
    check("webhook", item.body.clone()).await;
    check("other", b"no JSON".to_vec()).await;
    let text = String::from_utf8(item.body.clone()).unwrap();
    check("card", text.replace("ada", "eve").into_bytes()).await;
    let mut sealed: Value = serde_json::from_slice(&item.body).unwrap();
    let swapped: String = sealed["sealed"].as_str().unwrap().chars().rev().collect();
    sealed["sealed"] = swapped.into();
    check("card", sealed.to_string().into_bytes()).await;
}

#[tokio::test]
async fn another_key_takes_all_secrets_over_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (key, other) = (folder.path().join("key"), folder.path().join("other"));
    SecretsKey::write_new(&key).unwrap();
    let new = SecretsKey::write_new(&other).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = open(store.clone(), with_key(&key), true).await.unwrap();
    for name in ["card", "webhook", "mail"] {
        engine.set_secret(name, VALUE, "ada").await.unwrap();
    }
    assert_eq!(engine.reseal_secrets(&new).await.unwrap(), 3);
    assert_eq!(engine.reseal_secrets(&new).await.unwrap(), 3, "again is no mistake");
    engine.stop(Duration::ZERO).await.unwrap();
    assert!(open(store.clone(), with_key(&key), true).await.is_err());
    let engine = open(store.clone(), with_key(&other), true).await.unwrap();
    assert_eq!(length(&engine).await, json!(VALUE.len()));
    assert_eq!(engine.kept_secrets().await.unwrap()[0].set_by, "ada", "who set them stays");
    engine.stop(Duration::ZERO).await.unwrap();

    // With the wrong key nothing is touched.
    let third = SecretsKey::write_new(&folder.path().join("third")).unwrap();
    let engine = open(store.clone(), with_key(&key), false).await.unwrap();
    assert!(matches!(engine.reseal_secrets(&third).await, Err(SecretError::Locked { .. })));
    engine.stop(Duration::ZERO).await.unwrap();
    assert!(open(store, with_key(&other), true).await.is_ok());
}

#[tokio::test]
async fn names_values_and_their_number_have_limits() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    SecretsKey::write_new(&key).unwrap();
    let engine = open(Arc::new(MemoryStore::new()), with_key(&key), false).await.unwrap();
    for name in ["", "a-b", "1a", "a b", "a.b", "ä", &"a".repeat(129)] {
        let refused = engine.set_secret(name, VALUE, "ada").await;
        assert!(matches!(refused, Err(SecretError::Name { .. })), "{name}");
    }
    for value in ["", &"x".repeat(VALUE_BYTES_MAX + 1)] {
        let refused = engine.set_secret("card", value, "ada").await;
        assert!(matches!(refused, Err(SecretError::Value { .. })), "{}", value.len());
    }
    for number in 0..SECRETS_MAX {
        engine.set_secret(&format!("s{number}"), "value", "ada").await.unwrap();
    }
    assert!(matches!(
        engine.set_secret("one_more", "value", "ada").await,
        Err(SecretError::TooMany)
    ));
    engine.set_secret("s0", &"x".repeat(VALUE_BYTES_MAX), "ada").await.unwrap();
    let other = SecretsKey::write_new(&folder.path().join("other")).unwrap();
    assert_eq!(engine.reseal_secrets(&other).await.unwrap(), SECRETS_MAX);
}
