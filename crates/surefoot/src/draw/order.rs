//! In which order the points of a layer stand: next to what they are joined with, so that few
//! arrows cross. Barycentres, swept down and up a few times; the best order seen is kept.

use super::layers::Layered;

/// Sweeps for small drawings. Large ones get fewer: a crossing less is not seen there.
const SWEEPS_MAX: usize = 12;
const SWEEPS_OF_LARGE: usize = 4;
const LARGE_POINTS: usize = 2_000;

/// Sorts every layer.
pub fn order(layered: &mut Layered) {
    let neighbours = Neighbours::of(layered);
    let is_large = layered.layer.len() > LARGE_POINTS;
    let sweeps = if is_large { SWEEPS_OF_LARGE } else { SWEEPS_MAX };
    let mut place = places(layered);
    let mut best = (crossings(layered, &neighbours, &place), layered.layers.clone());
    for sweep in 0..sweeps {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let count = layered.layers.len();
        for step in 1..count {
            let at = if down { step } else { count - 1 - step };
            let beside = if down { &neighbours.above } else { &neighbours.below };
            sort_layer(&mut layered.layers[at], beside, &mut place);
        }
        let found = crossings(layered, &neighbours, &place);
        if found < best.0 {
            best = (found, layered.layers.clone());
        }
    }
    layered.layers = best.1;
}

/// The neighbours of each point in the layers above and below.
pub struct Neighbours {
    pub above: Vec<Vec<u32>>,
    pub below: Vec<Vec<u32>>,
}

impl Neighbours {
    pub fn of(layered: &Layered) -> Neighbours {
        let count = layered.layer.len();
        let (mut above, mut below) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for chain in &layered.chains {
            for pair in chain.points.windows(2).filter(|it| it[0] != it[1]) {
                below[pair[0] as usize].push(pair[1]);
                above[pair[1] as usize].push(pair[0]);
            }
        }
        Neighbours { above, below }
    }
}

fn places(layered: &Layered) -> Vec<f64> {
    let mut place = vec![0.0; layered.layer.len()];
    for layer in &layered.layers {
        for (at, point) in layer.iter().enumerate() {
            place[*point as usize] = at as f64;
        }
    }
    place
}

fn sort_layer(layer: &mut [u32], beside: &[Vec<u32>], place: &mut [f64]) {
    let mut keyed: Vec<(f64, u32)> = layer
        .iter()
        .map(|point| {
            let all = &beside[*point as usize];
            let sum: f64 = all.iter().map(|it| place[*it as usize]).sum();
            let centre =
                if all.is_empty() { place[*point as usize] } else { sum / all.len() as f64 };
            (centre, *point)
        })
        .collect();
    keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (at, (_, point)) in keyed.into_iter().enumerate() {
        layer[at] = point;
        place[point as usize] = at as f64;
    }
}

/// Counts crossings between neighbouring layers with a Fenwick tree, in O(edges × log).
fn crossings(layered: &Layered, neighbours: &Neighbours, place: &[f64]) -> u64 {
    let mut total = 0;
    for pair in layered.layers.windows(2) {
        let mut tree = vec![0u64; pair[1].len() + 1];
        let mut seen = 0u64;
        for point in &pair[0] {
            let mut ends: Vec<usize> = neighbours.below[*point as usize]
                .iter()
                .filter(|it| layered.layer[**it as usize] == layered.layer[*point as usize] + 1)
                .map(|it| place[*it as usize] as usize)
                .collect();
            ends.sort_unstable();
            for end in &ends {
                total += seen - sum_to(&tree, *end);
            }
            for end in &ends {
                add(&mut tree, *end);
                seen += 1;
            }
        }
    }
    total
}

/// Returns how many were added at places up to and including `end`.
fn sum_to(tree: &[u64], end: usize) -> u64 {
    let (mut at, mut sum) = (end + 1, 0);
    while at > 0 {
        sum += tree[at];
        at &= at - 1;
    }
    sum
}

fn add(tree: &mut [u64], place: usize) {
    let mut at = place + 1;
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::layers::layered;

    #[test]
    fn crossed_pairs_are_uncrossed() {
        let mut drawing = layered(4, &[(0, 3), (1, 2)]);
        let neighbours = Neighbours::of(&drawing);
        assert_eq!(crossings(&drawing, &neighbours, &places(&drawing)), 1);
        order(&mut drawing);
        assert_eq!(crossings(&drawing, &neighbours, &places(&drawing)), 0);
    }
}
