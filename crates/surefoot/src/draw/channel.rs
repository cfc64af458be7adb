//! The rows between two layers in which arrows turn. Arrows that start or end together share a row,
//! rows of different arrows do not overlap, and a row is above another if a line would else run
//! into it.

use std::collections::BTreeMap;

/// Lines that are one: each of `from` leads to each of `to`.
#[derive(Debug, Default)]
pub struct Net {
    pub from: Vec<usize>,
    pub to: Vec<usize>,
    /// The row of the channel in which it turns; none if it goes straight down.
    pub row: Option<usize>,
}

impl Net {
    pub fn left(&self) -> usize {
        self.from.iter().chain(&self.to).copied().min().unwrap_or(0)
    }

    pub fn right(&self) -> usize {
        self.from.iter().chain(&self.to).copied().max().unwrap_or(0)
    }
}

/// Groups pieces that start and end together and finds a row for each group. Returns the number
/// of rows.
pub fn route(pieces: &[(usize, usize)]) -> (Vec<Net>, usize) {
    let mut nets = grouped(pieces);
    let above = above(&nets);
    // For each row the spans that are taken.
    let mut rows: Vec<Vec<(usize, usize)>> = Vec::new();
    for at in top_down(&above) {
        let (left, right) = (nets[at].left(), nets[at].right());
        if left == right {
            continue;
        }
        let upper = above[at].iter().filter_map(|it| nets[*it].row);
        let below = upper.max().map_or(0, |it| it + 1);
        let is_free =
            |row: &[(usize, usize)]| row.iter().all(|(l, r)| right + 1 < *l || r + 1 < left);
        let row =
            (below..rows.len()).find(|it| is_free(&rows[*it])).unwrap_or(rows.len().max(below));
        rows.resize(rows.len().max(row + 1), Vec::new());
        rows[row].push((left, right));
        nets[at].row = Some(row);
    }
    let count = rows.len();
    (nets, count)
}

fn grouped(pieces: &[(usize, usize)]) -> Vec<Net> {
    let mut ends: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in pieces {
        ends.entry(*from).or_default().push(*to);
    }
    let mut starts: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (from, mut to) in ends {
        to.sort_unstable();
        to.dedup();
        starts.entry(to).or_default().push(from);
    }
    starts.into_iter().map(|(to, from)| Net { from, to, row: None }).collect()
}

/// For each net those that must turn above it: they start where it ends, and two lines may not
/// lie on each other.
fn above(nets: &[Net]) -> Vec<Vec<usize>> {
    let starts: BTreeMap<usize, usize> = nets
        .iter()
        .enumerate()
        .flat_map(|(at, it)| it.from.iter().map(move |x| (*x, at)))
        .collect();
    let upper = |(at, net): (usize, &Net)| {
        net.to.iter().filter_map(|it| starts.get(it).copied()).filter(|it| *it != at).collect()
    };
    nets.iter().enumerate().map(upper).collect()
}

/// Orders nets so that what must be above comes first, where there is no cycle.
fn top_down(above: &[Vec<usize>]) -> Vec<usize> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); above.len()];
    let mut open: Vec<usize> = above.iter().map(Vec::len).collect();
    for (at, upper) in above.iter().enumerate() {
        upper.iter().for_each(|it| below[*it].push(at));
    }
    let mut order = Vec::with_capacity(above.len());
    let mut taken = vec![false; above.len()];
    let mut ready: Vec<usize> = (0..above.len()).rev().filter(|it| open[*it] == 0).collect();
    let mut next = 0;
    while order.len() < above.len() {
        let Some(at) = ready.pop() else {
            // A cycle: some net must come first.
            while taken[next] {
                next += 1;
            }
            ready.push(next);
            continue;
        };
        if std::mem::replace(&mut taken[at], true) {
            continue;
        }
        order.push(at);
        for lower in &below[at] {
            open[*lower] = open[*lower].saturating_sub(1);
            if open[*lower] == 0 && !taken[*lower] {
                ready.push(*lower);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_lines_take_no_row() {
        assert_eq!(route(&[(3, 3), (9, 9)]).1, 0);
    }

    #[test]
    fn lines_that_would_touch_take_rows_of_their_own() {
        let (nets, rows) = route(&[(0, 10), (5, 20)]);
        assert_eq!(rows, 2);
        assert_ne!(nets[0].row, nets[1].row);
    }

    #[test]
    fn a_net_that_starts_where_another_ends_turns_above_it() {
        let (nets, _) = route(&[(0, 10), (10, 20)]);
        assert_eq!((nets[0].to[0], nets[1].to[0]), (10, 20));
        assert!(nets[1].row < nets[0].row);
        let (_, rows) = route(&[(0, 10), (10, 0)]);
        assert_eq!(rows, 2, "a cycle is drawn somehow");
    }

    #[test]
    fn lines_that_start_or_end_together_share_a_row() {
        assert_eq!(route(&[(0, 5), (10, 5)]).1, 1);
        assert_eq!(route(&[(5, 0), (5, 10)]).1, 1);
        assert_eq!(route(&[(0, 0), (0, 10), (10, 0), (10, 10)]).1, 1);
    }
}
