//! Problems of a definition, drawn the way rustc draws its own.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use surefoot::core::source::{Problem, Severity, Span};

use super::style::{SOFT, paint};
use crate::project::Source;

/// Longer sources are not drawn: an excerpt of a generated file helps nobody.
const DRAWN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Lines longer than this are not drawn either.
const LINE_BYTES_MAX: usize = 2_000;

/// Draws the problems of a file, each with what happens step by step where that is known. The text
/// has colours; streams strip them where they are not wanted.
pub fn draw(checked: &Source, width: usize) -> String {
    let (bytes, file) = (&checked.bytes, &*checked.name());
    let source = std::str::from_utf8(bytes).ok().filter(|it| is_drawable(it));
    let renderer = Renderer::styled().decor_style(DecorStyle::Unicode).term_width(width);
    let lines = surefoot::core::source::LineIndex::new(bytes);
    let mut out = String::new();
    for (problem, trace) in checked.problems() {
        let title = level(problem.severity).primary_title(&*problem.message).id(problem.code);
        let mut group = match source {
            Some(source) => title.element(excerpt(problem, source, file)),
            None => {
                let (line, column) = lines.position(problem.label.span.start);
                let place = format!("at {file}:{line}:{column} {}", problem.label.text);
                title.element(Level::NOTE.message(place))
            }
        };
        if let Some(help) = &problem.help {
            group = group.element(Element::from(Level::HELP.message(&**help)));
        }
        out.push_str(&renderer.render(&[group]));
        out.push('\n');
        out.push_str(&steps(trace));
        out.push('\n');
    }
    out
}

/// The numbered steps of an execution.
fn steps(trace: &[String]) -> String {
    let digits = trace.len().to_string().len();
    let steps = trace.iter().enumerate().map(|(at, it)| format!("  {:>digits$}. {it}\n", at + 1));
    let text: String =
        std::iter::once("  it happens like this:\n".to_owned()).chain(steps).collect();
    if trace.is_empty() { String::new() } else { paint(SOFT, text.trim_end()) + "\n" }
}

fn is_drawable(source: &str) -> bool {
    source.len() <= DRAWN_BYTES_MAX && source.lines().all(|it| it.len() <= LINE_BYTES_MAX)
}

fn excerpt<'a>(
    problem: &'a Problem,
    source: &'a str,
    file: &'a str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let primary =
        AnnotationKind::Primary.span(range(problem.label.span, source)).label(&*problem.label.text);
    let related = problem
        .related
        .iter()
        .map(|it| AnnotationKind::Context.span(range(it.span, source)).label(&*it.text));
    Snippet::source(source).path(file).annotation(primary).annotations(related)
}

/// Places are bytes of the source; a place that is not is drawn at the nearest that is.
fn range(span: Span, source: &str) -> Range<usize> {
    let floor = |at: u32| {
        let mut at = (at as usize).min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}
