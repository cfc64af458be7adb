//! What other processes need to talk to a Surefoot server.
//!
//! ```no_run
//! use serde_json::{Value, json};
//! use surefoot_client::{Client, TaskContext, TaskFailure, Worker, wire::StartRun};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:7070", None)?;
//! let input = Some(json!({"order_id": "o-1"}));
//! let started = client.start("order", &StartRun { input, ..StartRun::default() }).await?;
//! println!("{:?}", client.result(&started.run.id, 30).await?);
//!
//! // And somewhere else, a process that executes the tasks that `use: pay`.
//! Worker::new("http://127.0.0.1:7070")
//!     .handler("pay", async |task: TaskContext, input: Value| {
//!         task.progress(0.5, "charging");
//!         Ok::<_, TaskFailure>(json!({"charged": input["amount"], "key": task.idempotency_key}))
//!     })
//!     .run_until(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`Client`] | calls, each with its types |
//! | [`wire`] | requests and answers as they are on the wire |
//! | [`Events`] | what happens, as it happens |
//! | [`Worker`] | the loop of a worker |

#![forbid(unsafe_code)]

mod client;
mod error;
mod events;
pub mod wire;
mod worker;

pub use client::{Client, Started, segment};
pub use error::Error;
pub use events::{Events, ServerEvent};
pub use wire::TaskFailure;
pub use worker::{Handler, TaskContext, Worker, WorkerError};
