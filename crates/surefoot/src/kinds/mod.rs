//! What a task can do. A [`Kind`] runs one attempt; the engine decides when, and what happens
//! next. Kinds that need no effect (`transform`, `wait`, `signal`, `approval`, `workflow`, `log`,
//! `fail`) are decided in `surefoot-core` and have no code here.

mod context;

pub use context::{Context, Kind};
pub use surefoot_core::task_error::TaskError;
