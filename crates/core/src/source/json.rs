//! JSON (RFC 8259), read with the place of every node. Stricter than most readers where they
//! disagree with each other: duplicate keys, lone surrogates, NUL and numbers that would change
//! are faults.

use super::duplicates::drop_duplicates;
use super::scalar::{self, EXACT_INTEGER_MAX};
use super::{Content, Key, Node, PROBLEMS_MAX, Problem, Span};
use crate::limits::DEPTH_MAX;

/// What differs between definitions and payloads.
pub(crate) struct Rules {
    /// Integers of a larger magnitude are refused.
    pub exact_integer_max: u64,
}

pub(super) const DEFINITION_RULES: Rules = Rules { exact_integer_max: EXACT_INTEGER_MAX };

/// A problem, and the JSON pointer (RFC 6901) of the value that has it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub problem: Problem,
    pub pointer: String,
}

/// Reads one JSON text. There is no node if the syntax is broken; other faults leave one.
pub(crate) fn read(text: &str, rules: &Rules) -> (Option<Node>, Vec<Fault>) {
    let at = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut reader = Reader { text, at, path: Vec::new(), rules, faults: Vec::new() };
    let node = reader.document().ok();
    (node, reader.faults)
}

/// The syntax is broken, and the fault is already noted.
struct Stop;

enum Step {
    Index(usize),
    /// The key as it is written; decoding it is left to the rare fault.
    Key(Span),
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
    path: Vec<Step>,
    rules: &'s Rules,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Node, Stop> {
        let node = self.value()?;
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    fn value(&mut self) -> Result<Node, Stop> {
        let byte = self.peek();
        let start = self.at;
        match byte {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Content::Bool(true)),
            Some(b'f') => self.word("false", Content::Bool(false)),
            Some(b'n') => self.word("null", Content::Null),
            _ => Err(self.unexpected("a value")),
        }
        .map(|content| self.node(content, start))
    }

    fn node(&self, (content, is_copy): (Content, bool), start: usize) -> Node {
        let text_start = is_copy.then_some(start as u32 + 1);
        Node { content, span: Span::new(start, self.at), text_start }
    }

    fn object(&mut self) -> Result<(Content, bool), Stop> {
        self.enter()?;
        let mut entries = Vec::new();
        while self.more(b'}', entries.is_empty())? {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key = self.key()?;
            self.expect(b':', "`:` after the key")?;
            self.path.push(Step::Key(key.span));
            let value = self.value()?;
            self.path.pop();
            entries.push((key, value));
        }
        for problem in drop_duplicates(&mut entries) {
            self.path.push(Step::Key(problem.label.span));
            self.fault(problem);
            self.path.pop();
        }
        Ok((Content::Map(entries), false))
    }

    fn key(&mut self) -> Result<Key, Stop> {
        let start = self.at;
        let (content, _) = self.string()?;
        let Content::String(name) = content else { unreachable!("`string` makes strings") };
        let span = Span::new(start, self.at);
        if let Some(problem) = super::scalar::bad_key_character(&name, span) {
            self.fault(problem);
        }
        Ok(Key { name, span })
    }

    fn list(&mut self) -> Result<(Content, bool), Stop> {
        self.enter()?;
        let mut items = Vec::new();
        while self.more(b']', items.is_empty())? {
            self.path.push(Step::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
        }
        Ok((Content::List(items), false))
    }

    /// Steps over a bracket.
    fn enter(&mut self) -> Result<(), Stop> {
        if self.path.len() >= DEPTH_MAX {
            let problem = too_deep(Span::new(self.at, self.at + 1));
            self.fault(problem);
            return Err(Stop);
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over the comma before another entry, or over the closing bracket.
    fn more(&mut self, close: u8, is_first: bool) -> Result<bool, Stop> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if is_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                match self.peek() {
                    Some(byte) if byte == close => Err(self.unexpected("another entry after `,`")),
                    _ => Ok(true),
                }
            }
            _ => Err(self.unexpected(&format!("`,` or `{}`", close as char))),
        }
    }

    fn string(&mut self) -> Result<(Content, bool), Stop> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut copied = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(length) = rest.iter().position(|it| matches!(it, b'"' | b'\\' | 0..=0x1F))
            else {
                self.at = start;
                return Err(self.unexpected("a string that is closed by `\"`"));
            };
            self.at += length;
            match rest[length] {
                b'"' => break,
                b'\\' => {
                    value.push_str(&self.text[copied..self.at]);
                    let escaped = self.escape()?;
                    value.push(escaped);
                    copied = self.at;
                }
                _ => return Err(self.unexpected("a string without line breaks and tabs in it")),
            }
        }
        let is_copy = copied == start + 1;
        value.push_str(&self.text[copied..self.at]);
        self.at += 1;
        Ok((Content::String(value), is_copy))
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let start = self.at;
        let byte = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        let simple = match byte {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => byte as char,
            Some(b'u') => return self.unicode_escape(start),
            _ => {
                self.at = start;
                return Err(
                    self.unexpected("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")
                );
            }
        };
        Ok(simple)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Stop> {
        let first = self.hex(start)?;
        let is_pair = (0xD800..0xDC00).contains(&first)
            && self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u");
        let mut code = first;
        if is_pair {
            let second_start = self.at;
            self.at += 2;
            let second = self.hex(second_start)?;
            if (0xDC00..0xE000).contains(&second) {
                code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            } else {
                self.at = second_start;
            }
        }
        let span = Span::new(start, self.at);
        match char::from_u32(code) {
            Some('\0') => self.fault(scalar::nul(span)),
            Some(it) => return Ok(it),
            None => self.fault(lone_surrogate(code, span)),
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self, start: usize) -> Result<u32, Stop> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|it| u32::from_str_radix(it, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => {
                self.at = start;
                Err(self.unexpected("four hexadecimal digits after `\\u`"))
            }
        }
    }

    fn number(&mut self) -> Result<(Content, bool), Stop> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits =
            |from: usize| bytes[from..].iter().take_while(|it| it.is_ascii_digit()).count();
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(at);
        let mut is_valid = whole == 1 || (whole > 1 && bytes[at] != b'0');
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            is_valid &= fraction > 0;
            at += 1 + fraction;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
            let exponent = digits(at);
            is_valid &= exponent > 0;
            at += exponent;
        }
        if !is_valid {
            return Err(self.unexpected("a number as JSON writes it, such as -1.5e3"));
        }
        self.at = at;
        let text = &self.text[start..at];
        match scalar::number(text, self.rules.exact_integer_max, Span::new(start, at)) {
            Ok(number) => Ok((Content::Number(number), false)),
            Err(problem) => {
                self.fault(problem);
                Ok((Content::Null, false))
            }
        }
    }

    fn word(&mut self, word: &str, content: Content) -> Result<(Content, bool), Stop> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok((content, false))
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Stop> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over white space and returns the byte that follows it.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks =
            rest.iter().take_while(|it| matches!(it, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    fn unexpected(&mut self, expected: &str) -> Stop {
        let found = self.text[self.at..].chars().next();
        let length = found.map_or(0, char::len_utf8);
        let found = match found {
            None => "the end of the text".to_owned(),
            Some('"') => "a string".to_owned(),
            Some(it) if it.is_control() => format!("character U+{:04X}", it as u32),
            Some(it) => format!("`{it}`"),
        };
        let message = format!("expected {expected}, found {found}");
        let span = Span::new(self.at, self.at + length);
        let help = "JSON has no comments, no trailing commas and no single quotes; YAML has them";
        self.fault(Problem::error("SF1005", span, message).help(help));
        Stop
    }

    fn fault(&mut self, problem: Problem) {
        if self.faults.len() >= PROBLEMS_MAX {
            return;
        }
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Index(index) => pointer.push_str(&index.to_string()),
                Step::Key(span) => {
                    let raw = &self.text[span.start as usize..span.end as usize];
                    let name: String = serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned());
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
            }
        }
        self.faults.push(Fault { problem, pointer });
    }
}

pub(super) fn too_deep(span: Span) -> Problem {
    Problem::error("SF1003", span, format!("nested deeper than {DEPTH_MAX} levels"))
        .help("move the inner part to a workflow of its own, and start it with `uses: workflow`")
}

fn lone_surrogate(code: u32, span: Span) -> Problem {
    Problem::error("SF1011", span, format!("\\u{code:04x} is half of a surrogate pair"))
        .help("write both halves, or the character itself")
}
