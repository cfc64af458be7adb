//! Everything that is kept of a run, as lines that another program can read without this one.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use surefoot::inspect::InspectError;
use surefoot::store::LogFilter;
use surefoot::{RunId, inspect};
use surefoot_client::wire::Exported;

use super::show::of_log;
use super::{of_row, row};
use crate::auth::Principal;
use crate::problem::Problem;
use crate::service::Service;

/// Records, or lines of a log, that are read in one go.
const PAGE: u32 = 500;

/// Everything that is kept of a run: the run, its definition, every record and every log line,
/// each as a line of JSON with one field that says what it is.
#[utoipa::path(get, path = "/v1/runs/{id}/export", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, description = "Lines", body = Exported, content_type = "application/x-ndjson")))]
pub(super) async fn export(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = row(&service, &principal, &id).await?;
    let definition = service.store().definition(row.definition).await?;
    let definition = definition.map(|it| crate::workflows::with_source(&it));
    let mut first = line(&Exported { run: Some(of_row(&row)), ..Exported::default() });
    first.push_str(&line(&Exported { definition, ..Exported::default() }));
    let (run, disposition) = (row.id, format!("attachment; filename=\"{}.jsonl\"", row.id));
    let ready = VecDeque::from([first]);
    let export = Export { service, run, ready, next: Next::Records(0) };
    let body = futures_util::stream::unfold(export, async |mut export| match export.next().await {
        Ok(Some(text)) => Some((Ok(Bytes::from(text)), export)),
        Ok(None) => None,
        // The answer has begun: breaking it off is all that is left to say.
        Err(error) => {
            export.next = Next::Nothing;
            Some((Err(std::io::Error::other(error.to_string())), export))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// How far an export has come. It holds one page at a time, however long the run is.
struct Export {
    service: Service,
    run: RunId,
    ready: VecDeque<String>,
    next: Next,
}

enum Next {
    Records(u64),
    /// After this position.
    Logs(i64),
    Nothing,
}

impl Export {
    async fn next(&mut self) -> Result<Option<String>, InspectError> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Ok(Some(text));
            }
            match self.next {
                Next::Records(from) => self.read_records(from).await?,
                Next::Logs(after) => self.read_logs(after).await?,
                Next::Nothing => return Ok(None),
            }
        }
    }

    async fn read_records(&mut self, from: u64) -> Result<(), InspectError> {
        let page = inspect::page(self.service.store(), self.run, from, PAGE).await?;
        let lines = page.iter().map(|it| {
            let record = serde_json::to_value(it).ok();
            line(&Exported { record, ..Exported::default() })
        });
        self.ready.push_back(lines.collect());
        let is_last = page.len() < PAGE as usize;
        self.next = if is_last { Next::Logs(0) } else { Next::Records(from + page.len() as u64) };
        Ok(())
    }

    async fn read_logs(&mut self, after: i64) -> Result<(), InspectError> {
        let filter = LogFilter { after, limit: PAGE, ..LogFilter::default() };
        let page = self.service.store().logs(self.run, &filter).await?;
        let is_last = page.len() < PAGE as usize;
        self.next = match page.last() {
            Some(last) if !is_last => Next::Logs(last.position),
            _ => Next::Nothing,
        };
        let lines = page.into_iter().map(|it| {
            let log = Some(of_log(it));
            line(&Exported { log, ..Exported::default() })
        });
        self.ready.push_back(lines.collect());
        Ok(())
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).map(|it| it + "\n").unwrap_or_default()
}
