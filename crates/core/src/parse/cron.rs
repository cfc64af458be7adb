//! Cron expressions: minute, hour, day of month, month, day of week; six fields have the second
//! first. Names (`MON`, `JAN`), steps, lists, ranges, `L`, `W`, `#` and `@daily` are understood.
//! Day of month and day of week are alternatives if both are given, as in every cron since 1987.

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Weekday};

/// Longer texts are no expressions.
const CRON_LEN_MAX: usize = 256;

/// A text that is not a cron expression, or one without a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronMistake {
    #[error("a cron expression has 5 fields, or 6 with seconds first; this has {found}")]
    Fields { found: usize },
    #[error("{0}")]
    Field(String),
    #[error("this never fires")]
    Never,
}

/// Reads a cron expression. The one place that says which dialect is spoken.
pub fn cron(text: &str) -> Result<Cron, CronMistake> {
    let found = text.split_whitespace().count();
    let is_nickname = found == 1 && text.trim().starts_with('@');
    if text.len() > CRON_LEN_MAX || !(is_nickname || found == 5 || found == 6) {
        return Err(CronMistake::Fields { found });
    }
    if !text.is_ascii() {
        return Err(CronMistake::Field(
            "only ASCII characters occur in cron expressions".to_owned(),
        ));
    }
    if let Some(field) = text.split_whitespace().find(|it| it.split(',').any(is_bare_step)) {
        return Err(CronMistake::Field(format!(
            "`{field}` has a step of nothing: write `*{field}`"
        )));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .sloppy_ranges(true)
        .build();
    let cron = parser.parse(text).map_err(|error| {
        if is_nickname {
            let known = "@yearly, @monthly, @weekly, @daily and @hourly";
            CronMistake::Field(format!("the nicknames are {known}"))
        } else {
            CronMistake::Field(explain(&parser, text, &error))
        }
    })?;
    if fires(&cron) { Ok(cron) } else { Err(CronMistake::Never) }
}

/// The library reads `/5` as `*/5`, and nobody else does.
fn is_bare_step(item: &str) -> bool {
    item.starts_with('/')
}

/// Tells whether any day matches. The library's own search gives up only after centuries; the
/// calendar repeats after 28 years, of which most expressions need one.
fn fires(cron: &Cron) -> bool {
    const FIRST_YEAR: i16 = 2000; // A leap year, so that the 29th of February comes early.
    const YEARS: usize = 28;
    let matches = |day: jiff::civil::Date| {
        let weekday = Weekday::from_days_from_sunday(day.weekday().to_sunday_zero_offset() as u32);
        let (year, month, of_month) = (day.year().into(), day.month() as u32, day.day() as u32);
        cron.pattern.month_match(month).unwrap_or(false)
            && cron.pattern.day_match(year, month, of_month, weekday).unwrap_or(false)
    };
    let days = jiff::civil::date(FIRST_YEAR, 1, 1).series(jiff::Span::new().days(1));
    days.take(YEARS * 366).any(matches)
}

/// Names the field that is wrong: the one that is refused even if all others are `*`.
fn explain(parser: &CronParser, text: &str, error: &CronError) -> String {
    const NAMES: [&str; 6] =
        ["second", "minute", "hour", "day of the month", "month", "day of the week"];
    let fields: Vec<&str> = text.split_whitespace().collect();
    let names = &NAMES[NAMES.len() - fields.len()..];
    for (at, field) in fields.iter().enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = field;
        if parser.parse(&alone.join(" ")).is_err() {
            return format!("`{field}` is not a {}", names[at]);
        }
    }
    error.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_told_apart() {
        for text in [
            "0 9 * * MON-FRI",
            "*/5 * * * *",
            "0/15 * * * *",
            "30 0 9 * * *",
            "@daily",
            "0 0 29 2 *",
            "0 0 L * *",
            "0 0 * * 5#2",
        ] {
            assert!(cron(text).is_ok(), "{text}: {:?}", cron(text).err());
        }
        for (text, found) in [("* * * *", 4), ("", 0), ("* * * * * * *", 7), ("hello", 1)] {
            assert_eq!(cron(text).err(), Some(CronMistake::Fields { found }), "{text}");
        }
        for text in [
            "61 * * * *",
            "* 25 * * *",
            "@reboot",
            "a b c d e",
            "* * * * é",
            "5-1 * * * *",
            "/5 * * * *",
        ] {
            assert!(
                matches!(cron(text), Err(CronMistake::Field(_))),
                "{text}: {:?}",
                cron(text).err()
            );
        }
        for text in ["0 0 31 2 *", "0 0 30 FEB *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(cron(text).err(), Some(CronMistake::Never), "{text}");
        }
    }
}
