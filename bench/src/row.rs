//! One line of the result.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

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
    pub rss_bytes: u64,
    /// Rows a second that SQLite takes without an engine: as many rows of the same size, a hundred
    /// a transaction.
    pub limit_rows_per_s: f64,
    /// Records a second of the engine over that.
    pub limit_ratio: f64,
}

impl Row {
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
