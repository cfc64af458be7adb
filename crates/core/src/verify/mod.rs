//! What is proved of a definition before it runs.
//!
//! Every answer is proved, refuted with data that shows it, or unknown with the reason. Nothing
//! here guesses: what is beyond a procedure is named, and never counts as proved.

pub mod guard;
