//! `data_pipeline` and `scheduled_backup`: files, a database and programs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use surefoot::core::check::{CheckContext, check_source};
use surefoot::core::definition::{CatchUp, Overlap, Trigger};
use surefoot::kinds::{DatabaseConfig, FileConfig, Root, ShellConfig};
use surefoot::{Config, Engine, RunOutcome, RunStatus, StartRequest};

use crate::GRACE;
use crate::support::examples::source;

/// Opens an engine that may use one folder, run programs in it, and has a database there.
async fn engine(folder: &Path) -> Engine {
    let root = Root { name: None, path: folder.to_owned(), read_only: false };
    let url = format!("sqlite:{}", folder.join("warehouse.db").display());
    let config = Config {
        files: FileConfig { roots: vec![root], ..FileConfig::default() },
        shell: ShellConfig {
            enabled: true,
            directory: folder.to_owned(),
            ..ShellConfig::default()
        },
        databases: [("warehouse".to_owned(), DatabaseConfig { url, max_connections: 2 })].into(),
        ..Config::default()
    };
    let store = format!("sqlite:{}", folder.join("runs.db").display());
    Engine::builder().store(&store).config(config).open().await.unwrap()
}

async fn run(engine: &Engine, name: &str, input: Value) -> RunOutcome {
    engine.deploy(&source(name)).await.unwrap();
    engine.execute(StartRequest::new(name).input(input)).await.unwrap()
}

/// Puts a file and its promise into `incoming`.
fn deliver(folder: &Path, name: &str, rows: &Value, promised: Option<&str>) {
    let incoming = folder.join("incoming");
    fs::create_dir_all(&incoming).unwrap();
    let text = rows.to_string();
    let sum: String = Sha256::digest(&text).iter().map(|it| format!("{it:02x}")).collect();
    fs::write(incoming.join(name), text).unwrap();
    let promise = format!("{}  {name}\n", promised.unwrap_or(&sum));
    fs::write(incoming.join(format!("{name}.sha256")), promise).unwrap();
}

#[tokio::test]
async fn a_delivery_is_loaded_once_reported_and_put_away() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let row =
        |id: &str, region: &str, amount: f64| json!({"id": id, "region": region, "amount": amount});
    let rows = json!([row("s1", "north", 10.0), row("s2", "south", 7.5), row("s3", "north", 2.5)]);
    let totals = json!([
        {"region": "north", "sales": 2, "amount": 12.5},
        {"region": "south", "sales": 1, "amount": 7.5},
    ]);
    for _ in 0..2 {
        deliver(folder.path(), "sales.json", &rows, None);
        let outcome = run(&engine, "data_pipeline", json!({"file": "sales.json"})).await;
        assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
        assert_eq!(outcome.output["totals"], totals, "the same rows again change nothing");
    }
    let report = fs::read(folder.path().join("reports/sales.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&report).unwrap(), totals);
    assert!(folder.path().join("done/sales.json").exists());
    assert!(!folder.path().join("incoming/sales.json").exists());
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_not_promised_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    deliver(folder.path(), "sales.json", &json!([]), Some("0000"));
    let outcome = run(&engine, "data_pipeline", json!({"file": "sales.json"})).await;
    assert_eq!(outcome.error.unwrap().error.kind, "wrong_checksum");
    assert!(folder.path().join("incoming/sales.json").exists());
    assert!(!folder.path().join("reports").exists());
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn backups_can_be_read_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/notes.txt"), "worth keeping").unwrap();
    let mut made = Vec::new();
    for nth in 0..4 {
        let outcome = run(&engine, "scheduled_backup", json!({"keep": 2})).await;
        assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
        assert_eq!(outcome.output["files"], 2, "the folder and the file in it");
        made.push(format!("{}.tar.gz", outcome.run));
        let pruned: &[String] = if nth < 2 { &[] } else { &made[nth - 2..nth - 1] };
        assert_eq!(outcome.output["pruned"], json!(pruned));
    }
    let mut left: Vec<String> = fs::read_dir(folder.path().join("backups"))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let kept = made[2..].iter().flat_map(|it| [it.clone(), format!("{it}.sha256")]);
    assert_eq!(left, kept.collect::<Vec<_>>());
    engine.stop(GRACE).await.unwrap();
}

#[test]
fn the_backup_has_a_schedule() {
    let source = source("scheduled_backup");
    let documents = check_source(source.as_bytes(), &CheckContext::default());
    let definition = documents[0].definition.as_ref().unwrap();
    let [trigger] = &definition.triggers[..] else { panic!("{:?}", definition.triggers) };
    let Trigger::Cron { expression, timezone, policy } = &trigger.value else { panic!() };
    assert_eq!(expression.value, "30 2 * * *");
    assert_eq!(timezone.as_ref().unwrap().value, "Europe/London");
    assert_eq!((policy.catch_up, policy.overlap), (CatchUp::Latest, Overlap::Skip));
}
