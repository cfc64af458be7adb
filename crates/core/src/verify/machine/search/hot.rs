//! What goes round without waiting.

use super::Visited;
use crate::limits::AUTOMATIC_TRANSITIONS_MAX;

/// Follows what goes on at once until it comes back, or for longer than a run may.
pub(super) fn configurations(visited: &[Visited]) -> Vec<usize> {
    // How many steps it goes on at once from here; none if without end.
    let mut lengths: Vec<Option<u32>> = vec![None; visited.len()];
    let mut is_known = vec![false; visited.len()];
    for start in 0..visited.len() {
        let (mut way, mut at) = (Vec::new(), start);
        while !is_known[at] {
            is_known[at] = true;
            way.push(at);
            match visited[at].at_once {
                Some(next) => at = next,
                None => lengths[at] = Some(0),
            }
        }
        for at in way.into_iter().rev() {
            if let Some(next) = visited[at].at_once {
                lengths[at] = lengths[next].map(|it| it.saturating_add(1));
            }
        }
    }
    let is_hot = |at: &usize| lengths[*at].is_none_or(|it| it >= AUTOMATIC_TRANSITIONS_MAX);
    (0..visited.len()).filter(is_hot).collect()
}
