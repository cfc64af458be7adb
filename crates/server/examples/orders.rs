//! An order service: a program with routes of its own, whose orders are durable runs. It mounts the
//! whole API of Surefoot beside them.
//!
//! ```sh
//! cargo run -p surefoot-server --example orders
//! curl -H 'content-type: application/json' -d '{"order_id": "o-1", "amount": 12.5, "items": {"cup": 1}}' \
//!     http://127.0.0.1:7070/workflows/orders
//! curl http://127.0.0.1:7070/workflows/RUN
//! ```

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use surefoot::{Context, Engine, RunId, StartRequest, TaskError, inspect};
use surefoot_server::{ServerConfig, Service};

/// Validate, pay, update the inventory, notify. Who has paid is refunded when the stock runs out.
const DEFINITION: &str = r#"
id: order
version: 1.0.0
input:
  type: object
  required: [order_id, amount, items]
  properties:
    order_id: {type: string}
    amount: {type: number, exclusiveMinimum: 0}
    items: {type: object}
tasks:
  validate: {uses: validate}
  pay: {needs: [validate], uses: pay, effect: keyed, retry: {max_attempts: 3, delay: 200ms}, compensate: {uses: refund}}
  inventory: {needs: [pay], uses: update_inventory, effect: idempotent}
  notify: {needs: [inventory], uses: log, with: {message: "Order ${{ input.order_id }} is on its way."}}
output: {charge: "${{ tasks.pay.output.charge }}"}
"#;

#[derive(Deserialize, Serialize)]
struct Order {
    order_id: String,
    amount: f64,
    items: BTreeMap<String, u32>,
}

/// What the shop has. A real one keeps it in its database; see the kind `sql`.
type Stock = Arc<Mutex<BTreeMap<String, u32>>>;

fn take(stock: &Stock, items: &BTreeMap<String, u32>) -> Result<(), TaskError> {
    let mut stock = stock.lock().unwrap_or_else(|it| it.into_inner());
    if let Some((item, _)) = items.iter().find(|(it, count)| stock.get(*it).unwrap_or(&0) < count) {
        return Err(TaskError::fatal("out_of_stock", format!("there is not enough of {item}")));
    }
    for (item, count) in items {
        stock.entry(item.clone()).and_modify(|it| *it -= count);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stock: Stock = Arc::new(Mutex::new([("cup".to_owned(), 5), ("tea".to_owned(), 9)].into()));
    let shelf = stock.clone();
    let engine = Engine::builder()
        .store("sqlite:orders.db")
        .handler("validate", async |_: Context, order: Order| match order.items.is_empty() {
            true => Err(TaskError::fatal("empty_order", "the order has no items")),
            false => Ok(json!({"lines": order.items.len()})),
        })
        .handler("pay", async |context: Context, order: Order| {
            // The same key for every attempt: a bank that knows it charges once.
            let charge = format!("{:.2} for {}", order.amount, context.idempotency_key);
            Ok::<_, TaskError>(json!({"charge": charge}))
        })
        .handler("refund", async |_: Context, _: Value| {
            Ok::<_, TaskError>(json!({"refunded": true}))
        })
        .handler("update_inventory", move |_: Context, order: Order| {
            let shelf = shelf.clone();
            async move { take(&shelf, &order.items).map(|()| json!({"updated": true})) }
        })
        .open()
        .await?;
    engine.deploy(DEFINITION).await?;
    let service = Service::open(engine.clone(), ServerConfig::default()).await?;
    let own = Router::new()
        .route("/workflows/orders", post(create))
        .route("/workflows/{run}", get(show))
        .with_state(engine);
    let listener = service.bind().await?;
    println!("orders on http://{}", listener.local_addr()?);
    let router = own.merge(service.router());
    tokio::select! {
        // Starts what is scheduled and follows triggers; whoever mounts the router keeps it going.
        () = service.keep() => {}
        served = axum::serve(listener, router) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    service.engine().stop(service.config().drain_time()).await?;
    Ok(())
}

/// Takes an order. The same order sent twice is one run.
async fn create(
    State(engine): State<Engine>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Value>), (StatusCode, String)> {
    let request = StartRequest::new("order").key(&order.order_id).input(json!(order));
    match engine.start(request).await {
        Ok(run) => Ok((StatusCode::ACCEPTED, Json(json!({"workflow_id": run.id()})))),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}

/// Says how far an order is.
async fn show(
    State(engine): State<Engine>,
    Path(run): Path<RunId>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let run = inspect::load(&**engine.store(), run).await;
    let run = run.map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))?;
    let state = run.state();
    Ok(Json(json!({"status": state.status, "output": state.output, "error": state.error})))
}
