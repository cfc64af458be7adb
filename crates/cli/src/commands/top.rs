//! `surefoot ls --watch`: how it stands, again and again. On a terminal it is one picture, redrawn in
//! place; in a pipe a line for each change.

use std::time::Duration;

use surefoot::core::ids::RunId;
use surefoot::store::{RunFilter, RunRow, Store};
use surefoot_client::{Client, wire::Overview, wire::QueueState};

use crate::exit::Exit;
use crate::failure::Result;
use crate::live::{Screen, Signals};
use crate::output::Table;
use crate::output::style::{self, paint};
use crate::output::table::cut;
use crate::output::time::{iso, now, took};
use crate::session::Session;

/// How often it is looked, and how far back for what comes and goes.
const INTERVAL: Duration = Duration::from_secs(1);
const WINDOW_SECONDS: u64 = 10;
/// Letters of a line's name.
const NAME_WIDTH: usize = 9;
/// Queues that have a line of their own: the longest.
const QUEUES_MAX: usize = 5;

/// Where it is looked.
pub struct Source {
    pub store: std::sync::Arc<dyn Store>,
    pub client: Option<Client>,
    pub filter: RunFilter,
}

impl Source {
    async fn look(&self) -> Result<(Overview, Vec<RunRow>)> {
        let overview = match &self.client {
            Some(client) => client.get(&format!("/v1/overview?window={WINDOW_SECONDS}")).await?,
            None => of_store(&*self.store).await?,
        };
        Ok((overview, self.store.runs(&self.filter).await?))
    }
}

/// What a store alone can tell. Who waits for which slot or worker is known to its owner.
async fn of_store(store: &dyn Store) -> Result<Overview> {
    let at = now();
    let tally = store.tally(at.saturating_sub(WINDOW_SECONDS * 1000)).await?;
    let (took_ms_p50, took_ms_p95) = (tally.took_quantile(0.5), tally.took_quantile(0.95));
    Ok(Overview {
        at: iso(at),
        waiting: tally.unended.values().sum::<u64>().saturating_sub(tally.active),
        runs: tally.unended,
        oldest: tally.oldest.map(|it| it.to_string()),
        window_seconds: WINDOW_SECONDS,
        started: tally.created,
        ended: tally.ended,
        took_ms_p50,
        took_ms_p95,
        store_bytes: tally.bytes,
        ..Overview::default()
    })
}

/// Looks until the user has seen enough.
pub async fn watch(
    session: &Session,
    source: &Source,
    table: impl Fn(&[RunRow]) -> Table,
) -> Result<Exit> {
    let mut signals = Signals::new()?;
    // What is wrong from the start is told on the terminal as it was.
    let mut seen = source.look().await?;
    let Some(mut screen) = Screen::take()? else {
        return lines(session, source, seen.0, &mut signals).await;
    };
    let mut trouble = None;
    loop {
        let (width, _) = screen.size();
        let mut text = picture(session, &seen.0, trouble.as_deref(), width);
        text.push('\n');
        text.push_str(&table(&seen.1).print(Some(width)));
        screen.show(&session.output.coloured(&text))?;
        tokio::select! {
            leaves = screen.wants_to_leave() => {
                if leaves {
                    return Ok(Exit::Ok);
                }
            }
            () = signals.next() => return Ok(Exit::Interrupted),
            () = tokio::time::sleep(INTERVAL) => match source.look().await {
                Ok(now) => (seen, trouble) = (now, None),
                Err(failure) => trouble = Some(failure.message),
            },
        }
    }
}

/// Writes a line whenever something has changed.
async fn lines(
    session: &Session,
    source: &Source,
    first: Overview,
    signals: &mut Signals,
) -> Result<Exit> {
    let (mut seen, mut said) = (first, String::new());
    loop {
        let text = line(&seen);
        if text != said {
            session.output.text(&format!("{}  {text}\n", seen.at))?;
            said = text;
        }
        tokio::select! {
            () = signals.next() => return Ok(Exit::Interrupted),
            () = tokio::time::sleep(INTERVAL) => seen = source.look().await?.0,
        }
    }
}

fn line(seen: &Overview) -> String {
    let count = |status: &str| seen.runs.get(status).copied().unwrap_or_default();
    let mut parts = vec![
        format!("running {}", count("running")),
        format!("waiting {}", seen.waiting),
        format!("pending {}", count("pending")),
        format!("paused {}", count("paused")),
        format!("started {}", rate(seen.started, seen)),
        format!("ended {}", rate(ended(seen), seen)),
        format!("failed {}", failed(seen)),
    ];
    parts.extend(durations(seen));
    if seen.slots > 0 {
        parts.push(format!("slots {}/{}", seen.slots_taken, seen.slots));
        parts.push(format!("queued {}", queued(seen)));
        let workers = seen.workers.get("connected").copied().unwrap_or_default();
        parts.push(format!("workers {workers}"));
    }
    parts.join("  ")
}

/// What stands above the list of runs.
fn picture(session: &Session, seen: &Overview, trouble: Option<&str>, width: usize) -> String {
    let place = match &*session.settings.server_url {
        "" => &session.settings.store,
        url => url,
    };
    let mut text =
        format!("{}  {place}  {}  q ends it\n", paint(style::HEADING, "surefoot"), seen.at);
    let mut add = |name: &str, value: &str| {
        let value = cut(value, width.saturating_sub(NAME_WIDTH + 1));
        let name = paint(style::SOFT, format!("{name:<NAME_WIDTH$}"));
        text.push_str(&format!("{name} {value}\n"));
    };
    let count = |status: &str| seen.runs.get(status).copied().unwrap_or_default();
    add(
        "runs",
        &format!(
            "{} running · {} waiting · {} pending · {} paused · {} cancelling",
            count("running"),
            seen.waiting,
            count("pending"),
            count("paused"),
            count("cancelling"),
        ),
    );
    let mut lately = vec![
        format!("{} started", rate(seen.started, seen)),
        format!("{} ended", rate(ended(seen), seen)),
        format!("{} failed", failed(seen)),
    ];
    lately.extend(durations(seen));
    add(&format!("last {} s", seen.window_seconds), &lately.join(" · "));
    if let Some(oldest) = &seen.oldest {
        let age = oldest.parse::<RunId>().map_or(0, |it| now().saturating_sub(it.created_ms()));
        add("oldest", &format!("{oldest}, for {}", took(age)));
    }
    if seen.slots > 0 {
        add(
            "slots",
            &format!("{}/{} taken · {} wanted", seen.slots_taken, seen.slots, seen.slots_wanted),
        );
        let state = |it: &str| seen.workers.get(it).copied().unwrap_or_default();
        add(
            "workers",
            &format!(
                "{} connected · {} draining · {} lost · {}/{} slots taken",
                state("connected"),
                state("draining"),
                state("lost"),
                seen.worker_slots_taken,
                seen.worker_slots,
            ),
        );
    }
    for queue in longest(&seen.queues) {
        let QueueState { queue, waiting, running, workers, oldest_seconds } = queue;
        let age = took((oldest_seconds * 1000.0) as u64);
        let waits = if *waiting > 0 { format!(" (for {age})") } else { String::new() };
        let value =
            format!("{queue}: {waiting} waiting{waits} · {running} running · {workers} workers");
        add("queue", &value);
    }
    if let Some(trouble) = trouble {
        let trouble = cut(trouble, width.saturating_sub(NAME_WIDTH + 1));
        text.push_str(&format!(
            "{} {trouble}\n",
            paint(style::ERROR, format!("{:<NAME_WIDTH$}", "error"))
        ));
    }
    text
}

fn longest(queues: &[QueueState]) -> Vec<&QueueState> {
    let mut all: Vec<&QueueState> = queues.iter().collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.waiting));
    all.truncate(QUEUES_MAX);
    all
}

fn ended(seen: &Overview) -> u64 {
    seen.ended.values().sum()
}

fn failed(seen: &Overview) -> u64 {
    seen.ended.get("failed").copied().unwrap_or_default()
}

fn queued(seen: &Overview) -> u64 {
    seen.slots_wanted + seen.queues.iter().map(|it| it.waiting).sum::<u64>()
}

fn rate(count: u64, seen: &Overview) -> String {
    format!("{:.1}/s", count as f64 / seen.window_seconds.max(1) as f64)
}

fn durations(seen: &Overview) -> Vec<String> {
    let named = [("p50", seen.took_ms_p50), ("p95", seen.took_ms_p95)];
    named.into_iter().filter_map(|(name, ms)| Some(format!("{name} {}", took(ms?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_known() {
        let counts = |all: &[(&str, u64)]| {
            all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let mut seen = Overview {
            runs: counts(&[("running", 3)]),
            waiting: 1,
            window_seconds: 10,
            started: 5,
            ended: counts(&[("completed", 3), ("failed", 1)]),
            ..Overview::default()
        };
        let store =
            "running 3  waiting 1  pending 0  paused 0  started 0.5/s  ended 0.4/s  failed 1";
        assert_eq!(line(&seen), store);
        seen.slots = 8;
        seen.took_ms_p50 = Some(12);
        let queue = |name: &str, waiting| QueueState {
            queue: name.to_owned(),
            waiting,
            ..QueueState::default()
        };
        seen.queues = vec![queue("pay", 2), queue("ship", 7)];
        assert_eq!(line(&seen), format!("{store}  p50 12 ms  slots 0/8  queued 9  workers 0"));
        assert_eq!(longest(&seen.queues)[0].queue, "ship");
    }
}
