//! XML from strangers: no DTD, hence no entities to blow up and no files to fetch, and limits on size
//! and depth. Every element knows its line.

use roxmltree::{Document, Node, ParsingOptions};

use crate::problem::{Problem, code};

/// Bytes of a file.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Elements, texts and attributes of a file.
pub const NODES_MAX: u32 = 2_000_000;
/// Elements inside of each other.
pub const DEPTH_MAX: usize = 200;

/// A file that is well-formed.
pub struct Xml<'t> {
    pub document: Document<'t>,
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Xml<'t> {
    pub fn parse(bytes: &'t [u8]) -> Result<Xml<'t>, Problem> {
        let broken = |code, message: String, help: &str, (line, column): (u32, u32)| Problem {
            code,
            message,
            help: help.to_owned(),
            line,
            column,
        };
        if bytes.len() > BYTES_MAX {
            let message =
                format!("the file has {} bytes; at most {BYTES_MAX} are read", bytes.len());
            return Err(broken(code::TOO_LARGE, message, "split it into several files", (1, 1)));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let place = place(&before, &line_starts(&before), before.len());
            broken(
                code::BROKEN_XML,
                "this is not UTF-8".to_owned(),
                "save the file as UTF-8",
                place,
            )
        })?;
        let lines = line_starts(text);
        if let Some(at) = too_deep(text) {
            let message = format!("elements are nested deeper than {DEPTH_MAX}");
            let help = "a process that people draw is never that deep; mend what exported it";
            return Err(broken(code::TOO_LARGE, message, help, place(text, &lines, at)));
        }
        let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            let at = (error.pos().row, error.pos().col);
            match error {
                roxmltree::Error::DtdDetected => {
                    let (at, help) =
                        (text.find("<!DOCTYPE").unwrap_or(0), "take the <!DOCTYPE …> out");
                    let message = "a document type is not read, for it may name files and entities";
                    broken(code::DTD, message.to_owned(), help, place(text, &lines, at))
                }
                roxmltree::Error::NodesLimitReached => {
                    let message = format!("the file has more than {NODES_MAX} nodes");
                    broken(code::TOO_LARGE, message, "split it into several files", (1, 1))
                }
                other => {
                    let help = "open it in an editor that knows XML, or export it again";
                    broken(code::BROKEN_XML, format!("broken XML: {other}"), help, at)
                }
            }
        })?;
        Ok(Xml { document, text, lines })
    }

    pub fn problem(
        &self,
        code: &'static str,
        node: Node<'_, '_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let (line, column) = place(self.text, &self.lines, node.range().start);
        Problem { code, message: message.into(), help: help.into(), line, column }
    }

    pub fn line(&self, node: Node<'_, '_>) -> u32 {
        place(self.text, &self.lines, node.range().start).0
    }

    /// Returns an attribute that must be there and not be empty.
    pub fn required<'n>(&self, node: Node<'n, '_>, name: &str) -> Result<&'n str, Problem> {
        node.attribute(name).map(str::trim).filter(|it| !it.is_empty()).ok_or_else(|| {
            let element = node.tag_name().name();
            self.problem(
                code::MISSING_ATTRIBUTE,
                node,
                format!("this <{element}> has no `{name}`"),
                format!("write <{element} {name}=\"…\">"),
            )
        })
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Line and column, both from 1.
fn place(text: &str, lines: &[usize], at: usize) -> (u32, u32) {
    let line = lines.partition_point(|it| *it <= at).max(1);
    let column = text.get(lines[line - 1]..at).map_or(0, |it| it.chars().count());
    (line as u32, column as u32 + 1)
}

/// Returns where elements are nested too deep. Counts tags and nothing else, so what is no XML may
/// pass: the parser looks at it next.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        let start = at + found;
        let rest = &text[start..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .into_iter()
            .find(|(open, _)| rest.starts_with(open))
            .map(|(_, close)| rest.find(close).map_or(rest.len(), |it| it + close.len()));
        let length = skipped.unwrap_or_else(|| tag_length(rest));
        if skipped.is_none() {
            if rest.starts_with("</") {
                depth = depth.saturating_sub(1);
            } else if !rest[..length].ends_with("/>") {
                depth += 1;
            }
            if depth > DEPTH_MAX {
                return Some(start);
            }
        }
        at = start + length;
    }
    None
}

/// The length of a tag; a `>` within quotes does not end it.
fn tag_length(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}
