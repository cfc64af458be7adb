//! From the events of the YAML parser to the tree. Everything that makes YAML surprising is
//! refused here with a reason: custom tags, merge keys, keys that are no strings, alias bombs.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StructureStyle};

use super::duplicates::drop_duplicates;
use super::json::too_deep;
use super::{Content, Key, Node, PROBLEMS_MAX, Problem, Reading, Span, scalar};
use crate::limits::DEPTH_MAX;

/// Aliases of one document.
const ALIASES_MAX: usize = 100;
/// Nodes that anchors keep and aliases copy, together.
const COPIED_NODES_MAX: usize = 10_000;

/// Reads all documents. A document with broken syntax is left out, and the next one is read.
pub(super) fn read(text: &str) -> Reading {
    let mut parser = Parser::new_from_str_with_options(text, options());
    let mut reading = Reading::default();
    let mut builder = Builder::new(text);
    while let Some(step) = parser.next_event() {
        let outcome = match step {
            Ok((Event::DocumentEnd, _)) => {
                reading.documents.extend(builder.root.take());
                builder.anchors.clear();
                Ok(())
            }
            Ok((event, span)) => builder.event(event, place(&span), &span),
            Err(error) => Err(syntax(&error, text)),
        };
        reading.problems.append(&mut builder.problems);
        if let Err(problem) = outcome {
            // What follows a limit is not worth reading: there may be a bomb in each document.
            let is_limit = matches!(problem.code, "SF1003" | "SF1008");
            reading.problems.push(problem);
            builder = Builder::new(text);
            if is_limit
                || reading.problems.len() >= PROBLEMS_MAX
                || !matches!(parser.proceed_next_document(), Ok(true))
            {
                break;
            }
        }
    }
    reading
}

fn options() -> Options {
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    options
}

fn place(span: &granit_parser::Span) -> Span {
    let range = span.byte_range().unwrap_or_default();
    Span::new(range.start, range.end)
}

/// A list or map that is not closed yet.
struct Open {
    content: Content,
    start: u32,
    is_block: bool,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<Key>,
}

struct Builder<'s> {
    text: &'s str,
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    aliases: usize,
    copied_nodes: usize,
    problems: Vec<Problem>,
}

impl<'s> Builder<'s> {
    fn new(text: &'s str) -> Builder<'s> {
        Builder {
            text,
            stack: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            aliases: 0,
            copied_nodes: 0,
            problems: Vec::new(),
        }
    }

    /// Fails on what makes the rest of the document useless; notes every other problem.
    fn event(
        &mut self,
        event: Event<'_>,
        span: Span,
        full: &granit_parser::Span,
    ) -> Result<(), Problem> {
        if let Some(tag) = event.tag().filter(|tag| !tag.is_yaml_core_schema_tag("str")) {
            let tag_span = full.tag_span().map_or(span, |it| place(&it));
            self.problems.push(
                Problem::error(
                    "SF1007",
                    tag_span,
                    format!("the tag `{}` is not allowed", tag.original()),
                )
                .help("remove the tag: values are plain data; put text in quotes"),
            );
        }
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                if self.waits_for_key() {
                    return self.key(value.into_owned(), style, span);
                }
                let style = if tag.is_some() { ScalarStyle::SingleQuoted } else { style };
                let node = self.scalar(&value, style, span);
                self.finish(node, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(Content::List(Vec::new()), style, anchor, span)
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(Content::Map(Vec::new()), style, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => Err(Problem::error(
                "SF1008",
                span,
                format!("the alias `*{name}` has no anchor before it"),
            )
            .help(format!("put text that starts with `*` in quotes, or define `&{name}` above"))),
            // Stream and document marks hold no data; comments and anchor names are not asked for.
            _ => Ok(()),
        }
    }

    fn waits_for_key(&self) -> bool {
        self.stack
            .last()
            .is_some_and(|it| matches!(it.content, Content::Map(_)) && it.key.is_none())
    }

    fn key(&mut self, name: String, style: ScalarStyle, span: Span) -> Result<(), Problem> {
        if style == ScalarStyle::Plain && name == "<<" {
            self.problems.push(
                Problem::error("SF1009", span, "merge keys (`<<`) are not part of YAML 1.2")
                    .help("write the keys out, or use `defaults` for retry and timeout"),
            );
        } else if span.start == span.end {
            self.problems.push(no_string_key(span, "this key is empty"));
        }
        self.problems.extend(scalar::bad_key_character(&name, span));
        if let Some(open) = self.stack.last_mut() {
            open.key = Some(Key { name, span });
        }
        Ok(())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: Span) -> Node {
        let source = &self.text[span.start as usize..span.end as usize];
        if value.contains('\0') {
            self.problems.push(scalar::nul(span));
        }
        let content = match style {
            ScalarStyle::Plain => scalar::resolve(value, span).unwrap_or_else(|problem| {
                self.problems.push(problem);
                Content::Null
            }),
            _ => Content::String(value.to_owned()),
        };
        let quote = u32::from(
            matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted)
                && source.starts_with(['"', '\'']),
        );
        let is_copy = source.get(quote as usize..).is_some_and(|it| it.starts_with(value));
        let is_text = matches!(content, Content::String(_));
        let end = span.start + source.trim_end().len() as u32;
        Node {
            content,
            span: Span { start: span.start, end },
            text_start: (is_text && is_copy).then_some(span.start + quote),
        }
    }

    fn open(
        &mut self,
        content: Content,
        style: StructureStyle,
        anchor: usize,
        span: Span,
    ) -> Result<(), Problem> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(too_deep(span));
        }
        if self.waits_for_key() {
            return Err(no_string_key(span, "a key cannot be a list or a mapping"));
        }
        let is_block = style == StructureStyle::Block;
        self.stack.push(Open { content, start: span.start, is_block, anchor, key: None });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Problem> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let last = match &open.content {
            Content::List(items) => items.last(),
            Content::Map(entries) => entries.last().map(|(_, node)| node),
            _ => None,
        };
        // The end of a block is reported where the next token stands, which is too far.
        let end = if open.is_block { last.map_or(span.start, |it| it.span.end) } else { span.end };
        let mut content = open.content;
        if let Content::Map(entries) = &mut content {
            self.problems.extend(drop_duplicates(entries));
        }
        let node = Node {
            content,
            span: Span { start: open.start, end: end.max(open.start) },
            text_start: None,
        };
        self.finish(node, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Problem> {
        if self.waits_for_key() {
            return Err(no_string_key(span, "a key cannot be an alias"));
        }
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            return Err(too_many_copies(span, format!("more than {ALIASES_MAX} aliases")));
        }
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside of what it refers to";
            return Err(Problem::error("SF1008", span, message).help("write the value out"));
        };
        self.copied_nodes += count(node);
        if self.copied_nodes > COPIED_NODES_MAX {
            let what = format!("aliases that copy more than {COPIED_NODES_MAX} values");
            return Err(too_many_copies(span, what));
        }
        let node = node.clone();
        self.finish(node, 0)
    }

    /// Puts a complete node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.copied_nodes += count(&node);
            if self.copied_nodes > COPIED_NODES_MAX {
                let what = format!("anchors on more than {COPIED_NODES_MAX} values");
                return Err(too_many_copies(node.span, what));
            }
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => {
                let is_absent = node.content == Content::Null && node.span.start == node.span.end;
                self.root = (!is_absent).then_some(node);
            }
            Some(open) => match (&mut open.content, open.key.take()) {
                (Content::Map(entries), Some(key)) => entries.push((key, node)),
                (Content::List(items), _) => items.push(node),
                _ => unreachable!("only lists and maps are opened, and a map's key comes first"),
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(count).sum::<usize>(),
        Content::Map(entries) => entries.iter().map(|(_, it)| count(it)).sum(),
        _ => 0,
    }
}

fn no_string_key(span: Span, message: &str) -> Problem {
    Problem::error("SF1012", span, message)
        .help("keys are strings; put a text that starts with `{`, `[` or `*` in quotes")
}

fn too_many_copies(span: Span, what: String) -> Problem {
    Problem::error("SF1008", span, format!("{what} in one document"))
        .help("write the values out, or move what repeats to `defaults`, `vars` or a sub-workflow")
}

/// Turns what the parser says into what the author can use.
fn syntax(error: &ScanError, text: &str) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let next = text[at..].chars().next();
    let span = Span::new(at, at + next.map_or(0, char::len_utf8));
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return too_deep(span);
    }
    // A tab is reported by many rules of the grammar; to the author it is always the same mistake.
    let line_start = text[..at].rfind('\n').map_or(0, |it| it + 1);
    let tab = text[line_start..]
        .chars()
        .take_while(|it| *it == ' ' || *it == '\t')
        .position(|it| it == '\t');
    let next_line = text[at..].find('\n').map(|it| at + it + 1).filter(|_| next == Some('\n'));
    let tab_at = match (tab, next_line) {
        (Some(offset), _) => Some(line_start + offset),
        (None, Some(next)) if text[next..].starts_with('\t') => Some(next),
        _ if next == Some('\t') => Some(at),
        _ => None,
    };
    if let Some(tab_at) = tab_at {
        return Problem::error("SF1004", Span::new(tab_at, tab_at + 1), "a tab cannot indent YAML")
            .label("this is a tab")
            .help("indent with spaces, two for each level");
    }
    let problem = Problem::error("SF1004", span, error.info());
    match syntax_help(error.kind()) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn syntax_help(kind: &ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Some("put a value that contains `: ` in quotes, and look for a bracket left open above")
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            Some("close the quote that was opened before this line")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping => Some("close the bracket"),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            Some("close the bracket that was opened before this place, or add the missing comma")
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
            Some("align this line with its neighbours")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            Some("put a value that starts with `@`, `` ` `` or `%` in quotes")
        }
        _ => None,
    }
}
