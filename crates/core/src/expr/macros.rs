//! Calls that are not function calls, because their arguments are not all evaluated first:
//! `has`, `default` and the loops `all`, `exists`, `exists_one`, `filter` and `map`.

use std::ops::Range;

use super::ast::{Loop, LoopKind, Name, Node, NodeKind};
use super::error::ParseError;

pub(super) enum Expansion {
    Macro(NodeKind),
    /// Not a macro: the arguments are handed back.
    Plain(Vec<Node>),
}

/// Turns a call into the node of its macro. For a method, the target is the first argument.
pub(super) fn expand(
    name: &str,
    name_span: &Range<usize>,
    is_method: bool,
    arguments: Vec<Node>,
) -> Result<Expansion, ParseError> {
    let kind = match (name, is_method) {
        ("has", false) => return has(name_span, arguments).map(Expansion::Macro),
        ("default", false) => return default(name_span, arguments).map(Expansion::Macro),
        ("all", true) => LoopKind::All,
        ("exists", true) => LoopKind::Exists,
        ("exists_one" | "existsOne", true) => LoopKind::ExistsOne,
        ("filter", true) => LoopKind::Filter,
        ("map", true) => LoopKind::Map,
        _ => return Ok(Expansion::Plain(arguments)),
    };
    iterate(kind, name_span, arguments).map(Expansion::Macro)
}

fn has(name_span: &Range<usize>, arguments: Vec<Node>) -> Result<NodeKind, ParseError> {
    let span = arguments.first().map_or(name_span, |it| &it.span).clone();
    match <[Node; 1]>::try_from(arguments) {
        Ok([Node { kind: NodeKind::Select(select), .. }]) => Ok(NodeKind::Has(select)),
        _ => Err(ParseError::syntax(span, "`has` takes one field, written with a dot")
            .with_hint("Write has(input.order.note), or \"note\" in input.order.")),
    }
}

fn default(name_span: &Range<usize>, arguments: Vec<Node>) -> Result<NodeKind, ParseError> {
    match <[Node; 2]>::try_from(arguments) {
        Ok([value, fallback]) => {
            Ok(NodeKind::Default { value: Box::new(value), fallback: Box::new(fallback) })
        }
        Err(_) => Err(ParseError::syntax(name_span.clone(), "`default` takes two arguments")
            .with_hint("Write default(input.note, \"none\").")),
    }
}

fn iterate(
    kind: LoopKind,
    name_span: &Range<usize>,
    arguments: Vec<Node>,
) -> Result<NodeKind, ParseError> {
    let wrong = || {
        let name = kind.name();
        let message = format!("`{name}` takes a variable and an expression");
        ParseError::syntax(name_span.clone(), message)
            .with_hint(format!("Write items.{name}(item, ...)."))
    };
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().ok_or_else(wrong);
    let (range, variable, mut body) = (next()?, next()?, next()?);
    let mut condition = None;
    if let Some(transform) = arguments.next() {
        if kind != LoopKind::Map || arguments.next().is_some() {
            return Err(wrong());
        }
        condition = Some(std::mem::replace(&mut body, transform));
    }
    let NodeKind::Name(Name { name: variable, absolute: false }) = variable.kind else {
        let message = format!("the first argument of `{}` names its variable", kind.name());
        return Err(ParseError::syntax(variable.span, message)
            .with_hint("Write one plain name, such as item."));
    };
    Ok(NodeKind::Loop(Box::new(Loop { kind, range, variable, condition, body })))
}
