//! A durable workflow engine to embed.

pub mod draw;
pub mod kinds;

pub use surefoot_core as core;
pub use surefoot_store as store;
