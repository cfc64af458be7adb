//! Which split an inclusive join belongs to. Such a join waits for every token that may still come,
//! wherever it is; that has a plain meaning only where split and join enclose their branches. The
//! others are not guessed at.

use std::collections::HashMap;

use super::{Gateway, Kind, Scope};
use crate::problem::{Problem, code};

/// What is known of the inclusive joins of a scope.
#[derive(Clone, Debug, Default)]
pub struct Joins {
    /// The split that each join belongs to.
    pub split_of: HashMap<usize, usize>,
    /// For each flow out of an inclusive split the flow into its join that the branch ends with.
    pub branch_end: HashMap<usize, usize>,
}

impl Joins {
    /// Finds the split of each inclusive join. The first that has none is a problem.
    pub fn of(scope: &Scope) -> Result<Joins, Problem> {
        let mut joins = Joins::default();
        let is_join = |at: &usize| {
            let node = &scope.nodes[*at];
            node.gateway() == Some(Gateway::Inclusive) && node.incoming.len() > 1
        };
        for join in (0..scope.nodes.len()).filter(is_join) {
            let found = splits(scope).find_map(|it| Some((it, branches(scope, it, join)?)));
            let Some((split, ends)) = found else {
                let node = &scope.nodes[join];
                return Err(Problem {
                    code: code::UNDECIDED_ELEMENT,
                    message: format!(
                        "what the inclusive gateway `{}` waits for is not decided: no split encloses its branches with it",
                        node.name
                    ),
                    help: "let each branch of one split lead to this join and nowhere else"
                        .to_owned(),
                    line: node.line,
                    column: 1,
                });
            };
            joins.split_of.insert(join, split);
            if scope.nodes[split].splits_inclusively(scope) {
                joins.branch_end.extend(ends);
            }
        }
        Ok(joins)
    }
}

fn splits(scope: &Scope) -> impl Iterator<Item = usize> + '_ {
    (0..scope.nodes.len()).filter(|it| scope.nodes[*it].outgoing.len() > 1)
}

/// Pairs each flow out of a split with the flow into the join at the end of its branch. None if they
/// do not enclose their branches: something else leads in or out, branches mix, or one is missing.
fn branches(scope: &Scope, split: usize, join: usize) -> Option<Vec<(usize, usize)>> {
    let (out, into) = (&scope.nodes[split].outgoing, &scope.nodes[join].incoming);
    if split == join || out.len() != into.len() {
        return None;
    }
    let mut seen = vec![false; scope.nodes.len()];
    let mut pairs = Vec::with_capacity(out.len());
    for flow in out {
        let to = scope.flows[*flow].to;
        if to == join {
            pairs.push((*flow, *flow));
            continue;
        }
        let end = only_end(scope, (split, join), (*flow, to), &mut seen)?;
        pairs.push((*flow, end));
    }
    Some(pairs)
}

/// Walks the branch that begins with a flow, in both directions, and returns its only way out.
fn only_end(
    scope: &Scope,
    (split, join): (usize, usize),
    (first, to): (usize, usize),
    seen: &mut [bool],
) -> Option<usize> {
    let mut end = None;
    let mut left = vec![to];
    while let Some(at) = left.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let node = &scope.nodes[at];
        let leaves = node.outgoing.is_empty() || !node.boundaries.is_empty();
        if at == split || leaves || matches!(node.kind, Kind::Start(_) | Kind::Boundary { .. }) {
            return None;
        }
        for flow in &node.incoming {
            match scope.flows[*flow].from {
                from if from == split && *flow != first => return None,
                from if from == split => {}
                from if from == join => return None,
                from => left.push(from),
            }
        }
        for flow in &node.outgoing {
            match scope.flows[*flow].to {
                to if to == join && end.is_some() => return None,
                to if to == join => end = Some(*flow),
                to if to == split => return None,
                to => left.push(to),
            }
        }
    }
    end
}
