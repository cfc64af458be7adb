//! What a client wants to hear of, and what it may.

use surefoot::RunId;
use surefoot::core::source::nearest;

use crate::auth::Principal;
use crate::parameters::run_id;
use crate::problem::Problem;
use axum::http::StatusCode;

/// Topics of one stream.
const TOPICS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// `run:ID`: the records of a run.
    Run(RunId),
    /// `runs:*`: the records of all runs.
    Runs,
    /// `runs:workflow=ID`: the records of all runs of a workflow.
    Workflow(String),
    /// `logs:RUN/TASK`: the log lines of a task, or of all of a run's with `*`.
    Logs { run: RunId, task: Option<String> },
}

impl Topic {
    fn read(text: &str) -> Result<Topic, Problem> {
        let (kind, name) = text.split_once(':').ok_or_else(|| unknown(text))?;
        match (kind, name) {
            ("run", id) => Ok(Topic::Run(run_id(id)?)),
            ("runs", "*") => Ok(Topic::Runs),
            ("runs", filter) => match filter.split_once('=') {
                Some(("workflow", id)) if !id.is_empty() => Ok(Topic::Workflow(id.to_owned())),
                _ => Err(unknown(text)),
            },
            ("logs", name) => {
                let (run, task) = name.split_once('/').ok_or_else(|| unknown(text))?;
                let task = (task != "*").then(|| task.to_owned());
                Ok(Topic::Logs { run: run_id(run)?, task })
            }
            _ => Err(unknown(text)),
        }
    }

    /// The run that it names; its reader must be allowed to know of it.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Topic::Run(run) | Topic::Logs { run, .. } => Some(*run),
            Topic::Runs | Topic::Workflow(_) => None,
        }
    }
}

fn unknown(text: &str) -> Problem {
    let kinds = ["run:ID", "runs:*", "runs:workflow=ID", "logs:RUN/TASK"];
    let problem =
        Problem::new(StatusCode::BAD_REQUEST, "SF4040", format!("`{text}` is not a topic"));
    match nearest(text, kinds) {
        Some(near) => problem.hint(format!("Did you mean `{near}`?")),
        None => problem.hint(format!("Topics are {}.", kinds.join(", "))),
    }
}

/// Reads topics that commas part; all runs if there are none.
pub(crate) fn read(text: Option<&str>) -> Result<Vec<Topic>, Problem> {
    let Some(text) = text else { return Ok(vec![Topic::Runs]) };
    let topics: Vec<Topic> =
        text.split(',').map(|it| Topic::read(it.trim())).collect::<Result<_, _>>()?;
    if topics.len() > TOPICS_MAX {
        let title = format!("{} topics are too many", topics.len());
        return Err(Problem::new(StatusCode::BAD_REQUEST, "SF4040", title)
            .hint(format!("One stream has at most {TOPICS_MAX}; `runs:*` has all runs.")));
    }
    Ok(topics)
}

/// The topics of a client, within what it may see.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub topics: Vec<Topic>,
    pub principal: Principal,
}

impl Filter {
    pub fn wants_records(&self) -> bool {
        self.topics.iter().any(|it| !matches!(it, Topic::Logs { .. }))
    }

    pub fn wants_logs(&self) -> bool {
        self.topics.iter().any(|it| matches!(it, Topic::Logs { .. }))
    }

    pub fn takes_record(&self, run: RunId, workflow: &str) -> bool {
        let wanted = self.topics.iter().any(|it| match it {
            Topic::Run(id) => *id == run,
            Topic::Runs => true,
            Topic::Workflow(id) => id == workflow,
            Topic::Logs { .. } => false,
        });
        wanted && self.principal.sees(workflow)
    }

    /// Whether the client may see the run was asked when the stream began.
    pub fn takes_line(&self, run: RunId, task: &str) -> bool {
        self.topics.iter().any(|it| match it {
            Topic::Logs { run: id, task: name } => {
                *id == run && name.as_ref().is_none_or(|it| it == task)
            }
            Topic::Run(_) | Topic::Runs | Topic::Workflow(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn topics_are_read() {
        let run = RunId::new(1_700_000_000_000, 7);
        let logs = |task: Option<&str>| Topic::Logs { run, task: task.map(str::to_owned) };
        let table = [
            (format!("run:{run}"), vec![Topic::Run(run)]),
            ("runs:*".to_owned(), vec![Topic::Runs]),
            (
                "runs:workflow=a.b, runs:*".to_owned(),
                vec![Topic::Workflow("a.b".to_owned()), Topic::Runs],
            ),
            (format!("logs:{run}/group.pay[3]"), vec![logs(Some("group.pay[3]"))]),
            (format!("logs:{run}/*"), vec![logs(None)]),
        ];
        for (text, expected) in table {
            assert_eq!(read(Some(&text)).unwrap(), expected, "{text}");
        }
        assert_eq!(read(None).unwrap(), [Topic::Runs]);
        for text in
            ["", "run", "run:x", "runs:", "runs:workflow=", "runs:key=a", "logs:x", "jobs:*"]
        {
            assert!(read(Some(text)).is_err(), "{text}");
        }
        assert!(read(Some(&["runs:*"; 101].join(","))).is_err());
    }
}
