//! What is told when a schedule is not what it should be.

use axum::http::StatusCode;
use surefoot::core::schedule::CalendarMistake;
use surefoot::schedules::ScheduleError;

use crate::problem::{FAULTS_MAX, Fault, Problem};

fn unprocessable(code: &'static str, title: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title)
}

pub(super) fn stale(detail: &str) -> Problem {
    Problem::new(StatusCode::PRECONDITION_FAILED, "SF4015", "it has changed since you read it")
        .detail(detail)
        .hint("Read it again, and decide anew.")
}

pub(super) fn range(title: &str) -> Problem {
    unprocessable("SF4097", title)
        .hint("A backfill is for slots that have passed: `from` before `to`, `to` not after now.")
}

impl From<CalendarMistake> for Problem {
    fn from(mistake: CalendarMistake) -> Problem {
        let title = mistake.to_string();
        match mistake {
            CalendarMistake::Cron { .. } => unprocessable("SF4090", title)
                .hint("Five fields (minute, hour, day, month, day of the week) that some day matches, such as `0 9 * * MON-FRI`."),
            CalendarMistake::UnknownZone { nearest, .. } => {
                let problem = unprocessable("SF4091", title);
                match nearest {
                    Some(near) => problem.hint(format!("Did you mean `{near}`?")),
                    None => problem.hint("Write a name of the IANA database, such as Europe/London."),
                }
            }
            CalendarMistake::TooOften(_) => unprocessable("SF4092", title)
                .hint("What repeats faster is a loop inside of a workflow, not a schedule."),
        }
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Problem {
        let title = error.to_string();
        match error {
            ScheduleError::NotFound { id } => Problem::not_found("schedule", id),
            ScheduleError::Id { .. } => Problem::new(StatusCode::BAD_REQUEST, "SF4095", title)
                .hint("1 to 128 letters, digits, `_`, `-` and `.`; a `:` stands in those of definitions."),
            ScheduleError::Calendar(mistake) => mistake.into(),
            ScheduleError::Past { .. } => {
                unprocessable("SF4090", title).hint("Name an instant that lies ahead.")
            }
            ScheduleError::Input { pointer, reason } => {
                let pointer = format!("/input{pointer}");
                unprocessable("SF4098", "the input has a broken expression")
                    .errors(vec![Fault { pointer, message: reason }])
                    .hint("It sees `event.schedule` and `event.slot`.")
            }
            ScheduleError::InvalidInput { violations, .. } => {
                let faults = violations.iter().take(FAULTS_MAX).map(|it| Fault {
                    pointer: format!("/input{}", it.pointer),
                    message: it.message.clone(),
                });
                unprocessable("SF4017", title)
                    .errors(faults.collect())
                    .hint("The workflow's `input` schema is in GET /v1/workflows/{id}.")
            }
            ScheduleError::OfDefinition { .. } => {
                Problem::new(StatusCode::CONFLICT, "SF4094", title).hint(
                    "Change `triggers` in the definition and deploy it. Pausing, triggering and backfilling work as they are.",
                )
            }
            ScheduleError::Changed { actual: 0, .. } => stale("there is no such schedule yet"),
            ScheduleError::Changed { actual, .. } => {
                stale(&format!("the current ETag is \"{actual}\""))
            }
            ScheduleError::TooMany(_) => {
                unprocessable("SF4093", title).hint("Backfill a part at a time: a shorter `from` to `to`.")
            }
            ScheduleError::Future => range(&title),
            ScheduleError::Start(error) => error.into(),
            ScheduleError::Store(error) => error.into(),
            ScheduleError::Unreadable { .. } => Problem::internal(title),
        }
    }
}
