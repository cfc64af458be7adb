//! Reads graphs of WfCommons (schema 1.5, and the older one with everything under
//! `workflow.tasks`) and the plain form `{name, tasks: [{id, deps, runtime_s}]}`.

use std::collections::HashMap;

use serde_json::Value;

use super::graph::{ForeignTask, write};
use super::{ConvertOptions, ConvertProblem, Converted};

/// Converts one graph. All problems are returned at once; a cycle is shown whole.
pub fn wfcommons(
    value: &Value,
    options: &ConvertOptions,
) -> Result<Converted, Vec<ConvertProblem>> {
    let name = value.get("name").and_then(Value::as_str).unwrap_or("converted");
    let tasks = match value.get("workflow") {
        Some(workflow) => workflow_tasks(workflow)?,
        None => plain_tasks(value)?,
    };
    write(name, tasks, options)
}

fn plain_tasks(value: &Value) -> Result<Vec<ForeignTask>, Vec<ConvertProblem>> {
    read_tasks(value.get("tasks"), "/tasks", |task| ForeignTask {
        id: text(task, &["id", "name"]),
        label: None,
        needs: texts(task.get("deps").or(task.get("parents"))),
        children: Vec::new(),
        runtime_s: seconds(task, &["runtime_s"]),
    })
}

fn workflow_tasks(workflow: &Value) -> Result<Vec<ForeignTask>, Vec<ConvertProblem>> {
    if let Some(specification) = workflow.get("specification") {
        let runs = workflow.pointer("/execution/tasks").and_then(Value::as_array);
        let runtimes: HashMap<&str, f64> = runs
            .into_iter()
            .flatten()
            .filter_map(|it| {
                Some((it.get("id")?.as_str()?, seconds(it, &["runtimeInSeconds", "runtime"])?))
            })
            .collect();
        let mut tasks =
            read_tasks(specification.get("tasks"), "/workflow/specification/tasks", workflow_task)?;
        for task in &mut tasks {
            task.runtime_s = runtimes.get(task.id.as_str()).copied().or(task.runtime_s);
        }
        return Ok(tasks);
    }
    let (tasks, pointer) = match workflow.get("tasks") {
        Some(tasks) => (Some(tasks), "/workflow/tasks"),
        // Before schema 1.0 tasks were called jobs.
        None => (workflow.get("jobs"), "/workflow/jobs"),
    };
    let mut tasks = read_tasks(tasks, pointer, workflow_task)?;
    name_by_what_is_referred_to(&mut tasks);
    Ok(tasks)
}

fn workflow_task(task: &Value) -> ForeignTask {
    ForeignTask {
        id: text(task, &["id", "name"]),
        label: task.get("name").and_then(Value::as_str).map(str::to_owned),
        needs: texts(task.get("parents")),
        children: texts(task.get("children")),
        runtime_s: seconds(task, &["runtimeInSeconds", "runtime"]),
    }
}

/// The older schema has both `id` and `name`, and its parents are names.
fn name_by_what_is_referred_to(tasks: &mut [ForeignTask]) {
    let is_id = |name: &String| tasks.iter().any(|it| it.id == *name);
    let first = tasks.iter().flat_map(|it| it.needs.iter().chain(&it.children)).next();
    if first.is_some_and(|it| !is_id(it)) {
        for task in tasks {
            task.id = task.label.take().unwrap_or_else(|| task.id.clone());
        }
    }
}

fn read_tasks(
    tasks: Option<&Value>,
    pointer: &str,
    read: impl Fn(&Value) -> ForeignTask,
) -> Result<Vec<ForeignTask>, Vec<ConvertProblem>> {
    let problem = |pointer: String, message: &str, help: &str| ConvertProblem {
        pointer,
        message: message.to_owned(),
        help: Some(help.to_owned()),
    };
    let Some(tasks) = tasks.and_then(Value::as_array) else {
        let help = "a graph is WfCommons JSON, or {name, tasks: [{id, deps, runtime_s}]}";
        return Err(vec![problem(pointer.to_owned(), "there is no list of tasks here", help)]);
    };
    if tasks.is_empty() {
        return Err(vec![problem(pointer.to_owned(), "the graph has no tasks", "add one")]);
    }
    let (mut read_tasks, mut problems) = (Vec::with_capacity(tasks.len()), Vec::new());
    for (at, task) in tasks.iter().enumerate() {
        let task = read(task);
        if task.id.is_empty() {
            let message = "this task has neither `id` nor `name`";
            problems.push(problem(format!("{pointer}/{at}"), message, "give it an id"));
        }
        read_tasks.push(task);
    }
    if problems.is_empty() { Ok(read_tasks) } else { Err(problems) }
}

/// Returns the first of `names` that is a string or a number, as text.
fn text(task: &Value, names: &[&str]) -> String {
    let found = names.iter().find_map(|name| match task.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    found.unwrap_or_default()
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .filter_map(|it| match it {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect()
}

fn seconds(task: &Value, names: &[&str]) -> Option<f64> {
    names.iter().find_map(|name| task.get(name)?.as_f64()).filter(|it| *it >= 0.0)
}
