//! What the journal of every run must hold.

use surefoot_core::run::{Event, Record, Run, RunState, Spans};
use surefoot_core::trace::TraceParent;

/// It folds to the state that the decisions left, also from its text.
pub fn check(run: &Run, records: &[Record]) {
    let texts = records.iter().map(|it| it.clone().encode());
    let read = texts.map(|(bytes, _)| Record::decode(&bytes).unwrap());
    let folded = RunState::fold(run.id(), read).unwrap();
    assert_eq!(&folded, run.state());
    check_spans(run, records);
}

/// Each attempt that was handed out is one span, and no two spans have one id.
fn check_spans(run: &Run, records: &[Record]) {
    let (id, created) = (run.id(), run.state().created.clone());
    let mut spans = Spans::new(run.plan().clone(), id, created.clone(), records[0].at);
    let mut told: Vec<_> = records.iter().flat_map(|it| spans.follow(it)).collect();
    told.extend(spans.open());
    assert_eq!(spans.state(), run.state());
    assert!(told.iter().all(|it| it.end.as_ref().is_none_or(|end| it.start <= end.0)));
    let mut ids: Vec<_> = told.iter().map(|it| it.id).collect();
    ids.sort_unstable();
    let events = || records.iter().flat_map(|it| &it.events);
    let dispatched = events().filter_map(|it| match it {
        Event::Dispatched { task, attempt, .. } => Some((*task, *attempt)),
        _ => None,
    });
    for (task, attempt) in dispatched {
        let span = TraceParent::of_attempt(id, &created, task, attempt).span;
        let count = ids.iter().filter(|it| **it == span).count();
        assert_eq!(count, 1, "attempt {attempt} of {}: {told:?}", run.path(task));
    }
    // A run that is reopened, or a composite, goes on under its id.
    if !events().any(|it| matches!(it, Event::Reset { .. })) {
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{told:?}");
    }
}
