//! Nets made from a number, for tests and measurements: blocks that are sound by construction, what
//! becomes of them by a mistake, and nets that no rule about blocks fits. The same number makes the
//! same net everywhere.

use crate::marking::spread;
use crate::net::{Label, Net, NetBuilder};

/// A source of numbers that look random, from a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(spread(seed))
    }

    /// Returns a number below `sides`, which is at least 1.
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (spread(self.0) % sides as u64) as usize
    }

    pub fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

/// What a node of a flow chart does with its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Task,
    /// Takes one token from anywhere, and sends it one way.
    Exclusive,
    /// Takes one from everywhere, and sends one every way.
    Parallel,
}

/// A chart of tasks and gateways, with one way in and one way out.
#[derive(Clone, Debug)]
pub struct Chart {
    nodes: Vec<Kind>,
    /// From, to. The first comes from the start and the second leads to the end, by this number.
    edges: Vec<(usize, usize)>,
}

const OUTSIDE: usize = usize::MAX;
/// Branches of a block.
const BRANCHES_MAX: usize = 4;

impl Chart {
    /// Returns nested blocks with so many tasks: sound and safe by construction.
    pub fn structured(dice: &mut Dice, tasks: usize) -> Chart {
        let mut chart = Chart { nodes: Vec::new(), edges: vec![(OUTSIDE, 0), (0, OUTSIDE)] };
        let (first, last) = chart.block(dice, tasks.max(1));
        chart.edges[0].1 = first;
        chart.edges[1].0 = last;
        chart
    }

    fn node(&mut self, kind: Kind) -> usize {
        self.nodes.push(kind);
        self.nodes.len() - 1
    }

    /// Adds a block, and returns its first and its last node.
    fn block(&mut self, dice: &mut Dice, tasks: usize) -> (usize, usize) {
        if tasks == 1 {
            let task = self.node(Kind::Task);
            return (task, task);
        }
        match dice.below(8) {
            0..=2 => self.sequence(dice, tasks),
            3 | 4 => self.branches(dice, tasks, Kind::Exclusive),
            5 | 6 => self.branches(dice, tasks, Kind::Parallel),
            _ => self.repetition(dice, tasks),
        }
    }

    fn sequence(&mut self, dice: &mut Dice, tasks: usize) -> (usize, usize) {
        let parts = split(dice, tasks);
        let ends: Vec<(usize, usize)> = parts.iter().map(|it| self.block(dice, *it)).collect();
        self.edges.extend(ends.windows(2).map(|it| (it[0].1, it[1].0)));
        (ends[0].0, ends[ends.len() - 1].1)
    }

    fn branches(&mut self, dice: &mut Dice, tasks: usize, kind: Kind) -> (usize, usize) {
        let (fork, join) = (self.node(kind), self.node(kind));
        for part in split(dice, tasks) {
            let (first, last) = self.block(dice, part);
            self.edges.extend([(fork, first), (last, join)]);
        }
        if kind == Kind::Exclusive && dice.one_in(4) {
            self.edges.push((fork, join));
        }
        (fork, join)
    }

    /// Runs the first part, and then either leaves or runs the second part and starts over.
    fn repetition(&mut self, dice: &mut Dice, tasks: usize) -> (usize, usize) {
        let (head, exit) = (self.node(Kind::Exclusive), self.node(Kind::Exclusive));
        let back = tasks / 2;
        let (first, last) = self.block(dice, tasks - back);
        self.edges.extend([(head, first), (last, exit)]);
        let (first, last) = self.block(dice, back);
        self.edges.extend([(exit, first), (last, head)]);
        (head, exit)
    }

    /// Makes one mistake that a person could make.
    pub fn mutate(&mut self, dice: &mut Dice) {
        let gateways: Vec<usize> =
            (0..self.nodes.len()).filter(|it| self.nodes[*it] != Kind::Task).collect();
        let inner = 2 + dice.below(self.edges.len().saturating_sub(2).max(1));
        match dice.below(4) {
            0 if !gateways.is_empty() => {
                let gateway = gateways[dice.below(gateways.len())];
                self.nodes[gateway] = match self.nodes[gateway] {
                    Kind::Parallel => Kind::Exclusive,
                    Kind::Exclusive | Kind::Task => Kind::Parallel,
                };
            }
            1 if inner < self.edges.len() => _ = self.edges.remove(inner),
            2 if inner < self.edges.len() => self.edges[inner].1 = dice.below(self.nodes.len()),
            _ => {
                let ends = (dice.below(self.nodes.len()), dice.below(self.nodes.len()));
                self.edges.push(ends);
            }
        }
    }

    /// Returns the chart as a net: a place for each edge, transitions for nodes.
    pub fn net(&self) -> Net {
        let mut drawing = Drawing::default();
        let start = drawing.place("start");
        let edges: Vec<String> = (0..self.edges.len())
            .map(|it| if it == 0 { start.clone() } else { drawing.place(&format!("e{it}")) })
            .collect();
        for (node, kind) in self.nodes.iter().enumerate() {
            let all = self.edges.iter().zip(&edges);
            let into: Vec<&String> =
                all.clone().filter(|(edge, _)| edge.1 == node).map(|it| it.1).collect();
            let out: Vec<&String> = all.filter(|(edge, _)| edge.0 == node).map(|it| it.1).collect();
            match kind {
                Kind::Parallel => drawing.transition(&format!("n{node}"), &into, &out),
                Kind::Task | Kind::Exclusive if into.len() == 1 && out.len() == 1 => {
                    drawing.transition(&format!("n{node}"), &into, &out);
                }
                Kind::Task | Kind::Exclusive => {
                    let middle = drawing.place(&format!("c{node}"));
                    for (at, place) in into.iter().enumerate() {
                        drawing.transition(&format!("n{node}i{at}"), &[place], &[&middle]);
                    }
                    // A task with two ways out sends a token each way.
                    if *kind == Kind::Task {
                        drawing.transition(&format!("n{node}o"), &[&middle], &out);
                        continue;
                    }
                    for (at, place) in out.iter().enumerate() {
                        drawing.transition(&format!("n{node}o{at}"), &[&middle], &[place]);
                    }
                }
            }
        }
        drawing.finish()
    }
}

/// Splits tasks into two to four parts with at least one each.
fn split(dice: &mut Dice, tasks: usize) -> Vec<usize> {
    let count = (2 + dice.below(BRANCHES_MAX - 1)).min(tasks);
    let mut parts = vec![1; count];
    for _ in count..tasks {
        parts[dice.below(count)] += 1;
    }
    parts
}

/// Returns a net of blocks with places between transitions that no block has: what waits in one
/// branch for another. Not free-choice, and seldom sound.
pub fn crossed(dice: &mut Dice, tasks: usize) -> Net {
    let net = Chart::structured(dice, tasks).net();
    let mut drawing = Drawing::of(&net);
    let count = net.transitions().len();
    for at in 0..1 + dice.below(3) {
        let (from, to) = (dice.below(count), dice.below(count));
        let place = drawing.place(&format!("x{at}"));
        let ids = net.transitions().map(|it| net.transition(it).id.clone()).collect::<Vec<_>>();
        drawing.arc(&ids[from], &place);
        drawing.arc(&place, &ids[to]);
        if dice.one_in(3) {
            drawing.arc(&place, &ids[dice.below(count)]);
        }
    }
    drawing.finish()
}

/// Returns stages in which one branch chooses, and another follows its choice: sound, and not
/// free-choice, so that no reduction gets to its end. Now and then an arc is missing.
pub fn echoed(dice: &mut Dice, stages: usize) -> (Net, bool) {
    let mut drawing = Drawing::default();
    let mut before = drawing.place("start");
    let broken = if dice.one_in(3) { dice.below(stages) } else { stages };
    for stage in 0..stages {
        let mut place = |name: &str| drawing.place(&format!("{name}{stage}"));
        let [lead, follow, led, followed, after] = ["l", "f", "m", "g", "z"].map(&mut place);
        drawing.transition(&format!("fork{stage}"), &[&before], &[&lead, &follow]);
        for way in 0..2 + dice.below(2) {
            let signal = drawing.place(&format!("s{stage}_{way}"));
            let (lead_way, follow_way) = (format!("a{stage}_{way}"), format!("b{stage}_{way}"));
            drawing.transition(&lead_way, &[&lead], &[&led]);
            if stage != broken || way > 0 {
                drawing.arc(&lead_way, &signal);
            } else {
                drawing.arc(&format!("fork{stage}"), &signal);
            }
            drawing.transition(&follow_way, &[&follow, &signal], &[&followed]);
        }
        drawing.transition(&format!("join{stage}"), &[&led, &followed], &[&after]);
        before = after;
    }
    (drawing.finish(), broken == stages)
}

/// Returns a net with arcs anywhere.
pub fn scattered(dice: &mut Dice, size: usize) -> Net {
    let mut drawing = Drawing::default();
    let places: Vec<String> = std::iter::once("i".to_owned())
        .chain((0..size).map(|it| format!("p{it}")))
        .chain(std::iter::once("o".to_owned()))
        .map(|it| drawing.place(&it))
        .collect();
    for at in 0..size + dice.below(3) {
        let some = |dice: &mut Dice, first: usize| -> Vec<String> {
            let count = 1 + dice.below(2) + usize::from(dice.one_in(5));
            (0..count).map(|_| places[first + dice.below(size + 1)].clone()).collect()
        };
        let (into, out) = (some(dice, 0), some(dice, 1));
        drawing.transition(
            &format!("t{at}"),
            &into.iter().collect::<Vec<_>>(),
            &out.iter().collect::<Vec<_>>(),
        );
    }
    drawing.finish()
}

/// Tasks of the net that [`industrial`] makes most often, and of its largest.
const INDUSTRIAL_TASKS: usize = 8;
const INDUSTRIAL_TASKS_MAX: usize = 108;

/// Returns a net of about the size of those that companies draw: 75 nodes on average, 453 at most
/// among the first 1,386. Every second one has one to three mistakes in it.
pub fn industrial(dice: &mut Dice) -> Net {
    let mut tasks = 2 + dice.below(INDUSTRIAL_TASKS);
    while tasks < INDUSTRIAL_TASKS_MAX && !dice.one_in(3) {
        tasks += dice.below(INDUSTRIAL_TASKS);
    }
    let mut chart = Chart::structured(dice, tasks.min(INDUSTRIAL_TASKS_MAX));
    if dice.one_in(2) {
        (0..1 + dice.below(3)).for_each(|_| chart.mutate(dice));
    }
    chart.net()
}

/// Returns so many branches in parallel with so many tasks each.
pub fn parallel(branches: usize, tasks_each: usize) -> Net {
    let mut drawing = Drawing::default();
    let (start, end) = (drawing.place("start"), drawing.place("end"));
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for branch in 0..branches {
        let mut before = drawing.place(&format!("p{branch}"));
        first.push(before.clone());
        for task in 0..tasks_each {
            let after = drawing.place(&format!("p{branch}_{task}"));
            drawing.transition(&format!("t{branch}_{task}"), &[&before], &[&after]);
            before = after;
        }
        last.push(before);
    }
    drawing.transition("fork", &[&start], &first.iter().collect::<Vec<_>>());
    drawing.transition("join", &last.iter().collect::<Vec<_>>(), &[&end]);
    drawing.finish()
}

/// Nets that blow up whoever looks at every marking, or at every pair of arcs, with their names.
pub fn explosive() -> Vec<(&'static str, Net)> {
    vec![
        ("17 branches of 1", parallel(17, 1)),
        ("1,000 branches of 1", parallel(1_000, 1)),
        ("100 branches of 100", parallel(100, 100)),
        ("a chain of 10,000", parallel(1, 10_000)),
        ("100,000 arcs into one join", parallel(100_000, 1)),
        ("40 choices at once, then a mistake", choices(40, 0)),
        ("40 choices that others follow", choices(40, 40)),
    ]
}

/// Returns so many branches in parallel with a choice each, some of which another branch follows; one
/// of them takes a token that nobody gives if none does.
fn choices(branches: usize, followed: usize) -> Net {
    let mut drawing = Drawing::default();
    let (start, end) = (drawing.place("start"), drawing.place("end"));
    drawing.transition("fork", &[&start], &[]);
    drawing.transition("join", &[], &[&end]);
    for branch in 0..branches {
        let mut place = |name: &str| drawing.place(&format!("{name}{branch}"));
        let [lead, led, left, right] = ["l", "m", "x", "y"].map(&mut place);
        let [follow, done] = ["f", "g"].map(&mut place);
        drawing.arc("fork", &lead);
        drawing.arc("fork", &follow);
        drawing.transition(&format!("left{branch}"), &[&lead], &[&led, &left]);
        drawing.transition(&format!("right{branch}"), &[&lead], &[&led, &right]);
        drawing.transition(&format!("took_left{branch}"), &[&follow, &left], &[&done]);
        let other = if branch < followed { &right } else { &left };
        drawing.transition(&format!("took_right{branch}"), &[&follow, other], &[&done]);
        if branch >= followed {
            drawing.transition(&format!("lost{branch}"), &[&right, &follow, &left], &[&done]);
        }
        drawing.arc(&led, "join");
        drawing.arc(&done, "join");
    }
    drawing.finish()
}

/// A builder that leaves out what it was told before.
#[derive(Default)]
struct Drawing {
    builder: NetBuilder,
    arcs: std::collections::HashSet<(String, String)>,
}

impl Drawing {
    fn of(net: &Net) -> Drawing {
        let mut drawing = Drawing::default();
        net.places().for_each(|it| _ = drawing.place(&net.place(it).id));
        for transition in net.transitions() {
            let arcs = net.arcs(transition);
            let ids = |places: &[crate::net::PlaceId]| {
                places.iter().map(|it| net.place(*it).id.clone()).collect::<Vec<String>>()
            };
            let (into, out) = (ids(&arcs.inputs), ids(&arcs.outputs));
            let (into, out) = (into.iter().collect::<Vec<_>>(), out.iter().collect::<Vec<_>>());
            drawing.transition(&net.transition(transition).id, &into, &out);
        }
        drawing
    }

    fn place(&mut self, id: &str) -> String {
        self.builder.place(Label::new(id, id, 0)).expect("generated ids differ");
        id.to_owned()
    }

    fn transition(&mut self, id: &str, into: &[&String], out: &[&String]) {
        self.builder.transition(Label::new(id, id, 0)).expect("generated ids differ");
        into.iter().for_each(|it| self.arc(it, id));
        out.iter().for_each(|it| self.arc(id, it));
    }

    fn arc(&mut self, from: &str, to: &str) {
        if self.arcs.insert((from.to_owned(), to.to_owned())) {
            self.builder.arc(from, to).expect("both ends were drawn before");
        }
    }

    fn finish(self) -> Net {
        self.builder.finish().expect("no arc is drawn twice")
    }
}
