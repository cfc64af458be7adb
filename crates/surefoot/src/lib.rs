//! Placeholder.
pub mod kinds;
