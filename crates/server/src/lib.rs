//! The service: HTTP over an engine.
//!
//! A program that has an axum router of its own mounts this one beside its routes:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let engine = surefoot::Engine::builder().store("memory:").open().await.unwrap();
//! let service = surefoot_server::Service::open(engine, Default::default()).await.unwrap();
//! let app = axum::Router::new()
//!     .route("/hello", axum::routing::get(|| async { "hello" }))
//!     .merge(service.router());
//! # let _: axum::Router = app;
//! # });
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `service` | what all handlers share |
//! | `api` | how a route is declared: with the access that it needs |
//! | `auth` | who asks, and what they may |
//! | `body`, `parameters`, `problem`, `cursor` | what comes in and what goes out |
//! | `idempotency` | a request that is sent twice is carried out once |
//! | `workflows`, `runs`, `tasks` | the things themselves |
//! | `bulk` | the same change to many runs |
//! | `events` | live events, one stream for each client |
//! | `subscriptions`, `notify` | what is sent out: CloudEvents, notifications |
//! | `secrets` | secrets that the store keeps |
//! | `audit` | who did what |
//! | `workers` | who executes tasks in other processes |
//! | `schedules`, `hooks`, `ingest` | what starts runs by itself |
//! | `health`, `metrics`, `overview`, `badge` | whether it is well, and how much it does |
//! | `listen`, `connection` | the socket: where it listens, how it stops, what one connection may do |

#![forbid(unsafe_code)]

mod api;
mod audit;
mod auth;
mod badge;
mod body;
mod bulk;
mod config;
mod connection;
mod cursor;
mod events;
mod health;
mod hooks;
mod idempotency;
mod ingest;
mod listen;
mod metrics;
mod notify;
mod overview;
mod parameters;
mod problem;
mod runs;
mod schedules;
mod secrets;
mod service;
mod signature;
mod subscriptions;
mod tasks;
mod time;
mod workers;
mod workflows;

pub use api::{Access, Declared};
pub use auth::{Algorithm, OidcConfig, Principal, Role, RoleOf, hash_for_config};
pub use config::{ServerConfig, TokenConfig};
pub use listen::{ListenError, serve};
pub use metrics::Metrics;
pub use notify::{NotifyConfig, NotifyOn, SmtpConfig};
pub use problem::Problem;
pub use service::{OpenError, Service};
