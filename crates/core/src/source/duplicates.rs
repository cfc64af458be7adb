//! Keys that occur twice in a mapping.

use std::collections::HashMap;

use super::{Key, Node, Problem, Span};

/// Entries up to which looking at each is faster than hashing.
const SMALL_MAP_LEN: usize = 8;

/// Keeps the first of each name, and returns a problem for each of the others.
pub(super) fn drop_duplicates(entries: &mut Vec<(Key, Node)>) -> Vec<Problem> {
    let mut repeats: Vec<usize> = Vec::new();
    let mut problems = Vec::new();
    let mut note = |at: usize, key: &Key, first: Span| {
        repeats.push(at);
        problems.push(
            Problem::error("SF1006", key.span, format!("the key `{}` occurs twice", key.name))
                .label("here again")
                .related(first, "first here")
                .help("keep one of the two, or give this one another name"),
        );
    };
    if entries.len() <= SMALL_MAP_LEN {
        for (at, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries[..at].iter().find(|(it, _)| it.name == key.name) {
                note(at, key, first.span);
            }
        }
    } else {
        let mut first_spans: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
        for (at, (key, _)) in entries.iter().enumerate() {
            match first_spans.get(key.name.as_str()) {
                Some(first) => note(at, key, *first),
                None => {
                    first_spans.insert(&key.name, key.span);
                }
            }
        }
    }
    if !repeats.is_empty() {
        let mut at = 0;
        entries.retain(|_| {
            at += 1;
            repeats.binary_search(&(at - 1)).is_err()
        });
    }
    problems
}
