//! What other processes need to talk to a Surefoot server.
//!
//! | module | holds |
//! |---|---|
//! | [`wire`] | requests and answers as they are on the wire |

pub mod wire;
