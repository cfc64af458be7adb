//! A durable workflow engine to embed.
//!
//! A definition is checked before it runs, every step is journalled before the next one starts,
//! and a run continues after any crash where it was.
//!
//! ```
//! use serde_json::{Value, json};
//! use surefoot::{Context, Engine, StartRequest, TaskError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let engine = Engine::builder()
//!     .store("memory:")
//!     .handler("greet", async |_: Context, input: Value| {
//!         Ok::<_, TaskError>(json!({"text": format!("Hello, {}!", input["name"])}))
//!     })
//!     .open()
//!     .await?;
//! engine.deploy("{id: hello, tasks: {greet: {uses: greet}}, output: '${{ tasks.greet.output.text }}'}").await?;
//! let outcome = engine.execute(StartRequest::new("hello").input(json!({"name": "you"}))).await?;
//! assert_eq!(outcome.output, json!("Hello, \"you\"!"));
//! # engine.stop(std::time::Duration::ZERO).await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod clock;
mod config;
pub mod draw;
mod engine;
mod handler;
pub mod inspect;
pub mod kinds;
pub mod schedules;
pub mod secrets;
pub mod testkit;
pub mod traces;
pub mod triggers;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use config::{Config, KindLimit, SecretsConfig};
pub use engine::{
    Alive, Beat, Capability, CommandError, DeployError, Deployed, Engine, EngineBuilder,
    ForkRequest, Inbox, Lease, LeaseError, LeaseInfo, Observation, Observer, OpenError,
    RemoteConfig, RunHandle, RunOutcome, RunView, Settled, StartError, StartRequest, Started,
    Statistics, TakeError, TakeRequest, Taken, Update, versions,
};
pub use kinds::{Context, Kind, TaskError};
pub use surefoot_core as core;
pub use surefoot_core::ids::RunId;
pub use surefoot_core::run::{By, Command, Event, Record, RunStatus, TaskStatus};
pub use surefoot_store as store;
