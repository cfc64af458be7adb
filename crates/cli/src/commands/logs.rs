//! `surefoot logs`: what tasks wrote.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;
use surefoot::core::ids::RunId;
use surefoot::inspect;
use surefoot::store::{LogFilter, LogLine, Store};

use crate::arguments::Logs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::time::{clock, iso};
use crate::output::{harmless, style};
use crate::session::{Session, wait};

const LINES_AT_ONCE: u32 = 1000;
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

pub fn logs(session: &Session, arguments: &Logs) -> Result<Exit> {
    wait(async {
        let store = session.reader()?;
        let id = inspect::resolve(&*store, &arguments.run).await?;
        let task = match &arguments.task {
            Some(task) => {
                let run = inspect::load(&*store, id).await?;
                Some(run.path(super::authority::task_named(&run, task)?))
            }
            None => None,
        };
        let filter = LogFilter { task, attempt: arguments.attempt, after: 0, limit: LINES_AT_ONCE };
        follow(session, &*store, id, filter, arguments).await
    })
}

async fn follow(
    session: &Session,
    store: &dyn Store,
    run: RunId,
    mut filter: LogFilter,
    arguments: &Logs,
) -> Result<Exit> {
    let mut count = 0;
    loop {
        // Asked first: lines that were written before the end are read after it.
        let row = store.run(run).await?;
        let has_ended = row.is_none_or(|it| it.ended_at.is_some());
        let lines = store.logs(run, &filter).await?;
        let is_last = lines.len() < LINES_AT_ONCE as usize;
        for line in lines {
            filter.after = line.position;
            let text = &line.line.text;
            if arguments.grep.as_ref().is_none_or(|it| text.contains(it.as_str())) {
                print(session, &line.line)?;
                count += 1;
            }
        }
        if is_last && (!arguments.follow || has_ended) {
            break;
        }
        if is_last {
            tokio::time::sleep(FOLLOW_INTERVAL).await;
        }
    }
    if count == 0 && session.output.is_for_people() {
        session.output.say("no log lines");
    }
    Ok(Exit::Ok)
}

fn print(session: &Session, line: &LogLine) -> Result<()> {
    if !session.output.is_for_people() {
        let value = json!({"task": line.task, "attempt": line.attempt, "at": iso(line.at),
            "stream": line.stream, "text": line.text});
        writeln!(session.output.out(), "{}", harmless::json(&value.to_string()))?;
        return Ok(());
    }
    let attempt = if line.attempt > 1 { format!("#{}", line.attempt) } else { String::new() };
    let time = style::paint(style::SOFT, clock(line.at, session.output.time));
    let name = style::paint(style::NAME, harmless::line(&format!("{}{attempt}", line.task)));
    let word = match line.stream.as_str() {
        "warn" | "error" | "stderr" => format!(" {}", style::paint(style::WARNING, &line.stream)),
        _ => String::new(),
    };
    let text = harmless::line(&line.text);
    writeln!(session.output.out(), "{time} {name}{word} {text}")?;
    Ok(())
}
