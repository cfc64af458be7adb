//! Measures from the command line, as `surefoot bench` does:
//! `cargo run --release -p surefoot-bench --example workloads -- [W1 … W6] [--concurrency N]
//! [--seconds S] [--scale F] [--json] [--store DIRECTORY]`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for developers")]

use std::str::FromStr;
use std::time::Duration;

use surefoot_bench::{CONCURRENCY, Options, Row, SECONDS, Workload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options {
        workloads: Vec::new(),
        concurrency: Vec::new(),
        duration: Duration::from_secs_f64(SECONDS),
        scale: 1.0,
        directory: ".surefoot/bench".into(),
    };
    let mut json = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--concurrency" => options.concurrency.push(value(&mut arguments)?),
            "--seconds" => options.duration = Duration::from_secs_f64(value(&mut arguments)?),
            "--scale" => options.scale = value(&mut arguments)?,
            "--store" => options.directory = value(&mut arguments)?,
            workload => options.workloads.push(workload.parse()?),
        }
    }
    if options.workloads.is_empty() {
        options.workloads = Workload::ALL.to_vec();
    }
    if options.concurrency.is_empty() {
        options.concurrency = CONCURRENCY.to_vec();
    }
    if !json {
        println!("{}", Row::header());
    }
    let mut progress = |text: &str| eprintln!("{text}");
    let mut report = |row: &Row| match json {
        true => println!("{}", serde_json::json!(row)),
        false => println!("{row}"),
    };
    surefoot_bench::run(&options, &mut progress, &mut report).await?;
    Ok(())
}

/// Reads what stands after a flag.
fn value<T: FromStr>(arguments: &mut impl Iterator<Item = String>) -> Result<T, String> {
    let text = arguments.next().ok_or("a flag needs a value after it")?;
    text.parse().map_err(|_| format!("`{text}` does not fit its flag"))
}
