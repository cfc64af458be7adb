//! What a task can do. A [`Kind`] runs one attempt; the engine decides when, and what happens
//! next. Kinds that need no effect (`transform`, `wait`, `signal`, `approval`, `workflow`, `log`,
//! `fail`) are decided in `surefoot-core` and have no code here.

mod bounded;
mod context;
mod emit;
mod file;
mod http;
mod parameters;
mod shell;
mod sql;
mod tls;

pub(crate) use context::LogSink;
pub use context::{Context, Kind};
pub use emit::{EmitConfig, EmitKind};
pub use file::{FileConfig, FileKind, Root};
pub use http::{Cidr, EgressConfig, EgressRule, HostPattern, HttpConfig, HttpKind, Verdict};
pub use shell::{ShellConfig, ShellKind};
pub use sql::{DatabaseConfig, SqlConfig, SqlKind};
pub use surefoot_core::task_error::TaskError;
pub(crate) use tls::install_provider as install_tls_provider;

use std::sync::Arc;

use crate::config::Config;

/// Makes the kinds that every engine has.
pub fn built_in(config: &Config) -> Vec<(&'static str, Arc<dyn Kind>)> {
    let http = Arc::new(HttpKind::with_egress(config.http.clone(), config.egress.clone()));
    vec![
        ("emit", Arc::new(EmitKind::new(config.emit.clone(), http.clone())) as Arc<dyn Kind>),
        ("http", http),
        ("sql", Arc::new(SqlKind::new(config.databases.clone()))),
        ("file", Arc::new(FileKind::new(config.files.clone()))),
        ("shell", Arc::new(ShellKind::new(config.shell.clone()))),
    ]
}
