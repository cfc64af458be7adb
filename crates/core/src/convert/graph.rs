//! Writes a graph of tasks as a definition, whatever it was read from.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::{ConvertKind, ConvertOptions, ConvertProblem, Converted};
use crate::limits::ID_LEN_MAX;
use crate::time::{DURATION_MAX_MS, Duration};

/// Tasks beyond which the definition is written as JSON.
const YAML_TASKS_MAX: usize = 10_000;
/// Notes on renamed tasks beyond which they are counted only.
const RENAMED_NOTES_MAX: usize = 100;

/// A task as the other system describes it. Either end may name an edge.
pub(super) struct ForeignTask {
    pub id: String,
    pub label: Option<String>,
    pub needs: Vec<String>,
    pub children: Vec<String>,
    pub runtime_s: Option<f64>,
}

/// A graph by index, with ids that are legal and unique.
struct Graph {
    ids: Vec<String>,
    needs: Vec<Vec<usize>>,
}

pub(super) fn write(
    name: &str,
    tasks: Vec<ForeignTask>,
    options: &ConvertOptions,
) -> Result<Converted, Vec<ConvertProblem>> {
    let mut notes = Vec::new();
    let needs = edges(&tasks)?;
    if let Some(cycle) = find_cycle(&needs) {
        return Err(vec![cycle_problem(&cycle, &tasks)]);
    }
    let graph = Graph { ids: legal_ids(&tasks, &mut notes), needs };
    let waits: Vec<Option<Duration>> = tasks.iter().map(|it| wait(it, options)).collect();
    let unknown = waits.iter().filter(|it| it.is_none()).count();
    if options.kind == ConvertKind::Wait && unknown > 0 {
        notes.push(format!("{unknown} tasks have no run time, and do not wait"));
    }
    let id = legal_workflow_id(name);
    if id != name {
        notes.push(format!("the workflow `{name}` is called `{id}`"));
    }
    let definition_yaml = if tasks.len() > YAML_TASKS_MAX {
        notes.push("the definition is written as JSON because it is large".to_owned());
        json(&id, &graph, &waits)
    } else {
        yaml(&id, &graph, &waits)
    };
    Ok(Converted { definition_yaml, notes })
}

/// Resolves the names in `needs` and `children` to indexes, each edge once.
fn edges(tasks: &[ForeignTask]) -> Result<Vec<Vec<usize>>, Vec<ConvertProblem>> {
    let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(tasks.len());
    let mut problems = Vec::new();
    for (at, task) in tasks.iter().enumerate() {
        if let Some(first) = by_id.insert(&task.id, at) {
            problems.push(ConvertProblem {
                pointer: format!("/tasks/{at}"),
                message: format!("the tasks {first} and {at} are both called `{}`", task.id),
                help: Some("give each task an id of its own".to_owned()),
            });
        }
    }
    let mut pairs: HashSet<(usize, usize)> = HashSet::new();
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    for (at, task) in tasks.iter().enumerate() {
        let parents = task.needs.iter().map(|it| (it, true));
        for (name, is_parent) in parents.chain(task.children.iter().map(|it| (it, false))) {
            let Some(&other) = by_id.get(name.as_str()) else {
                problems.push(ConvertProblem {
                    pointer: format!("/tasks/{at}"),
                    message: format!(
                        "the task `{}` refers to `{name}`, which is not there",
                        task.id
                    ),
                    help: Some("add the task, or remove the reference".to_owned()),
                });
                continue;
            };
            let (parent, child) = if is_parent { (other, at) } else { (at, other) };
            if pairs.insert((parent, child)) {
                needs[child].push(parent);
            }
        }
    }
    if problems.is_empty() { Ok(needs) } else { Err(problems) }
}

/// Returns the indexes of one cycle, in the order of its edges. Depth first, without recursion.
fn find_cycle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; needs.len()];
    for start in 0..needs.len() {
        if marks[start] != Mark::New {
            continue;
        }
        // The path from `start`, with the number of needs of each that were followed already.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::Open;
        while let Some((task, followed)) = path.last_mut() {
            let Some(&next) = needs[*task].get(*followed) else {
                marks[*task] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::Open;
                    path.push((next, 0));
                }
                Mark::Open => {
                    let from = path.iter().position(|(it, _)| *it == next).unwrap_or(0);
                    // The path follows needs, so the order of running is the reverse.
                    let mut cycle: Vec<usize> =
                        path[from..].iter().rev().map(|(it, _)| *it).collect();
                    cycle.rotate_right(1);
                    return Some(cycle);
                }
            }
        }
    }
    None
}

fn cycle_problem(cycle: &[usize], tasks: &[ForeignTask]) -> ConvertProblem {
    let mut shown: Vec<&str> = cycle.iter().map(|at| tasks[*at].id.as_str()).collect();
    shown.push(&tasks[cycle[0]].id);
    ConvertProblem {
        pointer: format!("/tasks/{}", cycle[0]),
        message: format!("the graph has a cycle: {}", shown.join(" → ")),
        help: Some("remove one of these edges; what repeats is a machine of `states`".to_owned()),
    }
}

/// Makes ids legal (`[A-Za-z_][A-Za-z0-9_]*`) and unique even without regard to case.
fn legal_ids(tasks: &[ForeignTask], notes: &mut Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::with_capacity(tasks.len());
    let mut renamed = 0;
    let mut ids = Vec::with_capacity(tasks.len());
    for task in tasks {
        let base = legal_id(&task.id);
        let mut id = base.clone();
        let mut number = 2;
        while !taken.insert(id.to_lowercase()) {
            id = format!("{base}_{number}");
            number += 1;
        }
        if id != task.id {
            renamed += 1;
            if renamed <= RENAMED_NOTES_MAX {
                notes.push(format!("the task `{}` is called `{id}`", task.id));
            }
        }
        ids.push(id);
    }
    if renamed > RENAMED_NOTES_MAX {
        notes.push(format!("{} more tasks are renamed alike", renamed - RENAMED_NOTES_MAX));
    }
    ids
}

fn legal_id(id: &str) -> String {
    /// Leaves room for the number that makes an id unique.
    const KEPT_MAX: usize = ID_LEN_MAX - 8;
    let legal = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
    let mut result: String = id.chars().take(KEPT_MAX).map(legal).collect();
    if !result.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') {
        result.insert(0, '_');
    }
    result
}

fn legal_workflow_id(name: &str) -> String {
    let legal = |it: char| match it {
        '-' | '.' => it,
        it if it.is_ascii_alphanumeric() => it,
        _ => '_',
    };
    let mut id: String = name.chars().take(ID_LEN_MAX - 1).map(legal).collect();
    if !id.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_') {
        id.insert(0, '_');
    }
    id
}

fn wait(task: &ForeignTask, options: &ConvertOptions) -> Option<Duration> {
    if options.kind == ConvertKind::Transform {
        return None;
    }
    let ms = (task.runtime_s? * options.time_scale * 1000.0).round();
    // A cast from a float saturates, and what is no number becomes nothing.
    Some(Duration((ms as u64).min(DURATION_MAX_MS)))
}

/// Returns `uses` and `with`, the latter as JSON.
fn work(wait: Option<Duration>) -> (&'static str, String) {
    match wait.filter(|it| it.as_millis() > 0) {
        Some(duration) => ("wait", format!("{{\"for\": \"{duration}\"}}")),
        None => ("transform", "{}".to_owned()),
    }
}

fn yaml(id: &str, graph: &Graph, waits: &[Option<Duration>]) -> String {
    let mut text = format!("id: {}\ntasks:\n", quoted(id));
    for (at, task) in graph.ids.iter().enumerate() {
        let (kind, with) = work(waits[at]);
        let needs: Vec<String> = graph.needs[at].iter().map(|it| quoted(&graph.ids[*it])).collect();
        let needs = match needs.is_empty() {
            true => String::new(),
            false => format!("needs: [{}], ", needs.join(", ")),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {task}: {{{needs}uses: {kind}, with: {with}}}");
    }
    text
}

/// Puts a text in quotes that YAML would take for something else: `null`, `true`, `_1` are legal
/// ids, and the first two are no strings.
fn quoted(id: &str) -> String {
    let lower = id.to_ascii_lowercase();
    if matches!(lower.as_str(), "null" | "true" | "false") {
        format!("\"{id}\"")
    } else {
        id.to_owned()
    }
}

fn json(id: &str, graph: &Graph, waits: &[Option<Duration>]) -> String {
    let mut text = format!("{{\"id\": \"{id}\", \"tasks\": {{");
    for (at, task) in graph.ids.iter().enumerate() {
        let needs: Vec<String> =
            graph.needs[at].iter().map(|it| format!("\"{}\"", graph.ids[*it])).collect();
        let (kind, with) = work(waits[at]);
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}\n  \"{task}\": {{\"needs\": [{}], \"uses\": \"{kind}\", \"with\": {with}}}",
            needs.join(", "),
        );
    }
    text.push_str("\n}}\n");
    text
}
