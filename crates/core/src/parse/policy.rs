//! How often, how long, how many: retry, timeout, priority and concurrency.

use super::fields::Field;
use super::{Parser, keys};
use crate::definition::{Backoff, Concurrency, Jitter, OnLimit, Rate, Retry, Spanned, Timeouts};
use crate::limits::ATTEMPTS_MAX;
use crate::source::{Content, Problem};
use crate::time::Duration;

const PRIORITY_MAX: i64 = 100;
const CONCURRENCY_MAX: u32 = 1_000_000;
/// Delays grow by this factor at most; what they grow to is bounded by `max_delay`.
const MULTIPLIER_MAX: f64 = 1_000.0;

impl Parser {
    /// Reads a number of attempts, or the whole policy.
    pub fn retry(&mut self, field: Field<'_>) -> Option<Spanned<Retry>> {
        if matches!(field.node.content, Content::Number(_)) {
            let attempts = self.small(field, 1..=ATTEMPTS_MAX)?;
            let retry = Retry { max_attempts: Some(attempts.value), ..Retry::default() };
            return Some(Spanned::new(retry, attempts.span));
        }
        let expected = "a number of attempts, or a mapping with `max_attempts`";
        let fields = self.fields(field, keys::RETRY, expected)?;
        let attempts = fields.get("max_attempts").and_then(|it| self.small(it, 1..=ATTEMPTS_MAX));
        let multiplier =
            fields.get("multiplier").and_then(|it| self.decimal(it, 1.0..=MULTIPLIER_MAX));
        let mut duration = |name, least| fields.get(name).and_then(|it| self.duration(it, least));
        let delay = duration("delay", Duration(0));
        let max_delay = duration("max_delay", Duration(1));
        let max_elapsed = duration("max_elapsed", Duration(1));
        if let (Some(delay), Some(longest)) = (&delay, &max_delay)
            && longest.value < delay.value
        {
            let message =
                format!("`max_delay` {} is shorter than `delay` {}", longest.value, delay.value);
            self.report(
                Problem::error("SF1024", longest.span, message)
                    .related(delay.span, "`delay` is here")
                    .help("`max_delay` bounds the growth of `delay`; make it longer"),
            );
        }
        let retry = Retry {
            max_attempts: attempts.map(|it| it.value),
            backoff: fields
                .get("backoff")
                .and_then(|it| self.choice(it, &BACKOFFS))
                .map(|it| it.value),
            delay: delay.map(|it| it.value),
            max_delay: max_delay.map(|it| it.value),
            multiplier,
            jitter: fields
                .get("jitter")
                .and_then(|it| self.choice(it, &JITTERS))
                .map(|it| it.value),
            max_elapsed: max_elapsed.map(|it| it.value),
            condition: fields.get("if").and_then(|it| self.condition(it)),
        };
        Some(Spanned::new(retry, field.node.span))
    }

    /// Reads the time of one attempt, or all four times.
    pub fn timeouts(&mut self, field: Field<'_>) -> Option<Spanned<Timeouts>> {
        if !matches!(field.node.content, Content::Map(_)) {
            let run = self.duration(field, Duration(1))?;
            let timeouts = Timeouts { run: Some(run.value), ..Timeouts::default() };
            return Some(Spanned::new(timeouts, run.span));
        }
        let fields = self.fields(field, keys::TIMEOUT, "a duration")?;
        let mut duration = |name| {
            fields.get(name).and_then(|it| self.duration(it, Duration(1))).map(|it| it.value)
        };
        let timeouts = Timeouts {
            queue: duration("queue"),
            run: duration("run"),
            total: duration("total"),
            heartbeat: duration("heartbeat"),
        };
        Some(Spanned::new(timeouts, field.node.span))
    }

    pub fn priority(&mut self, field: Field<'_>) -> Option<Spanned<i32>> {
        let priority = self.integer(field, -PRIORITY_MAX..=PRIORITY_MAX)?;
        Some(Spanned::new(priority.value as i32, priority.span))
    }

    /// Reads a limit, or a mapping of limit, rate and key.
    pub fn concurrency(&mut self, field: Field<'_>) -> Option<Spanned<Concurrency>> {
        let span = field.node.span;
        if matches!(field.node.content, Content::Number(_)) {
            let limit = Some(self.small(field, 1..=CONCURRENCY_MAX)?);
            let concurrency = Concurrency { key: None, limit, rate: None, on_limit: None };
            return Some(Spanned::new(concurrency, span));
        }
        let expected = "a number, or a mapping with `limit` or `rate`";
        let fields = self.fields(field, keys::CONCURRENCY, expected)?;
        if fields.first_of(&["limit", "rate"]).is_none() {
            self.missing(
                span,
                format!("`{}` has neither `limit` nor `rate`", field.name),
                "add `limit: 1` to run one at a time, or `rate: 10/s`",
            );
        }
        let concurrency = Concurrency {
            key: fields.get("key").and_then(|it| self.key_template(it)),
            limit: fields.get("limit").and_then(|it| self.small(it, 1..=CONCURRENCY_MAX)),
            rate: fields.get("rate").and_then(|it| self.rate(it)),
            on_limit: fields.get("on_limit").and_then(|it| self.choice(it, &ON_LIMITS)),
        };
        Some(Spanned::new(concurrency, span))
    }

    /// Reads `10/s`, `100/m` or `5/10s`.
    fn rate(&mut self, field: Field<'_>) -> Option<Spanned<Rate>> {
        let text = self.string(field)?;
        let Some(rate) = text.value.parse::<Rate>().ok() else {
            let message = format!("`{}`: `{}` is not a rate", field.name, text.value);
            let help = "write a number of starts and a period, such as 10/s, 100/m or 5/10s";
            self.report(Problem::error("SF1026", text.span, message).help(help));
            return None;
        };
        Some(Spanned::new(rate, text.span))
    }
}

const BACKOFFS: [(&str, Backoff); 3] =
    [("fixed", Backoff::Fixed), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];

const JITTERS: [(&str, Jitter); 3] =
    [("none", Jitter::None), ("full", Jitter::Full), ("equal", Jitter::Equal)];

const ON_LIMITS: [(&str, OnLimit); 3] = [
    ("queue", OnLimit::Queue),
    ("cancel_new", OnLimit::CancelNew),
    ("cancel_running", OnLimit::CancelRunning),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_written() {
        for (text, expected) in [
            ("10/s", Some((10, 1_000))),
            ("100/m", Some((100, 60_000))),
            ("5/10s", Some((5, 10_000))),
            ("1 / 1h", Some((1, 3_600_000))),
            ("0/s", None),
            ("-1/s", None),
            ("10", None),
            ("10/", None),
            ("/s", None),
            ("10/0s", None),
            ("10/x", None),
        ] {
            assert_eq!(
                text.parse::<Rate>().ok().map(|it| (it.count, it.per.as_millis())),
                expected,
                "{text}"
            );
        }
    }
}
