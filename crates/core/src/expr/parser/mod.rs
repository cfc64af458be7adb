//! Tokens to a syntax tree: precedence climbing, with the nesting counted. Here are the operators;
//! what they operate on is in `operand.rs`.

mod operand;

use std::ops::Range;

use super::ast::{Binary, Conditional, Logic, Node, NodeKind};
use super::error::ParseError;
use super::lexer::{Lexer, Token};
use crate::limits::{EXPRESSION_BRACKETS_MAX, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

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
