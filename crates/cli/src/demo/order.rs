//! One order of the demo: the example workflow, run by an engine of this process.

use std::path::PathBuf;

use serde_json::{Value, json};
use surefoot::core::run::{Run, TaskId};
use surefoot::kinds::DatabaseConfig;
use surefoot::{Context, DeployError, Engine, RunId, StartRequest, TaskError, inspect};
use tokio::time::{Duration, sleep};

use super::crash::Moment;
use super::proof;
use super::stock::{self, Stock};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::live::{Ending, Signals, Watch};
use crate::output::time::now;
use crate::session::Session;

const SOURCE: &str =
    include_str!("../../../../examples/order_processing/order_processing.surefoot.yaml");
pub const TOTAL: f64 = 42.0;
/// What is ordered, by name.
pub const ITEMS: [(&str, i64); 2] = [("cup", 1), ("tea", 2)];
/// Long enough to be seen.
const VALIDATION: Duration = Duration::from_millis(200);

/// An order and the folder that holds what the shop knows of it.
pub struct Order {
    pub id: String,
    pub folder: PathBuf,
}

impl Order {
    /// Places a new order: a folder beside the store, with full shelves.
    pub fn place(session: &Session) -> Result<Order> {
        let store = session.store_path();
        let beside = store.as_deref().and_then(|it| it.parent()).map(PathBuf::from);
        let id = format!("o-{}-{}", now(), std::process::id());
        let folder = beside.unwrap_or_else(std::env::temp_dir).join("demo").join(&id);
        std::fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("{} cannot be made: {error}", folder.display());
            Failure::new(Exit::Usage, "SF5081", message)
                .hint("Go to a directory that you may write to, or name a store with --store.")
        })?;
        let order = Order { id, folder };
        stock::fill(&order.stock())?;
        Ok(order)
    }

    /// Finds the order of a folder that [`Order::place`] made.
    pub fn at(folder: PathBuf) -> Order {
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Order { id, folder }
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }

    pub fn stock(&self) -> PathBuf {
        self.folder.join("shop.db")
    }

    /// What is left on the shelves once the order was taken from them, once.
    pub fn taken_from(&self, stock: &Stock) -> Stock {
        let mut left = stock.clone();
        for (sku, count) in ITEMS {
            left.entry(sku.to_owned()).and_modify(|it| *it -= count);
        }
        left
    }

    fn request(&self, session: &Session, version: &str, shop_url: &str) -> StartRequest {
        let items: Vec<Value> = ITEMS.iter().map(|(sku, n)| json!({"sku": sku, "n": n})).collect();
        StartRequest::new("order_processing")
            .version(version)
            // Who starts the order again gets the run that there is: this is all that a restart
            // needs to know.
            .key(&self.id)
            .actor(&session.settings.actor)
            .input(
                json!({"order_id": self.id, "shop_url": shop_url, "items": items, "total": TOTAL}),
            )
    }
}

/// Runs an order to its end, or goes on with it. At the moment of a crash the process is gone.
pub async fn run(
    session: &Session,
    order: &Order,
    shop_url: &str,
    crash: Option<Moment>,
) -> Result<Run> {
    let told = records_of(session, order).await;
    let engine = open(session, order).await?;
    let (updates, alarms) = (engine.subscribe(), engine.subscribe());
    let deployed = engine.deploy_draft(SOURCE).await.map_err(|error| match error {
        DeployError::Store(error) => error.into(),
        other => Failure::new(Exit::Bug, "SF5082", format!("the demo's workflow: {other}")),
    })?;
    let id = engine.start(order.request(session, &deployed.version, shop_url)).await?.id();
    if let Some(moment) = crash {
        let task = task_of(&engine, id, moment.task()).await?;
        tokio::spawn(moment.strike(id, task, alarms, order.ledger()));
    }
    let mut watch = Watch::new(session, &engine, updates, Signals::new()?, id, told).await?;
    let ending = watch.until_end(None, false).await?;
    let run = inspect::load(&**engine.store(), id).await?;
    engine.stop(Duration::from_secs(1)).await?;
    match ending {
        Ending::Ended(_) => Ok(run),
        Ending::TimedOut | Ending::Idle | Ending::Interrupted => {
            session.output.say(format!("run {id} is kept; look at it with `surefoot show {id}`"));
            Err(Failure::told(Exit::Interrupted))
        }
    }
}

/// Returns how far the journal of an order has come, which another process has told of.
async fn records_of(session: &Session, order: &Order) -> u64 {
    proof::run_of(session, order).await.map_or(0, |it| it.state().records)
}

async fn open(session: &Session, order: &Order) -> Result<Engine> {
    let mut config = session.settings.engine.clone();
    config.http.allow_private = true;
    let url = format!("sqlite:{}", order.stock().display());
    config.databases.insert("shop".to_owned(), DatabaseConfig { url, max_connections: 4 });
    let engine = session.builder(false).config(config).handler("validate_order", validate).open();
    Ok(engine.await?)
}

/// The demo's own handler: an order has a positive number of each item.
async fn validate(_: Context, order: Value) -> std::result::Result<Value, TaskError> {
    sleep(VALIDATION).await;
    let items = order["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.iter().all(|it| it["n"].as_i64().is_some_and(|n| n > 0)) {
        return Ok(json!({"items": items.len()}));
    }
    Err(TaskError::fatal("invalid_order", "an item is ordered without a number"))
}

/// Finds the place of a task of the graph in the run.
async fn task_of(engine: &Engine, id: RunId, name: &str) -> Result<TaskId> {
    let run = inspect::load(&**engine.store(), id).await?;
    let found = run.state().children_of_root().find(|it| *run.node(*it).id == *name);
    found.ok_or_else(|| Failure::new(Exit::Bug, "SF5082", format!("the demo has no task `{name}`")))
}
