//! Connections for reading, away from the async threads. They see each commit at once, and hold
//! up neither the writer nor, for long, the log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::Attempt;
use super::open;
use crate::Result;

/// Reads at the same time. More would only share the same two or four processors.
const READERS_MAX: usize = 4;
/// A read that takes longer is stopped: it keeps the log from being emptied.
const READ_TIME_MAX: Duration = Duration::from_secs(5);
/// Steps of SQLite's machine between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

#[derive(Clone)]
pub struct Readers {
    path: Arc<PathBuf>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub fn new(path: PathBuf) -> Readers {
        Readers {
            path: Arc::new(path),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            idle: Arc::default(),
        }
    }

    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Attempt<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Some(READ_TIME_MAX), work).await
    }

    /// For what has to look at everything.
    pub async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Attempt<T> + Send + 'static,
    ) -> Result<T> {
        self.run(None, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        time_max: Option<Duration>,
        work: impl FnOnce(&Connection) -> Attempt<T> + Send + 'static,
    ) -> Result<T> {
        let location = self.path.display().to_string();
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(open::closed(&location));
        };
        let readers = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = readers.take()?;
            limit(&mut connection, time_max).map_err(|failure| failure.at(&location))?;
            let result = work(&connection).map_err(|failure| failure.at(&location));
            if !readers.permits.is_closed() {
                readers.idle.lock().expect("no panic while locked").push(connection);
            }
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(open::closed(&self.path.display().to_string())),
        })
    }

    /// Refuses further reads and closes what is idle.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().expect("no panic while locked").clear();
    }

    fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().expect("no panic while locked").pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                let connection = open::connection(&self.path)?;
                connection.pragma_update(None, "query_only", true).map_err(|error| {
                    super::failure::classify(&self.path.display().to_string(), &error)
                })?;
                Ok(connection)
            }
        }
    }
}

fn limit(connection: &mut Connection, time_max: Option<Duration>) -> Attempt<()> {
    let handler = time_max.map(|time_max| {
        let deadline = Instant::now() + time_max;
        move || Instant::now() > deadline
    });
    connection.progress_handler(STEPS_BETWEEN_LOOKS, handler)?;
    Ok(())
}
