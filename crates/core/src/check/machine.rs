//! Machines: where they start, where each transition leads, and that there is a way to an end.

use super::digraph::{Components, shortest_cycle};
use super::outline::{Level, Outline, Role, Shape};
use crate::definition::{Definition, Machine, Spanned, State, TemplateSource, Transition, Work};
use crate::source::{Problem, nearest, oxford};

const UNKNOWN_INITIAL: &str = "SF1201";
const UNKNOWN_STATE: &str = "SF1202";
const NO_EXIT: &str = "SF1203";
const UNREACHABLE: &str = "SF1204";
const NO_END: &str = "SF1205";
const AUTOMATIC_LOOP: &str = "SF1206";
const WORK_EVENT: &str = "SF1207";
const DEAD_TRANSITION: &str = "SF1209";
const UNKNOWN_VARIABLE: &str = "SF1210";

/// Names that a message lists; the rest is counted.
const NAMES_MAX: usize = 5;

pub(super) fn check(definition: &Definition, outline: &Outline<'_>, problems: &mut Vec<Problem>) {
    for level in &outline.levels {
        let Shape::Machine(machine) = level.shape else { continue };
        let vars = match level.role {
            Role::Body => &definition.vars,
            Role::Work(_) | Role::Undo(_) | Role::OnFailure | Role::Finally => &machine.vars,
        };
        let initial = initial(machine, level, problems);
        for state in &machine.states {
            exits(state, problems);
            for (_, list) in lists(state) {
                transitions(list, level, vars, problems);
            }
        }
        ways(machine, level, initial, problems);
        automatic_loops(machine, level, problems);
    }
}

/// Returns the lists of transitions of a state; each is tried in order, the first true guard wins.
pub(super) fn lists(state: &State) -> impl Iterator<Item = (Option<&str>, &[Transition])> {
    let on = state.on.iter().map(|(event, list)| (Some(event.value.as_str()), &list[..]));
    let after = state.after.iter().map(|(_, list)| (None, &list[..]));
    on.chain(after).chain(std::iter::once((None, &state.next[..])))
}

pub(super) fn has_work(state: &State) -> bool {
    match state.task.work {
        Work::Nothing => false,
        Work::Uses { .. } | Work::Composite(_) => true,
    }
}

/// A final state ends the machine, and so does work that always fails.
fn is_end(state: &State) -> bool {
    state.is_final || matches!(&state.task.work, Work::Uses { kind, .. } if kind.value == "fail")
}

fn initial(machine: &Machine, level: &Level<'_>, problems: &mut Vec<Problem>) -> Option<u32> {
    let initial = machine.initial.as_ref()?;
    let found = level.ids.get(initial.value.as_str()).copied();
    if found.is_none() {
        let message = format!("the initial state `{}` is not defined", initial.value);
        problems.push(
            Problem::error(UNKNOWN_INITIAL, initial.span, message)
                .label("no state has this id")
                .help(did_you_mean(&initial.value, level)),
        );
    }
    found
}

fn did_you_mean(name: &str, level: &Level<'_>) -> String {
    let mut known: Vec<&str> = level.ids.keys().copied().collect();
    known.sort_unstable();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() <= NAMES_MAX => format!("the states are {}", oxford(&known, "and")),
        None => format!("define a state `{name}`, or name one that is"),
    }
}

fn exits(state: &State, problems: &mut Vec<Problem>) {
    let id = &state.task.id;
    if !is_end(state) && lists(state).all(|(_, list)| list.is_empty()) {
        problems.push(
            Problem::error(NO_EXIT, id.span, format!("there is no way out of `{}`", id.value))
                .label("neither final nor with a transition")
                .help("add `next`, `on` or `after`, or mark it `final: true`"),
        );
    }
    for (event, _) in &state.on {
        if matches!(event.value.as_str(), "done" | "failed") && !has_work(state) {
            let name = &event.value;
            problems.push(
                Problem::error(
                    WORK_EVENT,
                    event.span,
                    format!("`{name}` never happens in `{}`", id.value),
                )
                .label("the event of a state's own work, and this state has none")
                .help("add `uses` to the state, or use `next`, or rename the event"),
            );
        }
    }
}

fn transitions(
    list: &[Transition],
    level: &Level<'_>,
    vars: &[(Spanned<String>, TemplateSource)],
    problems: &mut Vec<Problem>,
) {
    for transition in list {
        let to = &transition.to;
        if !level.ids.contains_key(to.value.as_str()) {
            problems.push(
                Problem::error(
                    UNKNOWN_STATE,
                    to.span,
                    format!("the state `{}` is not defined", to.value),
                )
                .label("no state of this machine has this id")
                .help(did_you_mean(&to.value, level)),
            );
        }
        for (name, _) in &transition.set {
            if vars.iter().all(|(it, _)| it.value != name.value) {
                problems.push(unknown_variable(name, vars));
            }
        }
    }
    let unguarded = list.iter().position(|it| it.condition.is_none());
    if let Some(always) = unguarded
        && let Some(dead) = list.get(always + 1)
    {
        problems.push(
            Problem::warning(DEAD_TRANSITION, dead.span, "this transition is never taken")
                .label("the one before it has no guard, so it always wins")
                .related(list[always].span, "always taken")
                .help("move the transition without `if` to the end, or give it a guard"),
        );
    }
}

fn unknown_variable(name: &Spanned<String>, vars: &[(Spanned<String>, TemplateSource)]) -> Problem {
    let known: Vec<&str> = vars.iter().map(|(it, _)| it.value.as_str()).collect();
    let message = format!("`set` writes `{}`, which this machine does not declare", name.value);
    let help = match nearest(&name.value, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it with its initial value: `vars: {{{}: …}}`", name.value),
    };
    Problem::error(UNKNOWN_VARIABLE, name.span, message).label("not in `vars`").help(help)
}

/// Finds states that no way leads to, and states from which none leads to an end.
fn ways(machine: &Machine, level: &Level<'_>, initial: Option<u32>, problems: &mut Vec<Problem>) {
    let Some(initial) = initial else { return };
    let after = successors(machine, level);
    let before = predecessors(&after);
    let reached = spread(&after, [initial]);
    let ends = (0..after.len() as u32).filter(|it| is_end(&machine.states[*it as usize]));
    let ending = spread(&before, ends);
    for (at, state) in machine.states.iter().enumerate() {
        if !reached[at] {
            let id = &state.task.id;
            problems.push(
                Problem::warning(UNREACHABLE, id.span, format!("no way leads to `{}`", id.value))
                    .label("never entered")
                    .help("add a transition to it, or drop it"),
            );
        }
    }
    // States without any exit are reported on their own, and only they explain the rest.
    let stuck: Vec<&State> = (machine.states.iter().enumerate())
        .filter(|(at, _)| reached[*at] && !ending[*at] && !after[*at].is_empty())
        .map(|(_, state)| state)
        .collect();
    if stuck.is_empty() {
        return;
    }
    let names: Vec<&str> = stuck.iter().map(|it| it.task.id.value.as_str()).collect();
    let rest = names.len().saturating_sub(NAMES_MAX);
    let list = oxford(&names[..names.len() - rest], "or");
    let more = if rest > 0 { format!(" (nor from {rest} more)") } else { String::new() };
    let message = format!("no final state can be reached from {list}{more}");
    let problem = Problem::error(NO_END, stuck[0].task.id.span, message);
    problems.push(
        stuck[1..]
            .iter()
            .take(NAMES_MAX)
            .fold(problem, |it, state| it.related(state.task.id.span, "nor from here"))
            .label("once here, the run never ends")
            .help("add a transition to a final state, or mark a state `final: true`"),
    );
}

/// Returns the states that a transition leads to, by state.
pub(super) fn successors(machine: &Machine, level: &Level<'_>) -> Vec<Vec<u32>> {
    let targets = |state: &State| {
        let all = lists(state).flat_map(|(_, list)| list);
        all.filter_map(|it| level.ids.get(it.to.value.as_str()).copied()).collect()
    };
    machine.states.iter().map(targets).collect()
}

pub(super) fn predecessors(after: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut before = vec![Vec::new(); after.len()];
    for (from, targets) in after.iter().enumerate() {
        targets.iter().for_each(|to| before[*to as usize].push(from as u32));
    }
    before
}

fn spread(edges: &[Vec<u32>], from: impl IntoIterator<Item = u32>) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut todo: Vec<u32> = from.into_iter().collect();
    todo.iter().for_each(|it| seen[*it as usize] = true);
    while let Some(at) = todo.pop() {
        for next in &edges[at as usize] {
            if !std::mem::replace(&mut seen[*next as usize], true) {
                todo.push(*next);
            }
        }
    }
    seen
}

/// A state without work whose first `next` has no guard is left at once, always the same way.
fn automatic_loops(machine: &Machine, level: &Level<'_>, problems: &mut Vec<Problem>) {
    let mut before = vec![Vec::new(); machine.states.len()];
    for (at, state) in machine.states.iter().enumerate() {
        let always = state.next.first().filter(|it| it.condition.is_none() && !has_work(state));
        if let Some(to) = always.and_then(|it| level.ids.get(it.to.value.as_str())) {
            before[*to as usize].push(at as u32);
        }
    }
    let components = Components::new(&before);
    for component in components.cyclic(&before) {
        let cycle = shortest_cycle(&before, component);
        let state = |at: usize| &machine.states[cycle[at % cycle.len()] as usize];
        let names: Vec<&str> =
            (0..=cycle.len()).map(|at| state(at).task.id.value.as_str()).collect();
        let message = format!("this loop never waits: {}", names.join(" → "));
        problems.push(
            (1..cycle.len())
                .fold(Problem::error(AUTOMATIC_LOOP, state(0).task.id.span, message), |it, at| {
                    it.related(state(at).task.id.span, "left at once")
                })
                .label("left at once: no work, no guard")
                .help("put a task, an event, a timer or a guard into the loop"),
        );
    }
}
