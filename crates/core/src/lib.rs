//! The rules of Surefoot: definitions, checks, plans, and the deciders that run them.
//!
//! Nothing here reads a clock, draws a random number, touches a file or a socket, or is `async`:
//! whatever a rule needs is an argument, so that a replay is exact and a proof means something.

#![forbid(unsafe_code)]

pub mod canonical;
pub mod check;
pub mod convert;
pub mod definition;
pub mod editor_schema;
pub mod expr;
pub mod ids;
pub mod join;
pub mod kind_schema;
pub mod limits;
pub mod parse;
pub mod plan;
pub mod queue;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod simulate;
pub mod source;
pub mod task_error;
pub mod time;
pub mod trace;
pub mod verify;
