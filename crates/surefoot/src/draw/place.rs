//! Where everything goes: coordinates for boxes and the points of arrows, in the unit of whoever
//! draws (characters or pixels). Layers lie below each other; who draws sideways swaps the axes.

use super::layers::{Layered, layered};
use super::order::{Neighbours, order};

/// Passes that pull points towards their neighbours.
const PULLS: usize = 8;

/// Width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// Distances to keep.
#[derive(Clone, Copy, Debug)]
pub struct Spacing {
    /// Between neighbours of a layer.
    pub beside: f64,
    /// Between layers.
    pub between: f64,
    /// Room that an arrow takes when it passes a layer.
    pub bend: f64,
}

#[derive(Debug)]
pub struct Layout {
    /// The upper left corner of each vertex.
    pub corners: Vec<Point>,
    pub routes: Vec<Route>,
    pub layered: Layered,
    /// Centre of each point, bends included.
    pub centres: Vec<f64>,
    /// Top and height of each layer.
    pub bands: Vec<(f64, f64)>,
    pub size: Size,
}

/// The course of one arrow, from its start to its end.
#[derive(Debug)]
pub struct Route {
    pub points: Vec<Point>,
    /// The arrow leads from a vertex to itself.
    pub is_loop: bool,
    /// The arrow leads upwards.
    pub is_reversed: bool,
}

pub fn layout(sizes: &[Size], edges: &[(u32, u32)], spacing: Spacing) -> Layout {
    let mut layered = layered(sizes.len(), edges);
    order(&mut layered);
    let centres = centres(&layered, sizes, spacing);
    let mut bands = Vec::new();
    let mut y = 0.0;
    for layer in &layered.layers {
        let vertices = layer.iter().filter_map(|it| sizes.get(*it as usize));
        let height = vertices.map(|it| it.height).fold(0.0, f64::max);
        bands.push((y, height));
        y += height + spacing.between;
    }
    let corners: Vec<Point> = (0..sizes.len())
        .map(|at| Point {
            x: centres[at] - sizes[at].width / 2.0,
            y: bands[layered.layer[at] as usize].0,
        })
        .collect();
    let right = corners.iter().zip(sizes).map(|(it, size)| it.x + size.width);
    let width = right.chain(centres.iter().copied()).fold(0.0, f64::max);
    let height = (y - spacing.between).max(0.0);
    let mut layout = Layout {
        corners,
        routes: Vec::new(),
        layered,
        centres,
        bands,
        size: Size { width, height },
    };
    layout.routes = layout.route(sizes);
    layout
}

impl Layout {
    fn route(&self, sizes: &[Size]) -> Vec<Route> {
        let route = |chain: &super::layers::Chain| {
            let is_loop = chain.points.first() == chain.points.last();
            let last = chain.points.len() - 1;
            let mut points = Vec::with_capacity(2 * last);
            for (at, point) in chain.points.iter().enumerate() {
                let x = self.centres[*point as usize];
                let (top, height) = self.bands[self.layered.layer[*point as usize] as usize];
                let own = sizes.get(*point as usize).map_or(height, |it| it.height);
                if at > 0 {
                    points.push(Point { x, y: top });
                }
                if at < last {
                    points.push(Point { x, y: top + own });
                }
            }
            if chain.is_reversed {
                points.reverse();
            }
            Route { points, is_loop, is_reversed: chain.is_reversed && !is_loop }
        };
        self.layered.chains.iter().map(route).collect()
    }
}

fn centres(layered: &Layered, sizes: &[Size], spacing: Spacing) -> Vec<f64> {
    let width = |point: u32| sizes.get(point as usize).map_or(spacing.bend, |it| it.width);
    let neighbours = Neighbours::of(layered);
    let mut centre = vec![0.0; layered.layer.len()];
    // Where each point stands if its layer is packed to the left: the least distances.
    let mut packed = vec![0.0; layered.layer.len()];
    for layer in &layered.layers {
        let mut x = 0.0;
        for point in layer {
            packed[*point as usize] = x + width(*point) / 2.0;
            x += width(*point) + spacing.beside;
        }
    }
    centre.copy_from_slice(&packed);
    let count = layered.layers.len();
    for pull in 0..PULLS {
        for step in 0..count {
            let at = if pull % 2 == 0 { step } else { count - 1 - step };
            let both = pull + 2 >= PULLS;
            pull_layer(&layered.layers[at], &neighbours, &packed, &mut centre, pull % 2 == 0, both);
        }
    }
    let left = (0..centre.len() as u32).map(|it| centre[it as usize] - width(it) / 2.0);
    let least = left.fold(f64::INFINITY, f64::min);
    centre.iter_mut().for_each(|it| *it -= least);
    centre
}

/// Moves the points of a layer as near to their neighbours as order and distances allow: least
/// squares under an order, which pooling of adjacent violators solves exactly.
fn pull_layer(
    layer: &[u32],
    neighbours: &Neighbours,
    packed: &[f64],
    centre: &mut [f64],
    down: bool,
    both: bool,
) {
    // Blocks of points that touch: the sum of their wishes and their number.
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(layer.len());
    for point in layer {
        let at = *point as usize;
        let (mut sum, mut count) = (0.0, 0usize);
        let mut add = |all: &[u32]| {
            sum += all.iter().map(|it| centre[*it as usize]).sum::<f64>();
            count += all.len();
        };
        if down || both {
            add(&neighbours.above[at]);
        }
        if !down || both {
            add(&neighbours.below[at]);
        }
        let wish = if count == 0 { centre[at] } else { sum / count as f64 };
        blocks.push((wish - packed[at], 1));
        while let [.., one, other] = &blocks[..]
            && one.0 / one.1 as f64 > other.0 / other.1 as f64
        {
            let merged = (one.0 + other.0, one.1 + other.1);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let mut points = layer.iter();
    for (sum, count) in blocks {
        for point in points.by_ref().take(count) {
            centre[*point as usize] = packed[*point as usize] + sum / count as f64;
        }
    }
}
