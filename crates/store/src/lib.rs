//! Where runs are kept. The trait [`Store`] says what a backend promises; `memory` and `sqlite`
//! keep the promises; `conformance` checks each of them; `fault` breaks calls on purpose.
//!
//! A backend moves rows. It never looks into a record, and decides nothing: what a row says is
//! computed by `surefoot-core` and handed over.

mod row;
mod store;

pub use row::*;
pub use store::*;
