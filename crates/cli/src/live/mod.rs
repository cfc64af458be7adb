//! A run as it goes on: a tree redrawn in place on a terminal, a line for each change elsewhere.

mod screen;
pub mod tree;
mod watch;

pub use screen::Screen;
pub use watch::{Ending, Signals, Watch};
