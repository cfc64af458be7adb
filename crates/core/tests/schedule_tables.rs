//! Cron expressions against the tables of other implementations. See `data/cron/README.md`, and
//! docs/schedules.md for the rule about nights on which clocks are changed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;
use surefoot_core::schedule::Calendar;
use surefoot_core::time::Millis;

/// Rows that we answer otherwise, with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("robfig-cron-049", "a fixed time in a gap runs at its end; theirs waits for the next year"),
    ("robfig-cron-060", "a fixed time in a gap runs at its end; theirs waits for the next day"),
    (
        "robfig-cron-062",
        "a fixed time runs once, in the first of two hours; theirs in the second too",
    ),
    (
        "robfig-cron-067",
        "a fixed time runs once, in the first of two hours; theirs in the second too",
    ),
    (
        "robfig-cron-077",
        "a fixed time runs once, in the first of two hours; theirs in the second too",
    ),
];

#[test]
fn every_row_of_the_table_comes_out_as_it_says() {
    run(include_str!("data/cron/table.json"), 182, table_row);
}

#[test]
fn nights_on_which_clocks_are_changed_come_out_as_documented() {
    run(include_str!("data/cron/dst.json"), 88, dst_row);
}

/// Runs all rows, and holds the list of exceptions to be exact.
fn run(text: &str, count: usize, agrees: impl Fn(&Value) -> Result<(), String>) {
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(rows.len(), count);
    let mut wrong = Vec::new();
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        let listed = OTHERWISE.iter().any(|(name, _)| *name == id);
        match agrees(row) {
            Ok(()) if listed => wrong.push(format!("{id} agrees now: take it off the list")),
            Err(found) if !listed => wrong.push(format!("{id} {}: {found}", row["expr"])),
            Ok(()) | Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn table_row(row: &Value) -> Result<(), String> {
    let expression = row["expr"].as_str().unwrap();
    let zone = row["zone"].as_str().unwrap_or("UTC");
    let calendar = Calendar::cron(expression, zone).map_err(|it| it.to_string());
    match row["kind"].as_str().unwrap() {
        "invalid" => match calendar {
            Ok(_) => Err("was accepted".to_owned()),
            Err(_) => Ok(()),
        },
        "match" => {
            let at = instant(&row["at"]);
            same(calendar?.next(at - 1) == Some(at), row["matches"].as_bool().unwrap())
        }
        "next" if row["none"] == true => match calendar {
            Ok(_) => Err("was accepted, and never fires".to_owned()),
            Err(_) => Ok(()),
        },
        "next" => {
            let expected = instants(&row["next"]);
            let start = instant(&row["start"]);
            same(calendar?.slots(start).take(expected.len()).collect(), expected)
        }
        "same" => {
            let other = Calendar::cron(row["same_as"].as_str().unwrap(), zone);
            let start = 1_700_000_000_000;
            let some = |it: &Calendar| it.slots(start).take(1000).collect::<Vec<_>>();
            same(some(&calendar?), some(&other.map_err(|it| it.to_string())?))
        }
        other => panic!("{}: nobody checks `{other}`", row["id"]),
    }
}

/// Where all implementations agree, so do we. Where they do not, the rule picks one of theirs.
fn dst_row(row: &Value) -> Result<(), String> {
    let zone = row["zone"].as_str().unwrap();
    let calendar = Calendar::cron(row["expr"].as_str().unwrap(), zone).unwrap();
    let count = row["n"].as_u64().unwrap() as usize;
    let found: Vec<Millis> = calendar.slots(instant(&row["start"])).take(count).collect();
    let answers = row["answers"].as_array().unwrap();
    let by_the_rule = answers.iter().find(|it| is_by(it, "croner-rs")).unwrap();
    let expected = if row["next"].is_array() { &row["next"] } else { &by_the_rule["next"] };
    same(found, instants(expected))
}

fn is_by(answer: &Value, name: &str) -> bool {
    answer["by"].as_array().unwrap().iter().any(|it| it == name)
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

fn instants(value: &Value) -> Vec<Millis> {
    value.as_array().unwrap().iter().map(instant).collect()
}

fn instant(value: &Value) -> Millis {
    let instant: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
    instant.as_millisecond() as Millis
}
