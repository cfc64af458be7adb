//! What other processes need to talk to a Surefoot server.
//!
//! | module | holds |
//! |---|---|
//! | [`Client`] | calls, each with its types |
//! | [`wire`] | requests and answers as they are on the wire |

mod client;
mod error;
pub mod wire;

pub use client::{Client, Started};
pub use error::Error;
