//! Reads what stands in the path and after the question mark.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use surefoot::RunId;
use surefoot::core::source::nearest;

use crate::problem::Problem;

/// The parameters of a query, each of which has to be asked for. What is left over is refused:
/// a filter with a typing mistake must not answer with everything.
pub(crate) struct Parameters {
    given: BTreeMap<String, String>,
    asked: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters, Problem> {
        let pairs: Query<Vec<(String, String)>> = Query::from_request_parts(parts, state)
            .await
            .map_err(|error| bad("the query cannot be read", error.body_text()))?;
        let mut given = BTreeMap::new();
        for (name, value) in pairs.0 {
            if given.insert(name.clone(), value).is_some() {
                return Err(bad(&format!("`{name}` is given twice"), String::new()));
            }
        }
        Ok(Parameters { given, asked: Vec::new() })
    }
}

impl Parameters {
    /// Takes a text out.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        self.given.remove(name)
    }

    /// Takes something out that has a text form.
    pub fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        what: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse().map_err(|_| bad(&format!("`{name}` is not {what}"), text))?;
        Ok(Some(value))
    }

    /// Takes a number out that must lie within bounds.
    pub fn number(
        &mut self,
        name: &'static str,
        from: u64,
        to: u64,
    ) -> Result<Option<u64>, Problem> {
        let what = format!("a number from {from} to {to}");
        let value: Option<u64> = self.parsed(name, &what)?;
        match value {
            Some(value) if !(from..=to).contains(&value) => {
                Err(bad(&format!("`{name}` is not {what}"), value.to_string()))
            }
            value => Ok(value),
        }
    }

    /// Takes all out whose names begin with a prefix, without it.
    pub fn prefixed(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let names: Vec<String> =
            self.given.keys().filter(|it| it.starts_with(prefix)).cloned().collect();
        let taken = names.into_iter().filter_map(|name| {
            let value = self.given.remove(&name)?;
            Some((name[prefix.len()..].to_owned(), value))
        });
        taken.collect()
    }

    /// Refuses what nobody asked for.
    pub fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.given.first_key_value() else { return Ok(()) };
        let problem = bad(&format!("there is no parameter `{name}`"), String::new());
        Err(match nearest(name, self.asked.iter().copied()) {
            Some(near) => problem.hint(format!("Did you mean `{near}`?")),
            None if self.asked.is_empty() => problem.hint("This route takes no parameters."),
            None => problem.hint(format!("This route takes {}.", self.asked.join(", "))),
        })
    }
}

/// Refuses a query where none is read.
pub(crate) fn none_known(query: &str) -> Problem {
    let name = query.split(['=', '&']).next().unwrap_or_default();
    bad(&format!("there is no parameter `{name}`"), String::new())
        .hint("This route takes no parameters.")
}

pub(crate) fn bad(title: &str, value: String) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "SF4007", title);
    if value.is_empty() { problem } else { problem.detail(format!("it is `{value}`")) }
}

/// Reads the id of a run.
pub(crate) fn run_id(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "SF4009", format!("`{text}` is not the id of a run"))
            .hint("An id has 26 letters and digits, such as 01JD8X3M7QK4S6T8V0W2Y4Z6B8.")
    })
}
