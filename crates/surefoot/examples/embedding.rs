//! An order workflow inside of a program: its steps are functions with typed inputs and outputs.
//!
//! ```sh
//! cargo run -p surefoot --example embedding -- orders.db
//! ```
//!
//! Run it twice, or kill it in between: an order is a key, so the second program finds the run of
//! the first one, goes on where it was, and prints the same charge.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use surefoot::{Context, Engine, RunOutcome, StartRequest, TaskError};

const WORKFLOW: &str = include_str!("../../../examples/embedding/embedding.surefoot.yaml");

// A handler's input is the run's input, the results of the tasks that it needs by their names, and
// `with` over both. A type takes what it wants of it.

#[derive(Deserialize)]
struct Order {
    order_id: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    n: u32,
    price: f64,
}

#[derive(Serialize)]
struct Priced {
    total: f64,
}

#[derive(Deserialize)]
struct Charge {
    order_id: String,
    amount: f64,
}

#[derive(Serialize)]
struct Charged {
    charge: String,
}

#[derive(Deserialize)]
struct Refund {
    charge: String,
}

#[derive(Serialize)]
struct Shipped {
    parcel: String,
}

async fn price_order(_: Context, order: Order) -> Result<Priced, TaskError> {
    let total = order.lines.iter().map(|it| f64::from(it.n) * it.price).sum();
    if total <= 0.0 {
        // Trying again would not help.
        return Err(TaskError::fatal("worthless", "the order is worth nothing"));
    }
    Ok(Priced { total })
}

async fn charge_card(context: Context, charge: Charge) -> Result<Charged, TaskError> {
    if context.attempt == 1 {
        return Err(TaskError::new("busy", "the bank is busy, as banks are"));
    }
    // The key is the same for every attempt: a bank that knows it charges once.
    let receipt = &context.idempotency_key[..8];
    context.log("info", &format!("charged {:.2} for {}", charge.amount, charge.order_id));
    Ok(Charged { charge: format!("ch_{receipt}") })
}

async fn refund_card(context: Context, refund: Refund) -> Result<(), TaskError> {
    context.log("warn", &format!("gave back {}", refund.charge));
    Ok(())
}

/// A blocking function: it has a thread of its own while it runs.
fn ship_parcel(_: Context, order: Order) -> Result<Shipped, TaskError> {
    std::thread::sleep(Duration::from_millis(10));
    Ok(Shipped { parcel: format!("parcel-{}", order.order_id) })
}

/// Runs an order on a store, or finds how it ended.
pub async fn run(store: &str, order_id: &str) -> Result<RunOutcome, Box<dyn Error>> {
    let engine = Engine::builder()
        .store(store)
        .handler("price_order", price_order)
        .handler("charge_card", charge_card)
        .handler("refund_card", refund_card)
        .blocking_handler("ship_parcel", ship_parcel)
        .open()
        .await?;
    let deployed = engine.deploy(WORKFLOW).await?;
    let order = json!({"order_id": order_id, "lines": [{"sku": "tea", "n": 2, "price": 4.5}]});
    let request = StartRequest::new(&deployed.workflow).input(order).key(order_id);
    let outcome = engine.execute(request).await?;
    engine.stop(Duration::from_secs(5)).await?;
    Ok(outcome)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "orders.db".to_owned());
    let outcome = run(&format!("sqlite:{path}"), "o-1001").await?;
    println!("run {} {}: {}", outcome.run, outcome.status, outcome.output);
    Ok(())
}
