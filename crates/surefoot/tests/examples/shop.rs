//! `order_processing` against a payment service on a socket and a stock in SQLite.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use surefoot::kinds::{DatabaseConfig, HttpConfig};
use surefoot::{
    By, Command, Config, Context, Engine, RunHandle, RunStatus, StartRequest, TaskError, TaskStatus,
};

use crate::GRACE;
use crate::support::examples::source;
use crate::support::http_server::{Answer, HttpServer, Request, answer};
use crate::support::status_of;

/// What the service keeps: charges by idempotency key, refunds and notes in order.
#[derive(Default)]
struct Ledger {
    charges: BTreeMap<String, Value>,
    refunds: Vec<Value>,
    notes: Vec<Value>,
    /// Requests for a charge that are answered with 503 before one is taken.
    refusals: u32,
}

struct Shop {
    folder: tempfile::TempDir,
    server: HttpServer,
    ledger: Arc<Mutex<Ledger>>,
}

impl Shop {
    async fn open(refusals: u32) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let database = rusqlite::Connection::open(folder.path().join("shop.db")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
                 INSERT INTO stock VALUES ('cup', 5), ('tea', 10);",
            )
            .unwrap();
        let ledger = Arc::new(Mutex::new(Ledger { refusals, ..Ledger::default() }));
        let kept = ledger.clone();
        let server = HttpServer::start(move |request| kept.lock().unwrap().answer(request)).await;
        Shop { folder, server, ledger }
    }

    async fn engine(&self) -> Engine {
        let url = format!("sqlite:{}", self.path("shop.db"));
        let database = DatabaseConfig { url, max_connections: 4 };
        let config = Config {
            http: HttpConfig { allow_private: true, ..HttpConfig::default() },
            databases: [("shop".to_owned(), database)].into(),
            ..Config::default()
        };
        let engine = Engine::builder()
            .store(&format!("sqlite:{}", self.path("runs.db")))
            .config(config)
            .handler("validate_order", async |_: Context, order: Value| {
                let items = order["items"].as_array().map_or(0, Vec::len);
                Ok::<_, TaskError>(json!({"items": items}))
            })
            .open()
            .await
            .unwrap();
        engine.deploy(&source("order_processing")).await.unwrap();
        engine
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn order(&self, total: f64, items: &Value) -> StartRequest {
        StartRequest::new("order_processing").actor("ann").input(json!({
            "order_id": "o-1", "shop_url": self.server.base, "total": total, "items": items,
        }))
    }

    /// Quantities of cups and teas.
    fn stock(&self) -> Vec<i64> {
        let database = rusqlite::Connection::open(Path::new(&self.path("shop.db"))).unwrap();
        let mut rows = database.prepare("SELECT quantity FROM stock ORDER BY sku").unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn requests(&self, target: &str) -> Vec<Request> {
        let seen = self.server.seen.lock().unwrap();
        seen.iter().filter(|it| it.target == target).cloned().collect()
    }
}

impl Ledger {
    fn answer(&mut self, request: &Request) -> Answer {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let key = request.header("idempotency-key").unwrap().to_owned();
        let reply = match request.target.as_str() {
            "/charges" if self.refusals > 0 => {
                self.refusals -= 1;
                return answer("503 Service Unavailable", "text/plain", "", "busy");
            }
            "/charges" => {
                let id = format!("ch_{}", self.charges.len() + 1);
                self.charges.entry(key).or_insert_with(|| json!({"id": id})).clone()
            }
            "/refunds" => {
                self.refunds.push(body["charge"].clone());
                json!({})
            }
            _ => {
                self.notes.push(body);
                json!({})
            }
        };
        answer("200 OK", "application/json", "", &reply.to_string())
    }
}

fn tea(n: u32) -> Value {
    json!({"sku": "tea", "n": n})
}

#[tokio::test]
async fn a_small_order_is_paid_reserved_and_told() {
    let shop = Shop::open(2).await;
    let engine = shop.engine().await;
    let items = json!([tea(3), {"sku": "cup", "n": 1}]);
    let outcome = engine.execute(shop.order(40.0, &items)).await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!(outcome.output, json!({"charge": "ch_1", "reserved": 2}));
    assert_eq!(status_of(&engine, outcome.run, "approve").await, TaskStatus::Skipped);
    assert_eq!(shop.stock(), [4, 7]);
    assert_eq!(shop.ledger.lock().unwrap().notes[0]["order"], "o-1");
    let tries = shop.requests("/charges");
    let keys: Vec<_> = tries.iter().map(|it| it.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 3, "two refusals and a charge");
    assert!(keys.iter().all(|it| *it == keys[0]), "{keys:?}");
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_large_order_waits_for_finance_even_over_a_restart() {
    let shop = Shop::open(0).await;
    let engine = shop.engine().await;
    let run = engine.start(shop.order(2_500.0, &json!([tea(1)]))).await.unwrap().id();
    engine.idle().await;
    assert_eq!(status_of(&engine, run, "approve").await, TaskStatus::Waiting);
    engine.stop(GRACE).await.unwrap();
    assert!(shop.requests("/charges").is_empty(), "nothing is paid before the release");

    let engine = shop.engine().await;
    let vote = |groups: &[&str]| Command::Vote {
        task: None,
        approve: true,
        comment: None,
        data: Value::Null,
        groups: groups.iter().map(|it| (*it).to_owned()).collect(),
    };
    let run: RunHandle = engine.run(run);
    run.command(vote(&["sales"]), By::actor("ben")).await.unwrap_err();
    run.command(vote(&["finance"]), By::actor("cleo")).await.unwrap();
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!((shop.requests("/charges").len(), shop.stock()), (1, vec![5, 9]));
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn an_order_that_is_placed_twice_keeps_no_other_from_its_turn() {
    let shop = Shop::open(0).await;
    let engine = shop.engine().await;
    let order = || shop.order(40.0, &json!([tea(1)]));
    let first = engine.execute(order().key("k")).await.unwrap();
    assert_eq!(engine.start(order().key("k")).await.unwrap().id(), first.run);
    // One run of an order at a time: the start that was none must not count as one.
    let again = engine.execute(order()).await.unwrap();
    assert_eq!((again.status, shop.stock()), (RunStatus::Completed, vec![5, 8]));
    engine.stop(GRACE).await.unwrap();
}

/// Items that cannot be had, and the kind of error that the run ends with.
#[tokio::test]
async fn a_missing_item_gives_back_the_money_and_the_stock() {
    let cases = [
        (json!([tea(3), {"sku": "cup", "n": 6}]), "sql_constraint"),
        (json!([tea(3), {"sku": "pot", "n": 1}]), "unknown_item"),
    ];
    for (items, kind) in cases {
        let shop = Shop::open(0).await;
        let engine = shop.engine().await;
        let outcome = engine.execute(shop.order(40.0, &items)).await.unwrap();
        assert_eq!(outcome.status, RunStatus::Failed, "{outcome:?}");
        assert_eq!(outcome.error.unwrap().error.kind, kind);
        assert_eq!(status_of(&engine, outcome.run, "pay").await, TaskStatus::Compensated);
        assert_eq!(shop.stock(), [5, 10], "what was taken is put back");
        {
            let ledger = shop.ledger.lock().unwrap();
            assert_eq!((&ledger.refunds, ledger.notes.len()), (&vec![json!("ch_1")], 0));
        }
        engine.stop(GRACE).await.unwrap();
    }
}
