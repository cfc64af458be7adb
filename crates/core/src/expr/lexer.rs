//! Text to tokens.

use std::borrow::Cow;
use std::ops::Range;

use super::error::ParseError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'s> {
    Name(&'s str),
    /// A name between backticks, allowed after a dot.
    QuotedName(&'s str),
    /// The magnitude: the sign is a token of its own.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(Cow<'s, str>),
    Bytes(Vec<u8>),
    Symbol(&'static str),
    End,
}

pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

type Lexed<'s> = Result<(Token<'s>, Range<usize>), ParseError>;

impl<'s> Lexer<'s> {
    pub fn new(source: &'s str) -> Lexer<'s> {
        Lexer { source, at: 0 }
    }

    /// Returns the next token and its bytes; `End` for ever once the source is used up.
    pub fn next(&mut self) -> Lexed<'s> {
        self.skip_blanks();
        let start = self.at;
        let rest = &self.source[start..];
        let Some(first) = rest.bytes().next() else {
            return Ok((Token::End, start..start));
        };
        let token = match first {
            b'0'..=b'9' => self.number()?,
            b'.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => self.number()?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => match string_prefix(rest) {
                Some(prefix) => self.string(prefix)?,
                None => Token::Name(self.take_while(is_name_byte)),
            },
            b'"' | b'\'' => self.string("")?,
            b'`' => self.quoted_name()?,
            _ => match symbol(rest.as_bytes()) {
                Some(symbol) => self.symbol(symbol),
                None => return Err(self.unexpected(rest)),
            },
        };
        Ok((token, start..self.at))
    }

    fn symbol(&mut self, symbol: &'static str) -> Token<'s> {
        self.at += symbol.len();
        Token::Symbol(symbol)
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_while(|it| matches!(it, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'));
            if !self.source[self.at..].starts_with("//") {
                return;
            }
            self.take_while(|it| it != b'\n');
        }
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'s str {
        let rest = &self.source[self.at..];
        let length = rest.bytes().position(|it| !keep(it)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn unexpected(&self, rest: &str) -> ParseError {
        let found = rest.chars().next().unwrap_or(' ');
        let span = self.at..self.at + found.len_utf8();
        let error = ParseError::syntax(span, format!("unexpected character `{found}`"));
        match found {
            '=' => error.with_hint("Write == to compare; an expression cannot assign."),
            '&' => error.with_hint("Write && for \"and\"."),
            '|' => error.with_hint("Write || for \"or\"."),
            '‘' | '’' | '“' | '”' => error.with_hint("Use straight quotes: ' or \"."),
            _ => error,
        }
    }

    fn number(&mut self) -> Result<Token<'s>, ParseError> {
        let start = self.at;
        let rest = &self.source[start..];
        if rest.starts_with("0x") || rest.starts_with("0X") {
            self.at += 2;
            let digits = self.take_while(|it| it.is_ascii_hexdigit());
            return self.integer(start, u64::from_str_radix(digits, 16).ok());
        }
        let whole = self.take_while(|it| it.is_ascii_digit());
        let mut is_double = false;
        let after = |lexer: &Lexer<'_>, offset: usize| {
            lexer.source.as_bytes().get(lexer.at + offset).copied().unwrap_or(0)
        };
        if after(self, 0) == b'.' && after(self, 1).is_ascii_digit() {
            is_double = true;
            self.at += 1;
            self.take_while(|it| it.is_ascii_digit());
        }
        if matches!(after(self, 0), b'e' | b'E') {
            let sign = usize::from(matches!(after(self, 1), b'+' | b'-'));
            if after(self, 1 + sign).is_ascii_digit() {
                is_double = true;
                self.at += 1 + sign;
                self.take_while(|it| it.is_ascii_digit());
            }
        }
        if !is_double {
            return self.integer(start, whole.parse().ok());
        }
        let value: Option<f64> = self.source[start..self.at].parse().ok();
        let value = value.filter(|it| it.is_finite());
        let value = value.ok_or_else(|| self.number_out_of_range(start))?;
        self.end_of_number(start)?;
        Ok(Token::Double(value))
    }

    fn integer(&mut self, start: usize, value: Option<u64>) -> Result<Token<'s>, ParseError> {
        let value = value.ok_or_else(|| self.number_out_of_range(start))?;
        let is_unsigned = self.source[self.at..].starts_with(['u', 'U']);
        self.at += usize::from(is_unsigned);
        self.end_of_number(start)?;
        Ok(if is_unsigned { Token::Uint(value) } else { Token::Int(value) })
    }

    fn number_out_of_range(&self, start: usize) -> ParseError {
        let text = &self.source[start..self.at];
        ParseError::syntax(start..self.at, format!("`{text}` is not a number that fits 64 bits"))
    }

    /// Refuses `1abc`, which would otherwise read as two tokens and a puzzling error.
    fn end_of_number(&mut self, start: usize) -> Result<(), ParseError> {
        if self.take_while(is_name_byte).is_empty() {
            return Ok(());
        }
        let text = &self.source[start..self.at];
        Err(ParseError::syntax(start..self.at, format!("`{text}` is neither a number nor a name"))
            .with_hint("Text needs quotes, and names begin with a letter."))
    }

    fn quoted_name(&mut self) -> Result<Token<'s>, ParseError> {
        let start = self.at;
        self.at += 1;
        let name =
            self.take_while(|it| is_name_byte(it) || matches!(it, b'.' | b'-' | b'/' | b' '));
        if name.is_empty() || !self.source[self.at..].starts_with('`') {
            let message = "a name in backticks has letters, digits, `_`, `.`, `-`, `/` or spaces";
            let end = (self.at + 1).min(self.source.len());
            let end = if self.source.is_char_boundary(end) { end } else { self.at };
            return Err(ParseError::syntax(start..end, message));
        }
        self.at += 1;
        Ok(Token::QuotedName(name))
    }

    fn string(&mut self, prefix: &str) -> Result<Token<'s>, ParseError> {
        let start = self.at;
        let is_raw = prefix.contains(['r', 'R']);
        let is_bytes = prefix.contains(['b', 'B']);
        self.at += prefix.len();
        let rest = &self.source[self.at..];
        let quote = if rest.starts_with("'''") || rest.starts_with("\"\"\"") {
            &rest[..3]
        } else {
            &rest[..1]
        };
        self.at += quote.len();
        let body_start = self.at;
        let body = self.string_body(start, quote, is_raw)?;
        if is_raw || !body.contains('\\') {
            return Ok(match is_bytes {
                true => Token::Bytes(body.as_bytes().to_vec()),
                false => Token::String(Cow::Borrowed(body)),
            });
        }
        match is_bytes {
            true => Ok(Token::Bytes(unescape_bytes(body, body_start)?)),
            false => Ok(Token::String(Cow::Owned(unescape_text(body, body_start)?))),
        }
    }

    /// Moves behind the closing quote and returns what is between the quotes.
    fn string_body(
        &mut self,
        start: usize,
        quote: &str,
        is_raw: bool,
    ) -> Result<&'s str, ParseError> {
        let rest = &self.source[self.at..];
        let mut at = 0;
        while at < rest.len() {
            if rest.as_bytes()[at..].starts_with(quote.as_bytes()) {
                self.at += at + quote.len();
                return Ok(&rest[..at]);
            }
            match rest.as_bytes()[at] {
                b'\n' | b'\r' if quote.len() == 1 => break,
                b'\\' if !is_raw => at += 2,
                _ => at += 1,
            }
        }
        self.at = self.source.len();
        let end = start + self.source[start..].lines().next().unwrap_or("").len();
        Err(ParseError::syntax(start..end.max(start + 1), "this text has no closing quote")
            .with_hint(format!("Close it with {quote}.")))
    }
}

fn symbol(rest: &[u8]) -> Option<&'static str> {
    Some(match rest {
        [b'=', b'=', ..] => "==",
        [b'!', b'=', ..] => "!=",
        [b'<', b'=', ..] => "<=",
        [b'>', b'=', ..] => ">=",
        [b'&', b'&', ..] => "&&",
        [b'|', b'|', ..] => "||",
        [b'<', ..] => "<",
        [b'>', ..] => ">",
        [b'+', ..] => "+",
        [b'-', ..] => "-",
        [b'*', ..] => "*",
        [b'/', ..] => "/",
        [b'%', ..] => "%",
        [b'!', ..] => "!",
        [b'?', ..] => "?",
        [b':', ..] => ":",
        [b'.', ..] => ".",
        [b',', ..] => ",",
        [b'(', ..] => "(",
        [b')', ..] => ")",
        [b'[', ..] => "[",
        [b']', ..] => "]",
        [b'{', ..] => "{",
        [b'}', ..] => "}",
        _ => return None,
    })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns the letters before the quote if `rest` begins with a prefixed string.
fn string_prefix(rest: &str) -> Option<&str> {
    let length = rest.bytes().take(3).position(|it| matches!(it, b'"' | b'\''))?;
    let prefix = &rest[..length];
    let known = ["r", "b", "rb", "br"];
    (length <= 2 && known.iter().any(|it| it.eq_ignore_ascii_case(prefix))).then_some(prefix)
}

/// One escape sequence, without its backslash.
enum Escape {
    /// `\x41` and `\101`: a byte in bytes, a code point in text.
    Small(u8),
    /// `\u0041`, `\U00000041`.
    Unicode(char),
}

/// Reads the escape at the start of `text` and returns its length.
fn escape(text: &str, is_bytes: bool) -> Option<(Escape, usize)> {
    let digits = |from: usize, count: usize, radix: u32| {
        let digits = text.get(from..from + count)?;
        // `from_str_radix` would take a sign.
        let fits = digits.chars().all(|it| it.is_digit(radix));
        fits.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let small = |byte: u8| Some((Escape::Small(byte), 1));
    match text.as_bytes().first()? {
        b'a' => small(0x07),
        b'b' => small(0x08),
        b'f' => small(0x0c),
        b'n' => small(b'\n'),
        b'r' => small(b'\r'),
        b't' => small(b'\t'),
        b'v' => small(0x0b),
        byte @ (b'\\' | b'?' | b'"' | b'\'' | b'`') => small(*byte),
        b'0'..=b'3' => Some((Escape::Small(u8::try_from(digits(0, 3, 8)?).ok()?), 3)),
        b'x' | b'X' => Some((Escape::Small(u8::try_from(digits(1, 2, 16)?).ok()?), 3)),
        b'u' if !is_bytes => Some((Escape::Unicode(char::from_u32(digits(1, 4, 16)?)?), 5)),
        b'U' if !is_bytes => Some((Escape::Unicode(char::from_u32(digits(1, 8, 16)?)?), 9)),
        _ => None,
    }
}

fn unescape_text(body: &str, offset: usize) -> Result<String, ParseError> {
    let mut text = String::with_capacity(body.len());
    unescape(body, offset, false, |piece| match piece {
        Piece::Plain(plain) => text.push_str(plain),
        Piece::Escape(Escape::Small(byte)) => text.push(char::from(byte)),
        Piece::Escape(Escape::Unicode(char)) => text.push(char),
    })?;
    Ok(text)
}

fn unescape_bytes(body: &str, offset: usize) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::with_capacity(body.len());
    unescape(body, offset, true, |piece| match piece {
        Piece::Plain(plain) => bytes.extend_from_slice(plain.as_bytes()),
        Piece::Escape(Escape::Small(byte)) => bytes.push(byte),
        Piece::Escape(Escape::Unicode(char)) => {
            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    })?;
    Ok(bytes)
}

enum Piece<'s> {
    Plain(&'s str),
    Escape(Escape),
}

fn unescape<'s>(
    body: &'s str,
    offset: usize,
    is_bytes: bool,
    mut emit: impl FnMut(Piece<'s>),
) -> Result<(), ParseError> {
    let mut at = 0;
    while let Some(found) = body[at..].find('\\') {
        emit(Piece::Plain(&body[at..at + found]));
        at += found + 1;
        let Some((value, length)) = escape(&body[at..], is_bytes) else {
            let width = body[at..].chars().next().map_or(0, char::len_utf8);
            let span = offset + at - 1..offset + at + width;
            let message = format!("`\\{}` is not an escape sequence", &body[at..at + width]);
            let hint = "Write \\\\ for a backslash, or put r before the quote: r'\\d+'.";
            return Err(ParseError::syntax(span, message).with_hint(hint));
        };
        emit(Piece::Escape(value));
        at += length;
    }
    emit(Piece::Plain(&body[at..]));
    Ok(())
}
