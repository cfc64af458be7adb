//! Proves that every case of a net or of a BPMN process can end properly, or shows a run in which it
//! cannot. Pure: bytes in, verdicts out.
//!
//! | module | for |
//! |---|---|
//! | `file`, `bpmn`, `pnml`, `xml` | what is read |
//! | `net`, `workflow_net` | nets, and those that describe cases |
//! | `soundness`, `verdict` | the check and what it answers |
//! | `reduce`, `search` | how it decides |
//! | `proof`, `certificate` | why one may believe it |

#![forbid(unsafe_code)]

pub mod bpmn;
pub mod certificate;
mod file;
pub mod generate;
mod lists;
mod marking;
pub mod net;
pub mod pnml;
pub mod problem;
pub mod proof;
mod reduce;
mod run;
mod search;
pub mod soundness;
pub mod structure;
pub mod verdict;
pub mod workflow_net;
pub mod xml;

pub use file::{File, Part, read};
pub use net::{Label, Net};
pub use problem::Problem;
pub use search::Limits;
pub use soundness::check;
pub use verdict::{Defect, Unknown, Verdict};
