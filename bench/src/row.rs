//! One line of the result.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::process::{Meter, resident_bytes};

/// What was measured of one workload at one concurrency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `W1`, `W5/10000`, `W6/start`.
    pub workload: String,
    /// Runs at a time.
    pub concurrency: usize,
    pub runs_per_s: f64,
    pub steps_per_s: f64,
    /// From the call that starts a run to the answer that it has ended.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of one processor, so that two busy ones are 200.
    pub cpu_percent: f64,
    /// Of the engine's process, which is the server's where there is one.
    pub rss_bytes: u64,
    /// Rows a second that SQLite takes without an engine: as many rows of the same size, a hundred
    /// a transaction.
    pub limit_rows_per_s: f64,
    /// Records a second of the engine over that.
    pub limit_ratio: f64,
}

impl Row {
    /// A row of so many things that took so long, of which each is one step; without a limit.
    pub(crate) fn of(
        name: String,
        concurrency: usize,
        meter: &Meter,
        taken: &mut [Duration],
    ) -> Row {
        let per_s = taken.len() as f64 / meter.elapsed().as_secs_f64();
        let row = Row {
            workload: name,
            concurrency,
            runs_per_s: per_s,
            steps_per_s: per_s,
            p50_ms: 0.0,
            p99_ms: 0.0,
            cpu_percent: meter.cpu_percent(),
            rss_bytes: resident_bytes(),
            limit_rows_per_s: 0.0,
            limit_ratio: 0.0,
        };
        row.with_latency(taken)
    }

    pub(crate) fn with_latency(self, taken: &mut [Duration]) -> Row {
        taken.sort_unstable();
        let (p50_ms, p99_ms) = (percentile_ms(taken, 0.5), percentile_ms(taken, 0.99));
        Row { p50_ms, p99_ms, ..self }
    }

    /// Returns the first line of the table; each row's text is a line below it.
    pub fn header() -> String {
        format!(
            "{:<10} {:>5} {:>10} {:>10} {:>9} {:>9} {:>6} {:>8} {:>10} {:>6}",
            "workload",
            "runs",
            "runs/s",
            "steps/s",
            "p50 ms",
            "p99 ms",
            "cpu %",
            "MB",
            "limit/s",
            "ratio"
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} {:>5} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>6.0} {:>8.1} {:>10.0} {:>6.2}",
            self.workload,
            self.concurrency,
            self.runs_per_s,
            self.steps_per_s,
            self.p50_ms,
            self.p99_ms,
            self.cpu_percent,
            self.rss_bytes as f64 / 1e6,
            self.limit_rows_per_s,
            self.limit_ratio,
        )
    }
}

/// Returns the latency that `share` of the runs did not exceed.
pub(crate) fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (share * last as f64).round() as usize;
    sorted.get(place).map_or(0.0, |it| it.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_places_in_the_order() {
        let all: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        let read = [0.0, 0.5, 0.99, 1.0].map(|share| percentile_ms(&all, share));
        assert_eq!(read, [1.0, 51.0, 100.0, 101.0]);
        assert_eq!(percentile_ms(&[], 0.5), 0.0);
    }
}
