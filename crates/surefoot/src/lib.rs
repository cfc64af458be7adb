//! Placeholder.
pub mod draw;
pub mod kinds;
