//! Attempts and waits of a run as bars over time: `█` works, `┄` waits, `·` failed and tries again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use surefoot::Record;
use surefoot::core::run::{Event, Run, TaskId};
use surefoot::core::time::Millis;

use crate::output::style;
use crate::output::table::cut;
use crate::output::time::took;

const NAME_LEN_MAX: usize = 28;
const BAR_LEN_MIN: usize = 20;
/// Tasks that are drawn; the first to start win.
const ROWS_MAX: usize = 200;

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Works,
    Waits,
    Delayed,
}

/// One stretch of a task's life.
struct Stretch {
    part: Part,
    from: Millis,
    to: Millis,
}

pub fn draw(run: &Run, records: &[Record], width: usize, now: Millis) -> String {
    let start = run.state().created_at;
    let end = run.state().ended_at.unwrap_or(now).max(start + 1);
    let lives = lives(records, end);
    let mut rows: Vec<(&TaskId, &Vec<Stretch>)> = lives.iter().collect();
    rows.sort_by_key(|(task, life)| (life.first().map(|it| it.from), task.0));
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    let names: Vec<String> =
        rows.iter().map(|(task, _)| cut(&run.path(**task), NAME_LEN_MAX)).collect();
    let widest = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let cells = width.saturating_sub(widest + 14).max(BAR_LEN_MIN);
    let mut out = String::new();
    for (name, (task, life)) in names.iter().zip(&rows) {
        let status = run.state().task(**task).status;
        let bar = style::paint(style::task(status), bar(life, start, end, cells));
        let worked: u64 = life.iter().map(|it| it.to - it.from).sum();
        let pad = " ".repeat(widest - name.chars().count());
        let _ = writeln!(out, "{name}{pad}  {bar}  {}", took(worked));
    }
    if left_out > 0 {
        let _ = writeln!(out, "and {left_out} more");
    }
    let scale = took(end - start);
    let _ = writeln!(out, "{}  0{scale:>fill$}", " ".repeat(widest), fill = cells - 1);
    out
}

fn lives(records: &[Record], end: Millis) -> BTreeMap<TaskId, Vec<Stretch>> {
    let mut lives: BTreeMap<TaskId, Vec<Stretch>> = BTreeMap::new();
    let mut open: BTreeMap<TaskId, (Part, Millis)> = BTreeMap::new();
    for record in records {
        for event in &record.events {
            let Some((task, next)) = change(event) else { continue };
            if let Some((part, from)) = open.remove(&task) {
                lives.entry(task).or_default().push(Stretch { part, from, to: record.at });
            }
            if let Some(part) = next {
                open.insert(task, (part, record.at));
            } else {
                // Something that took no time is still seen.
                lives.entry(task).or_default();
            }
        }
    }
    for (task, (part, from)) in open {
        lives.entry(task).or_default().push(Stretch { part, from, to: end.max(from) });
    }
    lives.retain(|_, life| !life.is_empty());
    lives
}

/// What begins for a task; nothing if it is over.
fn change(event: &Event) -> Option<(TaskId, Option<Part>)> {
    match event {
        Event::Dispatched { task, .. } | Event::Entered { task, .. } => {
            Some((*task, Some(Part::Works)))
        }
        Event::Waiting { task, .. } => Some((*task, Some(Part::Waits))),
        Event::Retrying { task, .. } => Some((*task, Some(Part::Delayed))),
        Event::Completed { task, .. }
        | Event::Failed { task, .. }
        | Event::Cancelled { task }
        | Event::Lost { task, .. }
        | Event::Given { task, .. } => Some((*task, None)),
        // The others do not begin or end work.
        _ => None,
    }
}

fn bar(life: &[Stretch], start: Millis, end: Millis, cells: usize) -> String {
    let mut bar = vec![' '; cells];
    let cell = |at: Millis| {
        let part = (at.saturating_sub(start)) as f64 / (end - start) as f64;
        ((part * cells as f64) as usize).min(cells - 1)
    };
    for stretch in life {
        let sign = match stretch.part {
            Part::Works => '█',
            Part::Waits => '┄',
            Part::Delayed => '·',
        };
        let last = cell(stretch.to).max(cell(stretch.from));
        bar[cell(stretch.from)..=last].fill(sign);
    }
    bar.into_iter().collect()
}
