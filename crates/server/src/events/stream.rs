//! One client's stream: reads the store as fast as the client takes it, and listens to the hub
//! once it has caught up. A client that is too slow for the hub goes back to reading the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use surefoot::store;
use tokio::time::Instant;

use super::fold::Folding;
use super::frame::Frame;
use super::hub::{Listening, PAGE, Seat};
use super::position::Position;
use super::topic::Filter;
use crate::service::Service;

/// How often a stream says that it lives.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);

pub(crate) struct Stream {
    service: Service,
    filter: Filter,
    /// What the caller said of who they are; asked again now and then.
    credentials: HeaderMap,
    /// What the client was sent.
    at: Position,
    ready: VecDeque<String>,
    listening: Option<Listening>,
    folding: Folding,
    next_comment: Instant,
    _seat: Seat,
}

impl Stream {
    pub fn new(
        service: Service,
        seat: Seat,
        filter: Filter,
        at: Position,
        first: String,
        credentials: HeaderMap,
    ) -> Stream {
        Stream {
            service,
            filter,
            credentials,
            at,
            ready: VecDeque::from([first]),
            listening: None,
            folding: Folding::default(),
            next_comment: Instant::now() + COMMENT_INTERVAL,
            _seat: seat,
        }
    }

    /// Returns what to send next; nothing at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some(text.into());
            }
            if self.service.stopping().is_cancelled() {
                return None;
            }
            if self.must_read() {
                match self.read().await {
                    Ok(true) => {}
                    Ok(false) => self.listen(),
                    Err(error) => {
                        // The client comes back to where it was.
                        tracing::warn!(%error, "a stream of events ends: the store cannot be read");
                        return None;
                    }
                }
                continue;
            }
            let frame = self.hear().await?;
            self.ready.extend(frame);
        }
    }

    /// Whether something is missing that the hub will not bring.
    fn must_read(&self) -> bool {
        let Some(listening) = &self.listening else { return true };
        let Position { journal, logs } = listening.from;
        (self.filter.wants_records() && self.at.journal < journal)
            || (self.filter.wants_logs() && self.at.logs < logs)
    }

    fn listen(&mut self) {
        if self.listening.is_none() {
            self.listening = Some(self.service.hub().listen(self.filter.clone(), self.at));
            self.folding = Folding::default();
        }
    }

    /// Reads a page of the store. Returns whether there was one.
    async fn read(&mut self) -> Result<bool, store::Error> {
        let service = self.service.clone();
        let store = service.store();
        let mut is_there = false;
        if self.filter.wants_records() {
            for entry in store.journal(self.at.journal, PAGE).await? {
                is_there = true;
                let workflow = self.folding.workflow(store, &entry).await?;
                let is_taken = workflow.is_some_and(|it| self.filter.takes_record(entry.run, &it));
                if is_taken && let Some((record, run)) = self.folding.after(store, &entry).await? {
                    let frame = Frame::of_record(&entry, &record, run);
                    self.ready.extend(frame.write(&mut self.at));
                }
                self.at.journal = entry.position;
            }
        }
        if self.filter.wants_logs() {
            for line in store.all_logs(self.at.logs, PAGE).await? {
                is_there = true;
                if self.filter.takes_line(line.line.run, &line.line.task) {
                    self.ready.extend(Frame::of_line(&line).write(&mut self.at));
                }
                self.at.logs = line.position;
            }
        }
        Ok(is_there)
    }

    /// Waits for the hub. Returns what to send, which may be nothing; none at the end.
    async fn hear(&mut self) -> Option<Option<String>> {
        let listening = self.listening.as_mut()?;
        tokio::select! {
            biased;
            () = self.service.stopping().cancelled() => None,
            frame = listening.frames.recv() => match frame {
                Some(frame) => Some(self.take(&frame)),
                None => {
                    // Too slow for the hub: from here on the store is read again.
                    self.listening = None;
                    Some(None)
                }
            },
            () = tokio::time::sleep_until(self.next_comment) => {
                if !self.is_known().await {
                    return None;
                }
                Some(Some(self.comment()))
            }
        }
    }

    /// Whether the caller's token still holds. While an identity provider cannot be asked, it does.
    async fn is_known(&self) -> bool {
        let (auth, now) = (self.service.auth(), self.service.now());
        let found = auth.authenticate(&self.credentials, None, now).await;
        found.err().is_none_or(|it| it.status() == StatusCode::SERVICE_UNAVAILABLE)
    }

    fn take(&mut self, frame: &Arc<Frame>) -> Option<String> {
        frame.write(&mut self.at)
    }

    /// Says that the stream lives, and how far the client has come without hearing anything, so
    /// that it does not read all that again when it comes back.
    fn comment(&mut self) -> String {
        self.next_comment = Instant::now() + COMMENT_INTERVAL;
        let passed = self.service.hub().passed();
        let is_quiet = self.listening.as_ref().is_some_and(|it| it.frames.is_empty());
        if is_quiet {
            let seen = self.at.max(passed);
            if self.filter.wants_records() {
                self.at.journal = seen.journal;
            }
            if self.filter.wants_logs() {
                self.at.logs = seen.logs;
            }
        }
        format!(": still here\nid: {}\n\n", self.at)
    }
}
