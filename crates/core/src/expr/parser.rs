//! Tokens to a syntax tree: precedence climbing, with the nesting counted.

use std::ops::Range;
use std::sync::OnceLock;

use super::ast::{Binary, Call, Conditional, Literal, Logic, Name, Node, NodeKind, Select};
use super::error::ParseError;
use super::functions;
use super::lexer::{Lexer, Token};
use super::macros;
use crate::limits::{EXPRESSION_BRACKETS_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

/// Words that CEL keeps for later; they are names only after a dot.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

type Parsed = Result<Node, ParseError>;

pub(super) fn parse(source: &str) -> Parsed {
    if source.len() > EXPRESSION_BYTES_MAX {
        return Err(ParseError::limit(
            0..source.len(),
            format!(
                "the expression has {} bytes, more than the limit of {EXPRESSION_BYTES_MAX}",
                source.len()
            ),
            "Move data into `vars` or `input`, and long work into a task.",
        ));
    }
    let mut lexer = Lexer::new(source);
    let (token, span) = lexer.next()?;
    let mut parser = Parser { source, lexer, token, span, previous_end: 0, brackets: 0 };
    if parser.token == Token::End {
        let span = 0..source.len();
        return Err(ParseError::syntax(span, "the expression is empty")
            .with_hint("Write a value, such as input.total > 100."));
    }
    let node = parser.expression()?;
    match parser.token {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'s> {
    source: &'s str,
    lexer: Lexer<'s>,
    token: Token<'s>,
    span: Range<usize>,
    /// Where the last consumed token ended.
    previous_end: usize,
    /// Brackets around the current token, and one.
    brackets: usize,
}

impl<'s> Parser<'s> {
    fn advance(&mut self) -> Result<Token<'s>, ParseError> {
        let (token, span) = self.lexer.next()?;
        self.previous_end = self.span.end;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(it) if it == symbol)
    }

    fn take(&mut self, symbol: &str) -> Result<bool, ParseError> {
        let found = self.at(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &'static str, opened: Range<usize>) -> Result<(), ParseError> {
        if self.take(symbol)? {
            return Ok(());
        }
        let error = self.unexpected(&format!("`{symbol}`"));
        Err(match &self.source[opened.clone()] {
            "" => error,
            open => {
                let at = opened.start + 1;
                error.with_hint(format!("The `{open}` at character {at} has no `{symbol}`."))
            }
        })
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        if self.token == Token::End {
            let end = self.source.trim_end().len();
            let start = self.source[..end].char_indices().last().map_or(0, |(at, _)| at);
            return ParseError::syntax(start..end, format!("expected {wanted} after this"));
        }
        let found = &self.source[self.span.clone()];
        let message = format!("expected {wanted}, found `{found}`");
        let error = ParseError::syntax(self.span.clone(), message);
        match found {
            "and" => error.with_hint("Write && for \"and\"."),
            "or" => error.with_hint("Write || for \"or\"."),
            "not" => error.with_hint("Write ! for \"not\"."),
            "is" => error.with_hint("Write == to compare."),
            _ => error,
        }
    }

    /// Builds a node, unless the tree below it is too deep to be walked by recursion.
    fn node(&self, start: usize, kind: NodeKind) -> Parsed {
        let span = start..self.previous_end;
        let mut node = Node { span, kind, height: 1 };
        let mut below = 0;
        node.for_each_child(&mut |it| below = below.max(it.height));
        node.height += below;
        if node.height > EXPRESSION_DEPTH_MAX {
            return Err(too_deep(node.span));
        }
        Ok(node)
    }

    /// expression = { or "?" or ":" } or
    fn expression(&mut self) -> Parsed {
        self.brackets += 1;
        if self.brackets > EXPRESSION_BRACKETS_MAX {
            return Err(too_many_brackets(self.span.clone()));
        }
        let mut branches = Vec::new();
        let mut start = self.span.start;
        let mut node = self.logic(Logic::Or)?;
        let mut question = self.span.clone();
        while self.take("?")? {
            let then = self.logic(Logic::Or)?;
            self.expect(":", question)?;
            branches.push((start, node, then));
            start = self.span.start;
            node = self.logic(Logic::Or)?;
            question = self.span.clone();
        }
        for (start, condition, then) in branches.into_iter().rev() {
            let conditional = Conditional { condition, then, otherwise: node };
            node = self.node(start, NodeKind::Conditional(Box::new(conditional)))?;
        }
        self.brackets -= 1;
        Ok(node)
    }

    /// or = and { "||" and }; and = relation { "&&" relation }
    fn logic(&mut self, operator: Logic) -> Parsed {
        let start = self.span.start;
        let operand = |parser: &mut Parser<'s>| match operator {
            Logic::Or => parser.logic(Logic::And),
            Logic::And => parser.binary(0),
        };
        let first = operand(self)?;
        if !self.at(operator.symbol()) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(operator.symbol())? {
            operands.push(operand(self)?);
        }
        self.node(start, NodeKind::Logic { operator, operands })
    }

    /// Relations bind least, then sums, then products; all are left-associative.
    fn binary(&mut self, loosest: u8) -> Parsed {
        let start = self.span.start;
        let mut left = self.unary()?;
        while let Some((operator, tightness)) = binary_operator(&self.token)
            && tightness >= loosest
        {
            self.advance()?;
            let right = self.binary(tightness + 1)?;
            let (left_box, right) = (Box::new(left), Box::new(right));
            left = self.node(start, NodeKind::Binary { operator, left: left_box, right })?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let mut signs = Vec::new();
        while self.at("!") || self.at("-") {
            signs.push((self.at("-"), self.span.start));
            self.advance()?;
            if signs.len() > EXPRESSION_DEPTH_MAX {
                return Err(too_deep(self.span.clone()));
            }
        }
        let mut node = match (&self.token, signs.last()) {
            // A sign before a number belongs to it: the smallest int has no positive form.
            (Token::Int(_) | Token::Double(_), Some((true, start))) => {
                let start = *start;
                signs.pop();
                let number = self.number(start, true)?;
                self.member(start, number)?
            }
            _ => self.postfix()?,
        };
        for (is_minus, start) in signs.into_iter().rev() {
            let operand = Box::new(node);
            node = self.node(
                start,
                match is_minus {
                    true => NodeKind::Negate(operand),
                    false => NodeKind::Not(operand),
                },
            )?;
        }
        Ok(node)
    }

    fn postfix(&mut self) -> Parsed {
        let start = self.span.start;
        let node = self.primary()?;
        self.member(start, node)
    }

    /// member = primary { "." name [ arguments ] | "[" expression "]" }
    fn member(&mut self, start: usize, mut node: Node) -> Parsed {
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

    fn number(&mut self, start: usize, is_negative: bool) -> Parsed {
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
        if RESERVED.contains(&name) {
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

fn binary_operator(token: &Token<'_>) -> Option<(Binary, u8)> {
    let symbol = match token {
        Token::Symbol(symbol) => symbol,
        Token::Name("in") => "in",
        _ => return None,
    };
    Some(match symbol {
        "==" => (Binary::Equal, 0),
        "!=" => (Binary::NotEqual, 0),
        "<" => (Binary::Less, 0),
        "<=" => (Binary::LessOrEqual, 0),
        ">" => (Binary::Greater, 0),
        ">=" => (Binary::GreaterOrEqual, 0),
        "in" => (Binary::In, 0),
        "+" => (Binary::Add, 1),
        "-" => (Binary::Subtract, 1),
        "*" => (Binary::Multiply, 2),
        "/" => (Binary::Divide, 2),
        "%" => (Binary::Remainder, 2),
        _ => return None,
    })
}

fn too_many_brackets(span: Range<usize>) -> ParseError {
    ParseError::limit(
        span,
        format!("there are more than {EXPRESSION_BRACKETS_MAX} brackets inside each other"),
        "Split it: compute parts in a `transform` task or in `vars`.",
    )
}

fn too_deep(span: Range<usize>) -> ParseError {
    ParseError::limit(
        span,
        format!("the expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels"),
        "Split it: compute parts in a `transform` task or in `vars`.",
    )
}
