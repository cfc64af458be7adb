//! When a state is entered, in words.

use super::model::{Cause, Way};
use super::{Analysis, NAMES_MAX};
use crate::verify::Subject;

/// Steps of an example.
const STEPS_MAX: usize = 8;

/// Says from where and when a state is entered: `` `review` is entered from `processing` when its
/// work is done (L14) ``.
pub(super) fn entered(subject: &Subject<'_>, machine: &Analysis<'_>, state: u32) -> String {
    let model = &machine.model;
    let name = model.name(state);
    let line = |state: u32| subject.plan.node(model.states[state as usize].id).line;
    let mut reasons: Vec<String> = Vec::new();
    if state == model.initial {
        reasons.push("at the start".to_owned());
    }
    let into = model.ways.iter().filter(|it| it.to == state);
    let (open, closed): (Vec<_>, Vec<_>) =
        into.partition(|it| it.closed.is_none() && machine.is_reached(it.from));
    let more = open.len().saturating_sub(NAMES_MAX);
    for way in open.into_iter().take(NAMES_MAX) {
        let from = model.name(way.from);
        reasons.push(format!("from `{from}` {} (L{})", when(machine, way), line(way.from)));
    }
    if more > 0 {
        reasons.push(format!("in {more} other ways"));
    }
    if reasons.is_empty() {
        return match closed.len() {
            0 => format!("`{name}` is never entered: no transition leads to it"),
            1 => format!("`{name}` is never entered: the transition to it is never taken"),
            some => format!("`{name}` is never entered: none of {some} transitions to it is taken"),
        };
    }
    let mut text = format!("`{name}` is entered {}", reasons.join(", or "));
    if let Some(trace) = machine.search.short_trace(state, STEPS_MAX) {
        text.push_str(&format!("; for example: {}", trace.join(", ")));
    }
    text
}

fn when(machine: &Analysis<'_>, way: &Way<'_>) -> String {
    let cause = match machine.model.cause(way) {
        Cause::Done => "when its work is done".to_owned(),
        Cause::Failed => "when its work fails".to_owned(),
        Cause::Event(name) => format!("on `{name}`"),
        Cause::After(delay) => format!("after {delay}"),
    };
    match &way.guard {
        Some(guard) => format!("{cause} if `{}`", guard.expr.source()),
        None => cause,
    }
}
