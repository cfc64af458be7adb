//! Spans of what runs without a server: sent to the collector that the settings name while it goes
//! on, and the rest at its end. A trace never keeps a run from anything: what cannot be sent costs a
//! warning, and the journal has it for the next one that sends.

use std::sync::Arc;
use std::time::Duration;

use surefoot::Engine;
use surefoot::traces::{Counts, Exporter};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::session::Session;

/// How long the end of a command waits for a collector.
const FINISH_TIME_MAX: Duration = Duration::from_secs(5);
const SENT_LATER: &str = "the next `surefoot run` or server with this store sends them";

/// Sends spans beside a run.
pub struct Spans {
    exporter: JoinHandle<Exporter>,
    stop: CancellationToken,
}

impl Spans {
    /// Begins to send, if the settings name a collector.
    pub async fn begin(session: &Session, engine: &Engine) -> Option<Spans> {
        match Exporter::open(engine, Arc::<Counts>::default()).await {
            Ok(exporter) => {
                let stop = CancellationToken::new();
                let exporter = tokio::spawn(exporter?.run(stop.clone()));
                Some(Spans { exporter, stop })
            }
            Err(reason) => {
                session.output.say(format!("warning: no spans are sent: {reason}"));
                None
            }
        }
    }

    /// Sends what is there by now, and waits for it only so long.
    pub async fn finish(self, session: &Session) {
        self.stop.cancel();
        let finished = tokio::time::timeout(FINISH_TIME_MAX, async {
            let mut exporter = self.exporter.await.map_err(|error| error.to_string())?;
            exporter.finish().await.map_err(|error| error.to_string())
        });
        let problem = match finished.await {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem,
            Err(_) => format!("the collector took more than {} s", FINISH_TIME_MAX.as_secs()),
        };
        session.output.say(format!("warning: spans were not sent: {problem}; {SENT_LATER}"));
    }
}
