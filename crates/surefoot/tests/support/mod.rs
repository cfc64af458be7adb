//! What the tests of the task kinds share: an HTTP server that misbehaves on request, and a real
//! PostgreSQL. Each test program uses a part of it.
#![allow(dead_code, reason = "each test program uses a part of this module")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

pub mod examples;
pub mod http_server;
pub mod ordinary_user;
pub mod postgres;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use surefoot::kinds::{Context, TaskError};
use surefoot::{Engine, RunId, TaskStatus};

/// A context whose log goes nowhere.
pub fn context(task: &str) -> Context {
    Context::for_test(task, |_, _| ())
}

/// Checks that the attempt failed as told, and returns the error.
#[track_caller]
pub fn failed(found: Result<Value, TaskError>, kind: &str, retryable: bool) -> TaskError {
    let error = match found {
        Ok(output) => panic!("expected {kind}, found {output}"),
        Err(error) => error,
    };
    assert_eq!((error.kind.as_str(), error.retryable), (kind, retryable), "{error:?}");
    error
}

/// Returns the status of a task at the top level of a run.
pub async fn status_of(engine: &Engine, run: RunId, task: &str) -> TaskStatus {
    let run = surefoot::inspect::load(&**engine.store(), run).await.unwrap();
    let id = run.state().children_of_root().find(|it| *run.node(*it).id == *task).unwrap();
    run.state().task(id).status
}

/// Says that a test could not run here, so that nobody takes silence for success.
pub fn skipped(what: &str, why: &str) {
    assert!(
        std::env::var_os("SUREFOOT_REQUIRE_ALL").is_none(),
        "SUREFOOT_REQUIRE_ALL is set, but {what} cannot be tested: {why}"
    );
    eprintln!("SKIPPED: {what} is not tested: {why}");
}

/// Makes a key and a certificate for `localhost`; nothing without openssl.
pub fn self_signed(key: &Path, certificate: &Path) -> Option<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output();
    match made {
        Ok(done) if done.status.success() => Some(()),
        Ok(done) => panic!("openssl: {}", String::from_utf8_lossy(&done.stderr)),
        Err(error) => {
            skipped("TLS", &format!("openssl cannot be run: {error}"));
            None
        }
    }
}
