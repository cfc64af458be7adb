//! SVG that needs nothing else: styles inside, light and dark, titles for those who cannot see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use surefoot_core::run::TaskStatus;

use super::diagram::{Diagram, Edge, Level, Shape, Vertex};
use super::place::{Layout, Point, Route, Size, Spacing, layout};
use super::{Statuses, sign};

/// Pixels. Widths of text are estimated: the reader's font is not known.
const LETTER: f64 = 7.6;
const SMALL_LETTER: f64 = 6.2;
const LINE: f64 = 18.0;
const PADDING: f64 = 12.0;
const BOX_WIDTH_MIN: f64 = 72.0;
const MARGIN: f64 = 16.0;
const DETAIL_LEN_MAX: usize = 44;
/// How far the arc of a clash bends down.
const CLASH_BEND: f64 = 26.0;
const GRAPH: Spacing = Spacing { beside: 28.0, between: 44.0, bend: 10.0 };
/// Machines have words on their arrows.
const MACHINE: Spacing = Spacing { beside: 90.0, between: 72.0, bend: 60.0 };

/// The colour of what the verifier refuted.
pub const WRONG: &str = "#b8281c";

const STYLE: &str = "
svg{font-family:system-ui,sans-serif;--paper:#fff;--ink:#1a1a1a;--soft:#5c6370;--line:#8a919e;--box:#f6f7f9}
@media(prefers-color-scheme:dark){svg{--paper:#15181d;--ink:#e8eaed;--soft:#a3abb8;--line:#717a88;--box:#20252d}}
.paper{fill:var(--paper)}.box{fill:var(--box);stroke:var(--line);stroke-width:1.2}
.initial>.box{stroke-width:2.6}.final>.ring{fill:none;stroke:var(--line)}
.label{fill:var(--ink);font-size:13px;font-weight:600}.detail{fill:var(--soft);font-size:11px}
.way{fill:none;stroke:var(--line);stroke-width:1.4}.head{fill:var(--line)}
.on{fill:var(--soft);font-size:11px;paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.dead>.box{stroke-dasharray:5 4}.dead>.label{fill:var(--soft)}.wrong>.box{stroke:#b8281c;stroke-width:2}
.clash{fill:none;stroke:#b8281c;stroke-width:1.6;stroke-dasharray:3 3}
";

/// Returns a light fill and a strong line for a status; both keep dark text readable.
pub fn colours(status: TaskStatus) -> (&'static str, &'static str) {
    match status {
        TaskStatus::Pending => ("#eef0f3", "#8a919e"),
        TaskStatus::Ready => ("#e3e8f4", "#5b6fa8"),
        TaskStatus::Running => ("#d5e6fb", "#1f6fd0"),
        TaskStatus::Retrying => ("#fdeccb", "#b26b00"),
        TaskStatus::Waiting => ("#ebe2f8", "#7a48b8"),
        TaskStatus::Completed => ("#d8f0dc", "#237a3b"),
        TaskStatus::Failed => ("#fbdcd9", "#b8281c"),
        TaskStatus::Skipped => ("#f3f3f3", "#a0a0a0"),
        TaskStatus::Cancelled => ("#e4e0dc", "#6f655c"),
        TaskStatus::Compensated => ("#f6e3ee", "#a03a72"),
    }
}

pub fn svg(diagram: &Diagram, statuses: &Statuses) -> String {
    let blocks: Vec<(&str, Block)> =
        diagram.sections.iter().map(|(name, level)| (*name, block(level, statuses))).collect();
    let width = blocks.iter().map(|(_, it)| it.size.width).fold(0.0, f64::max) + 2.0 * MARGIN;
    let heading = |name: &str| if name.is_empty() { 0.0 } else { LINE + MARGIN };
    let height: f64 =
        blocks.iter().map(|(name, it)| it.size.height + heading(name) + MARGIN).sum::<f64>()
            + MARGIN;
    let title = escaped(&diagram.title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title><style>{STYLE}{}</style>\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        status_style(statuses),
    );
    let mut y = MARGIN;
    let mut places = BTreeMap::new();
    for (name, block) in blocks {
        if !name.is_empty() {
            let _ = writeln!(
                out,
                "<text class=\"label\" x=\"{MARGIN}\" y=\"{:.0}\">{name}</text>",
                y + LINE
            );
            y += heading(name);
        }
        let _ = writeln!(out, "<g transform=\"translate({MARGIN} {y:.1})\">{}</g>", block.content);
        let corner = Point { x: MARGIN, y };
        places.extend(block.places.into_iter().map(|(path, it)| (path, moved(it, corner))));
        y += block.size.height + MARGIN;
    }
    clashes(&mut out, diagram, &places);
    out.push_str("</svg>\n");
    out
}

/// Arcs between boxes that must not run side by side, wherever they are nested.
fn clashes(out: &mut String, diagram: &Diagram, places: &BTreeMap<String, Point>) {
    for clash in &diagram.clashes {
        let place = |path: &str| places.get(path).copied();
        let (Some(a), Some(b)) = (place(&clash.between.0), place(&clash.between.1)) else {
            continue;
        };
        let middle = Point { x: (a.x + b.x) / 2.0, y: (a.y + b.y) / 2.0 + CLASH_BEND };
        let _ = writeln!(
            out,
            "<path class=\"clash\" d=\"M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}\"><title>{}</title></path>\
             <text class=\"on\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            a.x,
            a.y,
            middle.x,
            middle.y,
            b.x,
            b.y,
            escaped(&clash.message),
            middle.x,
            middle.y - CLASH_BEND / 2.0,
            clash.code
        );
    }
}

fn moved(point: Point, by: Point) -> Point {
    Point { x: point.x + by.x, y: point.y + by.y }
}

fn status_style(statuses: &Statuses) -> String {
    let mut used: Vec<TaskStatus> = statuses.values().copied().collect();
    used.sort_unstable();
    used.dedup();
    let rule = |status: &TaskStatus| {
        let (fill, line) = colours(*status);
        format!(".{status}>.box{{fill:{fill};stroke:{line}}}.{status}>text{{fill:#1a1a1a}}")
    };
    used.iter().map(rule).collect()
}

/// Something drawn, with its upper left corner at the origin.
struct Block {
    size: Size,
    content: String,
    /// Where the boxes of clashes end below, by path.
    places: BTreeMap<String, Point>,
}

fn block(level: &Level, statuses: &Statuses) -> Block {
    let inner: Vec<Option<Block>> = level
        .vertices
        .iter()
        .map(|it| it.inner.as_ref().map(|level| block(level, statuses)))
        .collect();
    let sizes: Vec<Size> =
        level.vertices.iter().zip(&inner).map(|(it, inner)| size(it, inner.as_ref())).collect();
    let spacing = if level.is_machine { MACHINE } else { GRAPH };
    let plan = layout(&sizes, &level.pairs(), spacing);
    let mut content = String::new();
    for (edge, route) in level.edges.iter().zip(&plan.routes) {
        arrow(&mut content, edge, route);
    }
    let mut places = BTreeMap::new();
    for (at, vertex) in level.vertices.iter().enumerate() {
        let status = statuses.get(&vertex.path).copied();
        let (corner, size) = (plan.corners[at], sizes[at]);
        draw_box(&mut content, vertex, status, corner, size, inner[at].as_ref());
        if vertex.mark.clashes {
            let below = Point { x: size.width / 2.0, y: size.height };
            places.insert(vertex.path.clone(), moved(below, corner));
        }
        if let Some(inner) = &inner[at] {
            let within = moved(inner_corner(vertex, size, inner), corner);
            let all = inner.places.iter();
            places.extend(all.map(|(path, it)| (path.clone(), moved(*it, within))));
        }
    }
    // Loops stand out to the right, and words beside the outermost arrows.
    let words = plan.routes.iter().zip(&level.edges).map(|(route, edge)| reach(&plan, route, edge));
    let width = words.fold(plan.size.width, f64::max);
    let room = if places.is_empty() { 0.0 } else { CLASH_BEND };
    Block { size: Size { width, height: plan.size.height + room }, content, places }
}

fn reach(plan: &Layout, route: &Route, edge: &Edge) -> f64 {
    let right = route.points.iter().map(|it| it.x).fold(0.0, f64::max);
    let own = if route.is_loop { LOOP } else { 0.0 };
    let words = edge.label.chars().count() as f64 * SMALL_LETTER;
    if edge.label.is_empty() && !route.is_loop {
        return plan.size.width;
    }
    right + own + words
}

fn size(vertex: &Vertex, inner: Option<&Block>) -> Size {
    let letters = vertex.label.chars().count() + vertex.mark.note().chars().count();
    let label = (letters + 2) as f64 * LETTER;
    let detail = detail(vertex).chars().count() as f64 * SMALL_LETTER;
    let within = inner.map_or(Size::default(), |it| it.size);
    let lines = if vertex.detail.is_empty() { 1.0 } else { 2.0 };
    Size {
        width: (label.max(detail).max(within.width) + 2.0 * PADDING).max(BOX_WIDTH_MIN),
        height: lines * LINE
            + PADDING
            + if inner.is_some() { within.height + PADDING } else { 0.0 },
    }
}

fn detail(vertex: &Vertex) -> String {
    super::listing::cut(&vertex.detail, DETAIL_LEN_MAX)
}

fn draw_box(
    out: &mut String,
    vertex: &Vertex,
    status: Option<TaskStatus>,
    corner: Point,
    size: Size,
    inner: Option<&Block>,
) {
    let class = match vertex.shape {
        Shape::Task => "task",
        Shape::Human => "task human",
        Shape::State => "state",
        Shape::InitialState => "state initial",
        Shape::FinalState => "state final",
    };
    let word = match status {
        Some(status) => format!(" {status}"),
        None if vertex.mark.is_dead => " dead".to_owned(),
        None if !vertex.mark.codes.is_empty() => " wrong".to_owned(),
        None => String::new(),
    };
    let radius = if class.starts_with("state") { 14 } else { 5 };
    let path = escaped(&vertex.path);
    let note = vertex.mark.note();
    let said = status.map_or_else(|| format!("{path}{note}"), |it| format!("{path}: {it}"));
    let _ = write!(
        out,
        "<g class=\"{class}{word}\" data-path=\"{path}\" transform=\"translate({:.1} {:.1})\">\
         <title>{said}</title>\
         <rect class=\"box\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{radius}\"/>",
        corner.x, corner.y, size.width, size.height
    );
    if vertex.shape == Shape::FinalState {
        let (width, height) = (size.width - 6.0, size.height - 6.0);
        let _ = write!(
            out,
            "<rect class=\"ring\" x=\"3\" y=\"3\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"11\"/>"
        );
    }
    let mark = status.map_or_else(String::new, |it| format!("{} ", sign(it)));
    let centre = size.width / 2.0;
    let _ = write!(
        out,
        "<text class=\"label\" text-anchor=\"middle\" x=\"{centre:.1}\" y=\"{:.1}\">{mark}{}{note}</text>",
        PADDING / 2.0 + 13.0,
        escaped(&vertex.label)
    );
    if !vertex.detail.is_empty() {
        let _ = write!(
            out,
            "<text class=\"detail\" text-anchor=\"middle\" x=\"{centre:.1}\" y=\"{:.1}\">{}</text>",
            PADDING / 2.0 + 13.0 + LINE,
            escaped(&detail(vertex))
        );
    }
    if let Some(inner) = inner {
        let Point { x, y } = inner_corner(vertex, size, inner);
        let _ = write!(out, "<g transform=\"translate({x:.1} {y:.1})\">{}</g>", inner.content);
    }
    out.push_str("</g>\n");
}

/// Where the inside of a box begins.
fn inner_corner(vertex: &Vertex, size: Size, inner: &Block) -> Point {
    let lines = if vertex.detail.is_empty() { 1.0 } else { 2.0 };
    Point { x: (size.width - inner.size.width) / 2.0, y: lines * LINE + PADDING }
}

/// How far a loop stands out of its box.
const LOOP: f64 = 46.0;

fn arrow(out: &mut String, edge: &Edge, route: &Route) {
    let (path, label) = if route.is_loop { looped(route) } else { curve(route) };
    let _ = write!(out, "<path class=\"way\" marker-end=\"url(#head)\" d=\"{path}\"/>");
    if !edge.label.is_empty() {
        let _ = write!(
            out,
            "<text class=\"on\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            label.x + 4.0,
            label.y,
            escaped(&edge.label)
        );
    }
    out.push('\n');
}

fn looped(route: &Route) -> (String, Point) {
    let (bottom, top) = (route.points[0], route.points[1]);
    let x = bottom.x + 10.0;
    let path = format!(
        "M{x:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {x:.1} {:.1}",
        bottom.y,
        x + LOOP,
        bottom.y + 24.0,
        x + LOOP,
        top.y - 24.0,
        top.y
    );
    (path, Point { x: x + LOOP * 0.75, y: (bottom.y + top.y) / 2.0 })
}

/// Straight through layers, curved between them. Returns the place of the label as well.
fn curve(route: &Route) -> (String, Point) {
    let points = &route.points;
    let mut path = format!("M{:.1} {:.1}", points[0].x, points[0].y);
    for (at, pair) in points.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        if at % 2 == 0 {
            let middle = (from.y + to.y) / 2.0;
            let _ = write!(
                path,
                "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}",
                from.x, to.x, to.x, to.y
            );
        } else {
            let _ = write!(path, "L{:.1} {:.1}", to.x, to.y);
        }
    }
    let (from, to) = (points[0], points[1]);
    // An arrow up and an arrow down between the same boxes have their words at different heights.
    let part = if route.is_reversed { 0.3 } else { 0.6 };
    let label = Point { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
    (path, label)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
