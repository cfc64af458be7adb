//! Where runs are kept. The trait [`Store`] says what a backend promises; `memory` and `sqlite`
//! keep the promises; `conformance` checks each of them; `fault` breaks calls on purpose.
//!
//! A backend moves rows. It never looks into a record, and decides nothing: what a row says is
//! computed by `surefoot-core` and handed over.

#![forbid(unsafe_code)]

pub mod conformance;
pub mod fault;
mod item;
mod memory;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

pub use item::{
    COLLECTION_BYTES_MAX, Expect, ITEM_BYTES_MAX, ITEM_WRITES_BYTES_MAX, ITEM_WRITES_MAX, Item,
    ItemConflict, ItemWrite, KEY_BYTES_MAX,
};
pub use memory::MemoryStore;
pub use row::*;
#[cfg(feature = "sqlite")]
pub use sqlite::{APPLICATION_ID, Mode, SqliteStore, bare_limit};
pub use store::*;
