//! What operators stand between: literals, names, calls, brackets, and the fields, items and
//! methods behind them.

use std::ops::Range;
use std::sync::OnceLock;

use super::super::ast::{Call, Literal, Name, Node, NodeKind, Select};
use super::super::error::ParseError;
use super::super::lexer::Token;
use super::super::{functions, macros};
use super::{Parsed, Parser};

/// Words that CEL keeps for later; they are names only after a dot.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "as" | "break"
            | "const"
            | "continue"
            | "else"
            | "for"
            | "function"
            | "if"
            | "import"
            | "let"
            | "loop"
            | "package"
            | "namespace"
            | "return"
            | "var"
            | "void"
            | "while"
    )
}

impl<'s> Parser<'s> {
    pub(super) fn postfix(&mut self) -> Parsed {
        let start = self.span.start;
        let node = self.primary()?;
        self.member(start, node)
    }

    /// member = primary { "." name [ arguments ] | "[" expression "]" }
    pub(super) fn member(&mut self, start: usize, mut node: Node) -> Parsed {
        loop {
            let opened = self.span.clone();
            if self.take(".")? {
                node = self.selection(start, node)?;
            } else if self.take("[")? {
                let index = Box::new(self.expression()?);
                self.expect("]", opened)?;
                let operand = Box::new(node);
                node = self.node(start, NodeKind::Index { operand, index })?;
            } else {
                return Ok(node);
            }
        }
    }

    fn selection(&mut self, start: usize, operand: Node) -> Parsed {
        let field_span = self.span.clone();
        let (field, may_call) = match self.token {
            Token::Name(name) => (name, true),
            Token::QuotedName(name) => (name, false),
            Token::Symbol("?") => {
                let hint = "Write default(a.b, fallback), or has(a.b) ? a.b : fallback.";
                return Err(self.unexpected("a field name").with_hint(hint));
            }
            _ => return Err(self.unexpected("a field name")),
        };
        self.advance()?;
        if may_call && self.at("(") {
            let arguments = self.arguments()?;
            return self.call(start, field, field_span, Some(operand), arguments);
        }
        let operand = Box::new(operand);
        self.node(start, NodeKind::Select(Select { operand, field: field.into(), field_span }))
    }

    fn arguments(&mut self) -> Result<Vec<Node>, ParseError> {
        let opened = self.span.clone();
        self.advance()?;
        self.items(")", opened)
    }

    /// Reads expressions between commas, and the closing bracket.
    fn items(
        &mut self,
        close: &'static str,
        opened: Range<usize>,
    ) -> Result<Vec<Node>, ParseError> {
        let mut items = Vec::new();
        while !self.at(close) {
            items.push(self.expression()?);
            if !self.take(",")? {
                break;
            }
        }
        self.expect(close, opened)?;
        Ok(items)
    }

    fn call(
        &mut self,
        start: usize,
        name: &str,
        name_span: Range<usize>,
        target: Option<Node>,
        mut arguments: Vec<Node>,
    ) -> Parsed {
        let is_method = target.is_some();
        if let Some(target) = target {
            arguments.insert(0, target);
        }
        let kind = match macros::expand(name, &name_span, is_method, arguments)? {
            macros::Expansion::Macro(kind) => kind,
            macros::Expansion::Plain(arguments) => NodeKind::Call(Box::new(Call {
                name: name.into(),
                name_span,
                function: functions::find(name, is_method),
                is_method,
                arguments,
                pattern: OnceLock::new(),
            })),
        };
        self.node(start, kind)
    }

    fn primary(&mut self) -> Parsed {
        let start = self.span.start;
        match self.token {
            Token::Symbol("(") => self.parenthesis(),
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            Token::Symbol(".") => self.absolute_name(),
            Token::Name(name) => self.name(start, name, false),
            Token::Int(_) | Token::Double(_) => self.number(start, false),
            Token::Uint(_) | Token::String(_) | Token::Bytes(_) => self.literal(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn parenthesis(&mut self) -> Parsed {
        let opened = self.span.clone();
        self.advance()?;
        let mut node = self.expression()?;
        self.expect(")", opened.clone())?;
        // The brackets belong to what an error should underline.
        node.span = opened.start..self.previous_end;
        Ok(node)
    }

    fn list(&mut self) -> Parsed {
        let opened = self.span.clone();
        self.advance()?;
        let items = self.items("]", opened.clone())?;
        self.node(opened.start, NodeKind::List(items))
    }

    fn absolute_name(&mut self) -> Parsed {
        let start = self.span.start;
        self.advance()?;
        match self.token {
            Token::Name(name) => self.name(start, name, true),
            _ => Err(self.unexpected("a name")),
        }
    }

    fn literal(&mut self) -> Parsed {
        let start = self.span.start;
        let literal = match self.advance()? {
            Token::Uint(value) => Literal::Uint(value),
            Token::String(text) => Literal::String(text.into()),
            Token::Bytes(bytes) => Literal::Bytes(bytes.into()),
            _ => return Err(self.unexpected("a value")),
        };
        self.node(start, NodeKind::Literal(literal))
    }

    pub(super) fn number(&mut self, start: usize, is_negative: bool) -> Parsed {
        let span = start..self.span.end;
        let literal = match self.advance()? {
            Token::Double(value) => Literal::Double(if is_negative { -value } else { value }),
            Token::Int(magnitude) => {
                let value = if is_negative {
                    0_i64.checked_sub_unsigned(magnitude)
                } else {
                    i64::try_from(magnitude).ok()
                };
                Literal::Int(value.ok_or_else(|| {
                    ParseError::syntax(span, format!("{magnitude} does not fit a 64-bit integer"))
                        .with_hint("Write it with a decimal point for a double, or with u.")
                })?)
            }
            _ => return Err(self.unexpected("a number")),
        };
        self.node(start, NodeKind::Literal(literal))
    }

    fn name(&mut self, start: usize, name: &'s str, absolute: bool) -> Parsed {
        let name_span = self.span.clone();
        let literal = match name {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            "in" => return Err(self.unexpected("a value")),
            _ => None,
        };
        if let Some(literal) = literal {
            self.advance()?;
            return self.node(start, NodeKind::Literal(literal));
        }
        if is_reserved(name) {
            return Err(ParseError::syntax(name_span, format!("`{name}` is a reserved word"))
                .with_hint("It can be a field, after a dot, but not the name of a value."));
        }
        self.advance()?;
        if self.at("(") {
            let arguments = self.arguments()?;
            return self.call(start, name, name_span, None, arguments);
        }
        self.node(start, NodeKind::Name(Name { name: name.into(), absolute }))
    }

    /// map = "{" [ key ":" value { "," key ":" value } [ "," ] ] "}"
    fn map(&mut self) -> Parsed {
        let opened = self.span.clone();
        self.advance()?;
        let mut entries = Vec::new();
        while !self.at("}") {
            let key = self.expression()?;
            let key_end = self.previous_end;
            self.expect(":", key_end..key_end)?;
            entries.push((key, self.expression()?));
            if !self.take(",")? {
                break;
            }
        }
        self.expect("}", opened.clone())?;
        self.node(opened.start, NodeKind::Map(entries))
    }
}
