//! Ends an attempt's work when its time is up or the engine wants it back.

use std::future::Future;

use surefoot_core::task_error::TaskError;
use surefoot_core::time::Duration;
use tokio_util::sync::CancellationToken;

use super::Context;

/// Returns what `work` returns, unless the attempt is cancelled or `timeout` passes first; then
/// `work` is dropped.
pub(super) async fn within<T>(
    context: &Context,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
    tokio::select! {
        biased;
        done = work => done,
        () = context.cancelled() => Err(cancelled()),
        () = elapsed(timeout) => Err(timed_out(timeout)),
    }
}

/// Runs `work` on a thread that may block. Dropping the returned future, cancelling the attempt or
/// passing `timeout` sets the token that `work` is given; it must look at it often, because a
/// thread cannot be stopped from outside.
pub(super) async fn blocking<T: Send + 'static>(
    context: &Context,
    timeout: Option<Duration>,
    work: impl FnOnce(&CancellationToken) -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    let abort = CancellationToken::new();
    let _abort_on_drop = abort.clone().drop_guard();
    let inside = abort.clone();
    let mut thread = tokio::task::spawn_blocking(move || work(&inside));
    let reason = tokio::select! {
        biased;
        done = &mut thread => return joined(done),
        () = context.cancelled() => cancelled(),
        () = elapsed(timeout) => timed_out(timeout),
    };
    abort.cancel();
    // What was done before the work saw the token stands: a fact outranks our wish to stop.
    joined(thread.await).map_err(|_| reason)
}

pub(super) fn joined<T>(
    done: Result<Result<T, TaskError>, tokio::task::JoinError>,
) -> Result<T, TaskError> {
    done.unwrap_or_else(|error| Err(TaskError::new("panic", format!("the work broke: {error}"))))
}

pub(super) async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        Some(limit) => tokio::time::sleep(std::time::Duration::from_millis(limit.0)).await,
        None => std::future::pending().await,
    }
}

pub(super) fn cancelled() -> TaskError {
    TaskError::new("cancelled", "the attempt was cancelled")
}

pub(super) fn timed_out(timeout: Option<Duration>) -> TaskError {
    let limit = timeout.unwrap_or_default();
    TaskError::new("timeout", format!("gave up after {limit}; raise `timeout` if it needs longer"))
}
