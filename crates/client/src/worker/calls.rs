//! The calls of the worker protocol, and those that show workers to people.

use std::time::Duration;

use reqwest::Method;

use crate::client::{Client, segment};
use crate::error::Error;
use crate::wire::*;

/// How long an answer may take, beyond what was asked to wait. A connection that is gone without
/// a word must not keep a worker waiting for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

impl Client {
    pub async fn register(&self, worker: &RegisterWorker) -> Result<RegisteredWorker, Error> {
        self.brief(Method::POST, "/v1/workers", worker, Duration::ZERO).await
    }

    /// Reports results and takes tasks.
    pub async fn poll(&self, worker: &str, poll: &Poll) -> Result<Polled, Error> {
        let path = format!("/v1/workers/{}/poll", segment(worker));
        let wait = Duration::try_from_secs_f64(poll.wait_seconds).unwrap_or_default();
        self.brief(Method::POST, &path, poll, wait).await
    }

    pub async fn heartbeat(&self, lease: &str, said: &Heartbeat) -> Result<HeartbeatAnswer, Error> {
        let path = format!("/v1/leases/{}/heartbeat", segment(lease));
        self.brief(Method::POST, &path, said, Duration::ZERO).await
    }

    pub async fn complete(&self, lease: &str, done: &CompleteTask) -> Result<SettledTask, Error> {
        let path = format!("/v1/leases/{}/complete", segment(lease));
        self.brief(Method::POST, &path, done, Duration::ZERO).await
    }

    pub async fn fail(&self, lease: &str, failed: &FailTask) -> Result<SettledTask, Error> {
        let path = format!("/v1/leases/{}/fail", segment(lease));
        self.brief(Method::POST, &path, failed, Duration::ZERO).await
    }

    pub async fn workers(&self) -> Result<Page<Worker>, Error> {
        self.get("/v1/workers").await
    }

    pub async fn worker(&self, id: &str) -> Result<Worker, Error> {
        self.get(&format!("/v1/workers/{}", segment(id))).await
    }

    pub async fn capabilities(&self) -> Result<Page<CapabilityState>, Error> {
        self.get("/v1/capabilities").await
    }

    /// Gives a worker no more tasks: it finishes what it has, and goes.
    pub async fn drain(&self, worker: &str) -> Result<(), Error> {
        let path = format!("/v1/workers/{}/drain", segment(worker));
        self.send::<()>(self.request(Method::POST, &path)).await?;
        Ok(())
    }

    /// Removes a worker. What it holds is given to others at once.
    pub async fn remove_worker(&self, worker: &str) -> Result<(), Error> {
        let path = format!("/v1/workers/{}", segment(worker));
        let request = self.request(Method::DELETE, &path).timeout(ANSWER_TIMEOUT);
        self.send::<()>(request).await?;
        Ok(())
    }

    async fn brief<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
        wait: Duration,
    ) -> Result<T, Error> {
        let request = self.request(method, path).json(body).timeout(wait + ANSWER_TIMEOUT);
        Ok(self.send(request).await?.1)
    }
}
