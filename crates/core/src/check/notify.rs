//! `notify` is a short form: each entry becomes a task of `finally` that runs on its outcomes, and
//! whose own failure does not matter to the run.

use crate::definition::{
    Definition, ExprSource, Graph, Notify, NotifyOn, OnFailure, Spanned, Task, Work,
};
use crate::expr::Expr;

/// Returns the finally graph with the notifications in it; nothing if there is neither.
pub(super) fn with_notifications(definition: &Definition) -> Option<Graph> {
    if definition.notify.is_empty() {
        return definition.finally.clone();
    }
    let mut graph = definition.finally.clone().unwrap_or_default();
    let mut number = 0;
    for entry in &definition.notify {
        let id = loop {
            number += 1;
            let id = format!("notify_{number}");
            if graph.tasks.iter().all(|it| it.id.value != id) {
                break id;
            }
        };
        graph.tasks.push(task(id, entry));
    }
    Some(graph)
}

fn task(id: String, entry: &Spanned<Notify>) -> Task {
    let Spanned { value: notify, span } = entry;
    Task {
        condition: condition(notify).map(|expr| ExprSource { expr, span: *span, text_start: None }),
        work: Work::Uses { kind: notify.kind.clone(), with: notify.with.clone() },
        on_failure: Some(Spanned::new(OnFailure::Continue, *span)),
        id: Spanned::new(id, *span),
        description: None,
        needs: Vec::new(),
        join: None,
        for_each: None,
        retry: None,
        timeout: None,
        priority: None,
        concurrency: None,
        compensate: None,
        effect: None,
        reads: Vec::new(),
        writes: Vec::new(),
        allow_race: Vec::new(),
        span: *span,
    }
}

fn condition(notify: &Notify) -> Option<Expr> {
    let tests = notify.on.iter().map(|it| format!("run.outcome == \"{}\"", name(it.value)));
    let source = tests.collect::<Vec<_>>().join(" || ");
    (!source.is_empty()).then(|| Expr::parse(&source).expect("it is made of three known words"))
}

fn name(outcome: NotifyOn) -> &'static str {
    match outcome {
        NotifyOn::Completed => "completed",
        NotifyOn::Failed => "failed",
        NotifyOn::Cancelled => "cancelled",
    }
}
