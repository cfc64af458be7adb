//! Finds what cannot succeed before it is tried.
//!
//! An error names a part that fails whenever its value is needed, whatever the data. The whole may
//! still succeed where that value is not needed, as in `false && 1 + "a" == 2`; that is no reason
//! to write it.

use std::ops::Range;

use super::Budget;
use super::ast::{Binary, Call, Literal, Logic, Loop, LoopKind, Name, Node, NodeKind, Select};
use super::budget::Meter;
use super::error::EvalErrorKind;
use super::eval::Evaluator;
use super::functions::{self, Function};
use super::nearest::nearest;
use super::operators;
use super::scope::{Lookup, Scope};
use super::types::{Mask, Type, TypeScope};
use super::value::TypeName;

/// A part of an expression that fails whenever its value is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// Bytes of the expression's source.
    pub span: Range<usize>,
    pub kind: TypeErrorKind,
    pub message: String,
    /// What to write instead, as a sentence.
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeErrorKind {
    UnknownName {
        name: String,
    },
    /// The field is not one of `known`, and there are no others.
    UnknownField {
        field: String,
        known: Vec<String>,
    },
    UnknownFunction {
        name: String,
    },
    WrongType,
    WrongCount,
    /// A constant part whose evaluation fails: `1 / 0`, `duration("3 weeks")`.
    AlwaysFails(EvalErrorKind),
}

pub(super) fn check(root: &Node, scope: &dyn TypeScope) -> (Type, Vec<TypeError>) {
    let mut checker =
        Checker { scope, locals: Vec::new(), absence_is_fine: false, errors: Vec::new() };
    let ty = checker.infer(root);
    (ty, checker.errors)
}

struct Checker<'e> {
    scope: &'e dyn TypeScope,
    /// The variables of the macros around the current node, innermost last.
    locals: Vec<(&'e str, Type)>,
    /// Inside `default`, a field that is never there is not a mistake.
    absence_is_fine: bool,
    errors: Vec<TypeError>,
}

/// What `all` and `if` need, what `!` takes.
const CONDITION: Mask = Mask::BOOL;
const ITERABLE: Mask = Mask::LIST.or(Mask::MAP);
const KEY: Mask = Mask::BOOL.or(Mask::NUMBER).or(Mask::STRING);

impl<'e> Checker<'e> {
    fn infer(&mut self, node: &'e Node) -> Type {
        match &node.kind {
            NodeKind::Literal(literal) => literal_type(literal),
            NodeKind::Name(name) => self.name(name, node),
            NodeKind::Select(select) => self.select(select),
            NodeKind::Has(select) => {
                let operand = self.infer(&select.operand);
                self.require(&select.operand, &operand, Mask::MAP, "`has` looks into a map");
                Type::Bool
            }
            NodeKind::Index { operand, index } => self.index(operand, index),
            NodeKind::Call(call) => self.call(call, node),
            NodeKind::List(items) => {
                let types: Vec<Type> = items.iter().map(|it| self.infer(it)).collect();
                Type::list(Type::union(types))
            }
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Not(operand) => {
                let ty = self.infer(operand);
                self.require(operand, &ty, CONDITION, "`!` takes a bool");
                Type::Bool
            }
            NodeKind::Negate(operand) => {
                let ty = self.infer(operand);
                self.require(operand, &ty, Mask::INT.or(Mask::DOUBLE), "`-` takes int or double");
                if matches!(ty, Type::Int | Type::Double) { ty } else { Type::Number }
            }
            NodeKind::Binary { operator, left, right } => self.binary(*operator, left, right, node),
            NodeKind::Logic { operator, operands } => self.logic(*operator, operands),
            NodeKind::Conditional(it) => {
                self.condition(&it.condition);
                Type::union([self.infer(&it.then), self.infer(&it.otherwise)])
            }
            NodeKind::Default { value, fallback } => {
                let before = std::mem::replace(&mut self.absence_is_fine, true);
                let value = self.infer(value);
                self.absence_is_fine = before;
                Type::union([value, self.infer(fallback)])
            }
            NodeKind::Loop(it) => self.iterate(it),
        }
    }

    fn report(&mut self, span: &Range<usize>, kind: TypeErrorKind, message: String) -> Type {
        self.errors.push(TypeError { span: span.clone(), kind, message, hint: None });
        Type::Any
    }

    /// Reports a value that is none of `wanted`.
    fn require(&mut self, node: &Node, ty: &Type, wanted: Mask, what: &str) {
        if !ty.mask().overlaps(wanted) {
            self.report(&node.span, TypeErrorKind::WrongType, format!("{what}, this is {ty}"));
        }
    }

    fn condition(&mut self, node: &'e Node) {
        let ty = self.infer(node);
        self.require(node, &ty, CONDITION, "a condition is a bool");
    }

    fn name(&mut self, name: &'e Name, node: &Node) -> Type {
        let local = self.locals.iter().rev().find(|(it, _)| !name.absolute && **it == *name.name);
        if let Some((_, ty)) = local {
            return ty.clone();
        }
        if let Some(ty) = self.scope.type_of(&name.name) {
            return ty;
        }
        if TypeName::find(&name.name).is_some() {
            return Type::Type;
        }
        let kind = TypeErrorKind::UnknownName { name: name.name.to_string() };
        self.report(&node.span, kind, format!("there is no value named `{}`", name.name))
    }

    fn select(&mut self, select: &'e Select) -> Type {
        let operand = self.infer(&select.operand);
        self.field(&operand, &select.operand, &select.field, &select.field_span)
    }

    fn field(&mut self, ty: &Type, operand: &Node, field: &str, span: &Range<usize>) -> Type {
        let absent_is_fine = self.absence_is_fine && ty.mask().overlaps(Mask::NULL);
        if !ty.mask().overlaps(Mask::MAP) && !absent_is_fine {
            let message = format!("only a map has fields, this is {ty}");
            return self.report(&operand.span, TypeErrorKind::WrongType, message);
        }
        let mut known = Vec::new();
        match field_type(ty, field, &mut known) {
            Some(found) => found,
            None if self.absence_is_fine => Type::Any,
            None => {
                known.sort();
                known.dedup();
                let hint = nearest(field, known.iter().map(String::as_str))
                    .map(|it| format!("Did you mean `{it}`?"));
                let kind = TypeErrorKind::UnknownField { field: field.to_owned(), known };
                self.report(span, kind, format!("there is no field `{field}`"));
                if let Some(error) = self.errors.last_mut() {
                    error.hint = hint;
                }
                Type::Any
            }
        }
    }

    fn index(&mut self, operand: &'e Node, index: &'e Node) -> Type {
        let ty = self.infer(operand);
        let index_ty = self.infer(index);
        let absent_is_fine = self.absence_is_fine && ty.mask().overlaps(Mask::NULL);
        if !ty.mask().overlaps(ITERABLE) && !absent_is_fine {
            let message = format!("only a list or a map has items, this is {ty}");
            return self.report(&operand.span, TypeErrorKind::WrongType, message);
        }
        match (&ty, &index.kind) {
            (Type::Map(_), NodeKind::Literal(Literal::String(field))) => {
                self.field(&ty, operand, field, &index.span)
            }
            (Type::List(items), _) => {
                self.require(index, &index_ty, Mask::NUMBER, "a list is indexed by a number");
                Type::clone(items)
            }
            _ => {
                self.require(index, &index_ty, KEY, "a key is a bool, a number or a string");
                Type::Any
            }
        }
    }

    fn call(&mut self, call: &'e Call, node: &'e Node) -> Type {
        let types: Vec<Type> = call.arguments.iter().map(|it| self.infer(it)).collect();
        let Some(function) = call.function else {
            return self.unknown_function(call);
        };
        let signature = function.signature();
        if !signature.count.contains(&types.len()) {
            let count = types.len();
            let message = functions::wrong_count_message(signature, call.is_method, count);
            return self.report(&call.name_span, TypeErrorKind::WrongCount, message);
        }
        let errors_before = self.errors.len();
        let wanted = signature.takes.iter().chain(signature.takes.last().into_iter().cycle());
        for ((argument, ty), wanted) in call.arguments.iter().zip(&types).zip(wanted) {
            let what = format!("`{}` takes {wanted} here", signature.name);
            self.require(argument, ty, *wanted, &what);
        }
        if self.errors.len() == errors_before {
            self.constant(function, call, node);
        }
        signature.returns.of(types.first().unwrap_or(&Type::Any))
    }

    fn unknown_function(&mut self, call: &Call) -> Type {
        let kind = TypeErrorKind::UnknownFunction { name: call.name.to_string() };
        let message = format!("there is no function named `{}`", call.name);
        self.report(&call.name_span, kind, message);
        let name = &call.name;
        let hint = if functions::find(name, !call.is_method).is_some() {
            let usage = if call.is_method { format!("{name}(x)") } else { format!("x.{name}()") };
            Some(format!("It is written {usage}."))
        } else {
            nearest(name, functions::names(call.is_method))
                .map(|it| format!("Did you mean `{it}`?"))
        };
        if let Some(error) = self.errors.last_mut() {
            error.hint = hint;
        }
        Type::Any
    }

    /// Tries a call whose arguments are all written out, and the pattern of `matches`.
    fn constant(&mut self, function: Function, call: &'e Call, node: &'e Node) {
        let is_literal = |it: &Node| matches!(it.kind, NodeKind::Literal(_));
        if call.arguments.iter().all(is_literal) {
            self.try_constant(node);
        } else if let (Function::Matches, [_, pattern]) = (function, &call.arguments[..])
            && let NodeKind::Literal(Literal::String(text)) = &pattern.kind
            && let Err(message) = functions::compile(text)
        {
            let kind = TypeErrorKind::AlwaysFails(EvalErrorKind::InvalidArgument);
            self.report(&pattern.span, kind, message);
        }
    }

    fn try_constant(&mut self, node: &'e Node) {
        struct Nothing;
        impl Scope for Nothing {
            fn lookup(&self, _name: &str) -> Option<Lookup<'_>> {
                None
            }
        }
        let meter = Meter::new(&Budget::default());
        let failed = Evaluator::new(&Nothing, &meter).eval(node).err();
        if let Some(fault) = failed
            && !fault.is_final()
            && !(self.absence_is_fine && fault.is_absence())
        {
            self.report(&node.span, TypeErrorKind::AlwaysFails(fault.kind), fault.message);
        }
    }

    fn map(&mut self, entries: &'e [(Node, Node)]) -> Type {
        let mut fields = Vec::new();
        let mut values = Vec::new();
        for (key, value) in entries {
            let key_ty = self.infer(key);
            let value_ty = self.infer(value);
            let wanted = Mask::BOOL.or(Mask::INT).or(Mask::UINT).or(Mask::STRING);
            self.require(key, &key_ty, wanted, "a key is a bool, an integer or a string");
            if let NodeKind::Literal(Literal::String(name)) = &key.kind {
                fields.push((name.to_string(), value_ty.clone()));
            }
            values.push(value_ty);
        }
        if fields.len() == entries.len() { Type::record(fields) } else { Type::map_of(Type::Any) }
    }

    fn binary(
        &mut self,
        operator: Binary,
        left: &'e Node,
        right: &'e Node,
        node: &'e Node,
    ) -> Type {
        let (left_ty, right_ty) = (self.infer(left), self.infer(right));
        match operators::result(operator, &left_ty, &right_ty) {
            Some(ty) => {
                let is_literal = |it: &Node| matches!(it.kind, NodeKind::Literal(_));
                if is_literal(left) && is_literal(right) {
                    self.try_constant(node);
                }
                ty
            }
            None => {
                let symbol = operator.symbol();
                let message = format!("`{symbol}` does not take {left_ty} and {right_ty}");
                self.report(&node.span, TypeErrorKind::WrongType, message)
            }
        }
    }

    fn logic(&mut self, operator: Logic, operands: &'e [Node]) -> Type {
        for operand in operands {
            let ty = self.infer(operand);
            let what = format!("`{}` takes bools", operator.symbol());
            self.require(operand, &ty, CONDITION, &what);
        }
        Type::Bool
    }

    fn iterate(&mut self, it: &'e Loop) -> Type {
        let range = self.infer(&it.range);
        let what = format!("`{}` walks over a list or a map", it.kind.name());
        self.require(&it.range, &range, ITERABLE, &what);
        let item = match &range {
            Type::List(items) => Type::clone(items),
            _ => Type::Any,
        };
        self.locals.push((&it.variable, item.clone()));
        if let Some(condition) = &it.condition {
            self.condition(condition);
        }
        let ty = match it.kind {
            LoopKind::Map => Type::list(self.infer(&it.body)),
            LoopKind::Filter => {
                self.condition(&it.body);
                Type::list(item)
            }
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => {
                self.condition(&it.body);
                Type::Bool
            }
        };
        self.locals.pop();
        ty
    }
}

/// Returns what a field can be, or None if no value of the type has it; the fields that there are
/// go to `known`.
fn field_type(ty: &Type, field: &str, known: &mut Vec<String>) -> Option<Type> {
    match ty {
        Type::Any => Some(Type::Any),
        Type::Map(map) => {
            let found = map.fields.get(field).map(|it| it.ty.clone()).or_else(|| map.rest.clone());
            if found.is_none() {
                known.extend(map.fields.keys().cloned());
            }
            found
        }
        Type::Union(members) => {
            let found: Vec<Type> =
                members.iter().filter_map(|it| field_type(it, field, known)).collect();
            (!found.is_empty()).then(|| Type::union(found))
        }
        _ => None,
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}
