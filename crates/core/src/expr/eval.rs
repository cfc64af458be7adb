//! Walks the tree and computes. Recursion is bounded by the parser's limit on the tree's height,
//! everything else by the meter.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::arithmetic;
use super::ast::{
    Binary, Call, Conditional, Literal, Logic, Loop, LoopKind, Name, Node, NodeKind, Select,
};
use super::budget::Meter;
use super::compare;
use super::error::{EvalError, EvalErrorKind, Fault};
use super::functions;
use super::scope::{Lookup, Scope};
use super::value::{Key, List, Map, Text, TypeName, Value};

pub(super) type Outcome<'e> = Result<Value<'e>, Fault>;

pub(super) struct Evaluator<'e> {
    scope: &'e dyn Scope,
    meter: &'e Meter,
    /// The variables of the macros around the current node, innermost last.
    locals: Vec<(&'e str, Value<'e>)>,
}

impl<'e> Evaluator<'e> {
    pub fn new(scope: &'e dyn Scope, meter: &'e Meter) -> Evaluator<'e> {
        Evaluator { scope, meter, locals: Vec::new() }
    }

    pub fn eval(&mut self, node: &'e Node) -> Outcome<'e> {
        let result = match self.meter.step() {
            Ok(()) => self.eval_kind(&node.kind),
            Err(fault) => Err(fault),
        };
        result.map_err(|mut fault| {
            if !fault.is_placed() {
                fault.span = node.span.clone();
            }
            fault
        })
    }

    fn eval_kind(&mut self, kind: &'e NodeKind) -> Outcome<'e> {
        match kind {
            NodeKind::Literal(literal) => Ok(literal_value(literal)),
            NodeKind::Name(name) => self.name(name),
            NodeKind::Select(select) => self.select(select),
            NodeKind::Has(select) => self.has(select),
            NodeKind::Index { operand, index } => self.index(operand, index),
            NodeKind::Call(call) => self.call(call),
            NodeKind::List(items) => self.list(items),
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Not(operand) => self.not(operand),
            NodeKind::Negate(operand) => arithmetic::negate(&self.eval(operand)?),
            NodeKind::Binary { operator, left, right } => self.binary(*operator, left, right),
            NodeKind::Logic { operator, operands } => self.logic(*operator, operands),
            NodeKind::Conditional(it) => self.conditional(it),
            NodeKind::Default { value, fallback } => self.default(value, fallback),
            NodeKind::Loop(it) => self.iterate(it),
        }
    }

    fn name(&mut self, name: &'e Name) -> Outcome<'e> {
        if !name.absolute
            && let Some((_, value)) = self.locals.iter().rev().find(|(it, _)| **it == *name.name)
        {
            return Ok(value.clone());
        }
        match self.scope.lookup(&name.name) {
            Some(found) => resolve(found, self.meter),
            None => TypeName::find(&name.name).map(Value::Type).ok_or_else(|| {
                let message = format!("there is no value named `{}`", name.name);
                EvalError::fault(EvalErrorKind::UnknownName, message)
            }),
        }
    }

    fn select(&mut self, select: &'e Select) -> Outcome<'e> {
        let operand = self.eval(&select.operand)?;
        match field(&operand, &select.field, self.meter)? {
            Some(value) => Ok(value),
            None => {
                let message = format!("there is no field `{}`", select.field);
                Err(EvalError::fault(EvalErrorKind::NoSuchField, message))
            }
        }
    }

    fn has(&mut self, select: &'e Select) -> Outcome<'e> {
        let operand = self.eval(&select.operand)?;
        Ok(Value::Bool(field(&operand, &select.field, self.meter)?.is_some()))
    }

    fn index(&mut self, operand: &'e Node, index: &'e Node) -> Outcome<'e> {
        let operand = self.eval(operand)?;
        let index = self.eval(index)?;
        match (&operand, &index) {
            (Value::Object(_), Value::String(name)) => field(&operand, name, self.meter)?,
            (Value::Object(_) | Value::Map(_), _) => {
                let Some(key) = Key::of(&index) else {
                    return Err(not_a_key(&index));
                };
                match operand {
                    Value::Map(map) => map.get(&key),
                    _ => None,
                }
            }
            (Value::List(list), _) => return item(list, &index),
            // The value is absent, and so is what would be below it.
            (Value::Null, _) => None,
            _ => {
                let message = format!("{} has no items to index", operand.type_name());
                return Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message));
            }
        }
        .ok_or_else(|| {
            let key = Key::of(&index).map_or_else(String::new, |it| it.to_string());
            EvalError::fault(EvalErrorKind::NoSuchField, format!("there is no key `{key}`"))
        })
    }

    fn call(&mut self, call: &'e Call) -> Outcome<'e> {
        let Some(function) = call.function else {
            let message = format!("there is no function named `{}`", call.name);
            return Err(EvalError::fault(EvalErrorKind::UnknownFunction, message));
        };
        match &call.arguments[..] {
            [only] => {
                let arguments = [self.eval(only)?];
                functions::call(function, call, &arguments, self.meter)
            }
            [first, second] => {
                let arguments = [self.eval(first)?, self.eval(second)?];
                functions::call(function, call, &arguments, self.meter)
            }
            all => {
                let mut arguments = Vec::with_capacity(all.len());
                for argument in all {
                    arguments.push(self.eval(argument)?);
                }
                functions::call(function, call, &arguments, self.meter)
            }
        }
    }

    fn list(&mut self, items: &'e [Node]) -> Outcome<'e> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(item)?);
        }
        Value::list(values, self.meter)
    }

    fn map(&mut self, entries: &'e [(Node, Node)]) -> Outcome<'e> {
        let mut map = BTreeMap::new();
        for (key_node, value_node) in entries {
            let key = self.eval(key_node)?;
            let key = match key {
                // A double may look up a key, but not be one.
                Value::Double(_) => return Err(not_a_key(&key)),
                _ => Key::of(&key).ok_or_else(|| not_a_key(&key))?,
            };
            let value = self.eval(value_node)?;
            if map.contains_key(&key) {
                let message = format!("the key `{key}` is there twice");
                return Err(EvalError::fault(EvalErrorKind::RepeatedKey, message));
            }
            map.insert(key, value);
        }
        Value::map(map, self.meter)
    }

    fn not(&mut self, operand: &'e Node) -> Outcome<'e> {
        match self.eval(operand)? {
            Value::Bool(value) => Ok(Value::Bool(!value)),
            other => {
                let message = format!("`!` does not take {}", other.type_name());
                Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message))
            }
        }
    }

    fn binary(&mut self, operator: Binary, left: &'e Node, right: &'e Node) -> Outcome<'e> {
        let left = self.eval(left)?;
        let right = self.eval(right)?;
        let wanted: fn(Ordering) -> bool = match operator {
            Binary::Equal => return Ok(Value::Bool(compare::equal(&left, &right, self.meter)?)),
            Binary::NotEqual => {
                return Ok(Value::Bool(!compare::equal(&left, &right, self.meter)?));
            }
            Binary::In => return Ok(Value::Bool(self.contains(&left, right)?)),
            Binary::Less => Ordering::is_lt,
            Binary::LessOrEqual => Ordering::is_le,
            Binary::Greater => Ordering::is_gt,
            Binary::GreaterOrEqual => Ordering::is_ge,
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => return arithmetic::apply(operator, left, right, self.meter),
        };
        match compare::compare(&left, &right, self.meter)? {
            Some(order) => Ok(Value::Bool(wanted(order))),
            // One of them is not a number.
            None if compare::is_ordered(&left, &right) => Ok(Value::Bool(false)),
            None => Err(arithmetic::no_overload(operator, &left, &right)),
        }
    }

    fn contains(&self, item: &Value<'e>, container: Value<'e>) -> Result<bool, Fault> {
        match container {
            Value::List(list) => {
                for candidate in list.iter() {
                    self.meter.step()?;
                    if compare::equal(item, &candidate, self.meter)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => Ok(Key::of(item).is_some_and(|key| map.get(&key).is_some())),
            Value::Object(object) => match item {
                Value::String(name) => Ok(object.field(name).is_some()),
                _ => Ok(false),
            },
            other => Err(arithmetic::no_overload(Binary::In, item, &other)),
        }
    }

    /// One operand may settle the matter, whatever the others are: errors before or after it are
    /// absorbed. Without such an operand, the first error counts.
    fn logic(&mut self, operator: Logic, operands: &'e [Node]) -> Outcome<'e> {
        let settles = operator == Logic::Or;
        let mut first_fault = None;
        for operand in operands {
            let fault = match self.eval(operand) {
                Ok(Value::Bool(value)) if value == settles => return Ok(Value::Bool(settles)),
                Ok(Value::Bool(_)) => continue,
                Ok(other) => {
                    let symbol = operator.symbol();
                    let message = format!("`{symbol}` does not take {}", other.type_name());
                    let mut fault = EvalError::fault(EvalErrorKind::NoSuchOverload, message);
                    fault.span = operand.span.clone();
                    fault
                }
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => fault,
            };
            first_fault.get_or_insert(fault);
        }
        match first_fault {
            Some(fault) => Err(fault),
            None => Ok(Value::Bool(!settles)),
        }
    }

    fn conditional(&mut self, it: &'e Conditional) -> Outcome<'e> {
        if self.condition(&it.condition)? { self.eval(&it.then) } else { self.eval(&it.otherwise) }
    }

    /// Evaluates what must be true or false.
    fn condition(&mut self, node: &'e Node) -> Result<bool, Fault> {
        match self.eval(node)? {
            Value::Bool(value) => Ok(value),
            other => {
                let message = format!("a condition must be bool, this is {}", other.type_name());
                let mut fault = EvalError::fault(EvalErrorKind::NoSuchOverload, message);
                fault.span = node.span.clone();
                Err(fault)
            }
        }
    }

    fn default(&mut self, value: &'e Node, fallback: &'e Node) -> Outcome<'e> {
        match self.eval(value) {
            Ok(Value::Null) => self.eval(fallback),
            Err(fault) if fault.is_absence() => self.eval(fallback),
            result => result,
        }
    }

    fn iterate(&mut self, it: &'e Loop) -> Outcome<'e> {
        let items = match self.eval(&it.range)?.materialize(self.meter)? {
            Value::List(list) => list,
            Value::Map(map) => keys(&map),
            other => {
                let message = format!("`{}` does not take {}", it.kind.name(), other.type_name());
                return Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message));
            }
        };
        match it.kind {
            LoopKind::All => self.quantify(it, &items, false),
            LoopKind::Exists => self.quantify(it, &items, true),
            LoopKind::ExistsOne => self.exists_one(it, &items),
            LoopKind::Filter | LoopKind::Map => self.collect(it, &items),
        }
    }

    /// Runs `body` with the variable of the loop set to `item`.
    fn with_item<T>(
        &mut self,
        it: &'e Loop,
        item: Value<'e>,
        body: impl FnOnce(&mut Evaluator<'e>) -> T,
    ) -> T {
        self.locals.push((&it.variable, item));
        let result = body(self);
        self.locals.pop();
        result
    }

    /// `exists` is settled by an item for which the body is true, `all` by one for which it is
    /// false; as with `||` and `&&`, such an item absorbs the errors of all others.
    fn quantify(&mut self, it: &'e Loop, items: &List<'e>, settles: bool) -> Outcome<'e> {
        let mut first_fault = None;
        for item in items.iter() {
            match self.with_item(it, item, |this| this.condition(&it.body)) {
                Ok(value) if value == settles => return Ok(Value::Bool(settles)),
                Ok(_) => {}
                Err(fault) if fault.is_final() => return Err(fault),
                Err(fault) => {
                    first_fault.get_or_insert(fault);
                }
            }
        }
        match first_fault {
            Some(fault) => Err(fault),
            None => Ok(Value::Bool(!settles)),
        }
    }

    fn exists_one(&mut self, it: &'e Loop, items: &List<'e>) -> Outcome<'e> {
        let mut count = 0;
        for item in items.iter() {
            count += usize::from(self.with_item(it, item, |this| this.condition(&it.body))?);
        }
        Ok(Value::Bool(count == 1))
    }

    fn collect(&mut self, it: &'e Loop, items: &List<'e>) -> Outcome<'e> {
        let mut values = Vec::new();
        for item in items.iter() {
            // Charged as they come: the list is charged whole only at its end.
            self.meter.produce(size_of::<Value<'_>>())?;
            let kept = item.clone();
            let value = self.with_item(it, item, |this| match (it.kind, &it.condition) {
                (LoopKind::Filter, _) => Ok(this.condition(&it.body)?.then_some(kept)),
                (_, Some(condition)) if !this.condition(condition)? => Ok(None),
                _ => this.eval(&it.body).map(Some),
            })?;
            values.extend(value);
        }
        Ok(Value::List(List::Shared(values.into())))
    }
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Text::Borrowed(text)),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}

fn resolve<'e>(found: Lookup<'e>, meter: &Meter) -> Outcome<'e> {
    match found {
        Lookup::Value(json) => Ok(Value::from(json)),
        Lookup::Owned(json) => Value::owned(json, meter),
        Lookup::Object(object) => Ok(Value::Object(object)),
        Lookup::Typed(value) => Ok(value),
    }
}

/// Returns the field of a map, or None if the map does not have it.
fn field<'e>(operand: &Value<'e>, name: &str, meter: &Meter) -> Result<Option<Value<'e>>, Fault> {
    match operand {
        Value::Map(map) => Ok(map.field(name)),
        Value::Object(object) => object.field(name).map(|it| resolve(it, meter)).transpose(),
        Value::Null => {
            let message = format!("the value is null, so it has no field `{name}`");
            Err(EvalError::fault(EvalErrorKind::NoSuchField, message))
        }
        other => {
            let message = format!("{} has no fields, so no `{name}`", other.type_name());
            Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message))
        }
    }
}

fn item<'e>(list: &List<'e>, index: &Value<'e>) -> Outcome<'e> {
    let position = match Key::of(index) {
        Some(Key::Int(position)) => i128::from(position),
        Some(Key::Uint(position)) => i128::from(position),
        _ => {
            let message = format!("a list is indexed by a whole number, not {}", index.type_name());
            return Err(EvalError::fault(EvalErrorKind::NoSuchOverload, message));
        }
    };
    let found = usize::try_from(position).ok().and_then(|it| list.get(it));
    found.ok_or_else(|| {
        let message = format!("there is no item {position} in a list of {}", list.len());
        EvalError::fault(EvalErrorKind::IndexOutOfRange, message)
    })
}

fn keys<'e>(map: &Map<'e>) -> List<'e> {
    List::Shared(map.keys().into_iter().map(Value::from).collect())
}

fn not_a_key(value: &Value<'_>) -> Fault {
    let message = format!("{} cannot be a key of a map", value.type_name());
    EvalError::fault(EvalErrorKind::NoSuchOverload, message)
}
