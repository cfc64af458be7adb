//! Which layer a vertex is in: one below the lowest that leads to it. Arrows that span several
//! layers are cut into pieces with a bend in each, so that they keep clear of the boxes.

/// Bends in one drawing. Arrows that would need more are drawn straight: beyond this, nobody could
/// follow them anyway, and a graph of ten thousand tasks may ask for millions.
pub const BENDS_MAX: usize = 100_000;

/// Vertices and bends in layers. The first points are the vertices.
#[derive(Debug)]
pub struct Layered {
    /// The layer of each point.
    pub layer: Vec<u32>,
    pub layers: Vec<Vec<u32>>,
    /// For each arrow the points it goes through, from the upper end to the lower one.
    pub chains: Vec<Chain>,
}

#[derive(Debug)]
pub struct Chain {
    pub points: Vec<u32>,
    /// The arrow points upwards: it closes a cycle.
    pub is_reversed: bool,
}

pub fn layered(vertices: usize, edges: &[(u32, u32)]) -> Layered {
    let back = back_edges(vertices, edges);
    let down: Vec<(u32, u32)> = edges
        .iter()
        .zip(&back)
        .map(|((from, to), back)| if *back { (*to, *from) } else { (*from, *to) })
        .collect();
    let mut layered =
        Layered { layer: longest_paths(vertices, &down), layers: Vec::new(), chains: Vec::new() };
    layered.bend(&down, &back);
    let count = layered.layer.iter().max().map_or(0, |it| *it as usize + 1);
    layered.layers = vec![Vec::new(); count];
    for (point, layer) in layered.layer.iter().enumerate() {
        layered.layers[*layer as usize].push(point as u32);
    }
    layered
}

impl Layered {
    /// The shortest arrows get their bends first.
    fn bend(&mut self, down: &[(u32, u32)], back: &[bool]) {
        let span = |(from, to): (u32, u32)| {
            self.layer[to as usize].saturating_sub(self.layer[from as usize]) as usize
        };
        let spans: Vec<usize> = down.iter().map(|it| span(*it)).collect();
        let mut by_span: Vec<usize> = (0..down.len()).collect();
        by_span.sort_by_key(|it| spans[*it]);
        let mut left = BENDS_MAX;
        let mut chains: Vec<Vec<u32>> = down.iter().map(|(from, to)| vec![*from, *to]).collect();
        for at in by_span {
            let wanted = spans[at].saturating_sub(1);
            if wanted > left {
                break;
            }
            left -= wanted;
            let (from, to) = down[at];
            let top = self.layer[from as usize];
            let mut points = vec![from];
            for step in 1..=wanted as u32 {
                points.push(self.layer.len() as u32);
                self.layer.push(top + step);
            }
            points.push(to);
            chains[at] = points;
        }
        let both = chains.into_iter().zip(back);
        self.chains = both.map(|(points, back)| Chain { points, is_reversed: *back }).collect();
    }
}

/// Returns which arrows close a cycle when the vertices are visited in their order.
fn back_edges(vertices: usize, edges: &[(u32, u32)]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        Open,
        Done,
    }
    let mut out: Vec<Vec<u32>> = vec![Vec::new(); vertices];
    for (at, (from, _)) in edges.iter().enumerate() {
        out[*from as usize].push(at as u32);
    }
    let mut visit = vec![Visit::Not; vertices];
    let mut back = vec![false; edges.len()];
    for start in 0..vertices {
        if visit[start] != Visit::Not {
            continue;
        }
        visit[start] = Visit::Open;
        let mut stack = vec![(start, 0)];
        while let Some((vertex, next)) = stack.last_mut() {
            let Some(edge) = out[*vertex].get(*next).map(|it| *it as usize) else {
                visit[*vertex] = Visit::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            let to = edges[edge].1 as usize;
            match visit[to] {
                Visit::Open => back[edge] = true,
                Visit::Not => {
                    visit[to] = Visit::Open;
                    stack.push((to, 0));
                }
                Visit::Done => {}
            }
        }
    }
    back
}

/// Loops of one vertex are left out: they span nothing.
fn longest_paths(vertices: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let mut out: Vec<Vec<u32>> = vec![Vec::new(); vertices];
    let mut open = vec![0u32; vertices];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        out[*from as usize].push(*to);
        open[*to as usize] += 1;
    }
    let mut layer = vec![0u32; vertices];
    let mut ready: Vec<u32> = (0..vertices as u32).filter(|it| open[*it as usize] == 0).collect();
    while let Some(vertex) = ready.pop() {
        for to in &out[vertex as usize] {
            let slot = *to as usize;
            layer[slot] = layer[slot].max(layer[vertex as usize] + 1);
            open[slot] -= 1;
            if open[slot] == 0 {
                ready.push(*to);
            }
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_is_below_all_that_lead_to_it() {
        let layered = layered(4, &[(0, 1), (1, 2), (0, 3), (2, 3)]);
        assert_eq!(layered.layer[..4], [0, 1, 2, 3]);
        assert_eq!(layered.chains[2].points.len(), 4, "two bends between layer 0 and layer 3");
    }

    #[test]
    fn cycles_and_loops_end() {
        let layered = layered(3, &[(0, 1), (1, 0), (1, 2), (2, 2)]);
        assert_eq!(layered.layer[..3], [0, 1, 2]);
        let reversed: Vec<bool> = layered.chains.iter().map(|it| it.is_reversed).collect();
        assert_eq!(reversed, [false, true, false, true]);
    }
}
