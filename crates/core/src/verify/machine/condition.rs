//! What a guard can come to when its machine's variables are known in part, and what they are once
//! it was true or false. Everything but the variables may be anything.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::values::{Truth, Values};
use crate::expr::ast::{Binary, Literal, Logic, Node, NodeKind};
use crate::expr::{Budget, Expr, Reference, Template};

/// Combinations of known values that are tried one by one.
const COMBINATIONS_MAX: usize = 64;
/// Bytes of a guard that is looked into at all.
const SOURCE_BYTES_MAX: usize = 4 * 1024;

/// What each variable of a machine can be, by its place.
pub(super) type Environment = Vec<Values>;

/// The variables that a machine declares.
#[derive(Debug, Default)]
pub(super) struct Variables<'a> {
    pub names: Vec<&'a str>,
    places: BTreeMap<&'a str, usize>,
}

/// An expression, and which of the machine's variables it reads.
#[derive(Debug)]
pub(super) struct Condition<'a> {
    pub expr: &'a Expr,
    /// Collected once: that takes time for each pair of operands.
    pub references: Vec<Reference>,
    reads: Vec<usize>,
    /// It reads nothing else.
    is_closed: bool,
    /// It is too large to be looked into.
    is_opaque: bool,
    /// What it came to for single values of the one variable that it reads.
    known: RefCell<Vec<(Json, Truth)>>,
}

impl Condition<'_> {
    /// Whether it depends on nothing but what comes with the event or the end of the work.
    pub fn is_about_cause(&self) -> bool {
        self.references.iter().all(|it| matches!(&*it.root, "event" | "output" | "error"))
    }
}

impl<'a> Variables<'a> {
    pub fn new(names: impl IntoIterator<Item = &'a str>) -> Variables<'a> {
        let names: Vec<&str> = names.into_iter().collect();
        let places = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
        Variables { names, places }
    }

    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub fn condition(&self, expr: &'a Expr) -> Condition<'a> {
        let is_opaque = expr.source().len() > SOURCE_BYTES_MAX;
        let references = expr.references();
        let (reads, is_closed) = self.reads(&references);
        let known = RefCell::default();
        Condition { expr, references, reads, is_closed, is_opaque, known }
    }

    /// The variables among what is read, and whether nothing else is.
    fn reads(&self, references: &[Reference]) -> (Vec<usize>, bool) {
        let own = |it: &Reference| {
            let name = it.segments.first().filter(|_| it.root == "vars")?;
            self.place(name)
        };
        let mut reads: Vec<usize> = references.iter().filter_map(own).collect();
        reads.sort_unstable();
        reads.dedup();
        (reads, references.iter().all(|it| own(it).is_some()))
    }

    /// What a variable can be after `set` wrote this into it.
    pub fn written(&self, template: &Template, env: &Environment) -> Values {
        let references: Vec<_> = template.references().into_iter().map(|it| it.1).collect();
        let (reads, is_closed) = self.reads(&references);
        if is_closed && let Some(scopes) = self.combinations(&reads, env) {
            let budget = Budget::default();
            let results = scopes.iter().filter_map(|it| template.eval(it, &budget).ok());
            let joined = results.map(Values::one).reduce(|one, other| one.join(&other));
            // Without a value the transition fails; what is never written may be anything.
            return joined.unwrap_or(Values::Any);
        }
        let step = self.step(template);
        step.and_then(|(at, step)| env[at].shifted(step)).unwrap_or(Values::Any)
    }

    /// Reads `vars.x + 1`: the variable, and by how much it moves.
    pub fn step(&self, template: &Template) -> Option<(usize, i64)> {
        let expr = template.as_expression()?;
        let NodeKind::Binary { operator, left, right } = &expr.ast().kind else { return None };
        match (operator, self.variable(left), self.variable(right)) {
            (Binary::Add, Some(at), None) => Some((at, whole(right)?)),
            (Binary::Add, None, Some(at)) => Some((at, whole(left)?)),
            (Binary::Subtract, Some(at), None) => Some((at, whole(right)?.checked_neg()?)),
            _ => None,
        }
    }

    /// The variable that a part of an expression is.
    fn variable(&self, node: &Node) -> Option<usize> {
        let NodeKind::Select(select) = &node.kind else { return None };
        match &select.operand.kind {
            NodeKind::Name(name) if &*name.name == "vars" => self.place(&select.field),
            _ => None,
        }
    }

    /// Every combination of the known values of some variables; nothing if there are too many.
    fn combinations(
        &self,
        reads: &[usize],
        env: &Environment,
    ) -> Option<Vec<BTreeMap<String, Json>>> {
        let mut all = vec![Map::new()];
        for at in reads {
            let Values::Known(values) = &env[*at] else { return None };
            if all.len() * values.len() > COMBINATIONS_MAX {
                return None;
            }
            let with = |vars: &Map<String, Json>, value: &Json| {
                let mut vars = vars.clone();
                vars.insert(self.names[*at].to_owned(), value.clone());
                vars
            };
            all = all.iter().flat_map(|vars| values.iter().map(|it| with(vars, it))).collect();
        }
        Some(all.into_iter().map(|it| BTreeMap::from([("vars".to_owned(), json!(it))])).collect())
    }

    /// What a condition can come to.
    pub fn truth(&self, condition: &Condition<'_>, env: &Environment) -> Truth {
        if condition.is_opaque {
            return Truth::ANY;
        }
        if condition.is_closed
            && let [at] = condition.reads[..]
            && let Values::Known(values) = &env[at]
        {
            let truths = values.iter().map(|it| self.truth_with(condition, at, it));
            return truths.fold(Truth::default(), Truth::or);
        }
        if condition.is_closed
            && let Some(scopes) = self.combinations(&condition.reads, env)
        {
            let truths = scopes.iter().map(|it| evaluated(condition.expr, it));
            return truths.fold(Truth::default(), Truth::or);
        }
        self.part(condition.expr.ast(), env)
    }

    /// What a condition on one variable comes to with this value.
    fn truth_with(&self, condition: &Condition<'_>, at: usize, value: &Json) -> Truth {
        if let Some((_, truth)) = condition.known.borrow().iter().find(|it| it.0 == *value) {
            return *truth;
        }
        let vars = json!({self.names[at]: value});
        let truth = evaluated(condition.expr, &BTreeMap::from([("vars".to_owned(), vars)]));
        let mut known = condition.known.borrow_mut();
        if known.len() < COMBINATIONS_MAX {
            known.push((value.clone(), truth));
        }
        truth
    }

    fn part(&self, node: &Node, env: &Environment) -> Truth {
        match &node.kind {
            NodeKind::Literal(Literal::Bool(value)) => Truth::of(*value),
            NodeKind::Not(operand) => self.part(operand, env).negated(),
            NodeKind::Logic { operator, operands } => {
                let parts = operands.iter().map(|it| self.part(it, env));
                match operator {
                    Logic::And => all_of(parts),
                    Logic::Or => all_of(parts.map(Truth::negated)).negated(),
                }
            }
            NodeKind::Binary { operator: Binary::In, left, right } => {
                let NodeKind::List(items) = &right.kind else { return Truth::ANY };
                let left = self.values(left, env);
                let found = items
                    .iter()
                    .map(|it| left.compare(Binary::Equal, &self.values(it, env)).negated());
                all_of(found).negated()
            }
            NodeKind::Binary { operator, left, right } => {
                self.values(left, env).compare(*operator, &self.values(right, env))
            }
            _ => match self.variable(node).map(|at| &env[at]) {
                Some(Values::Known(all)) => all
                    .iter()
                    .map(|it| it.as_bool().map_or(Truth::failure(), Truth::of))
                    .fold(Truth::default(), Truth::or),
                _ => Truth::ANY,
            },
        }
    }

    /// What a part of an expression can be.
    fn values(&self, node: &Node, env: &Environment) -> Values {
        if let Some(at) = self.variable(node) {
            return env[at].clone();
        }
        literal(node).map_or(Values::Any, Values::one)
    }

    /// What the variables are where a condition came to `outcome`; nothing if it never does.
    pub fn assume(
        &self,
        condition: &Condition<'_>,
        outcome: bool,
        env: &Environment,
    ) -> Option<Environment> {
        if condition.is_opaque {
            return Some(env.clone());
        }
        let mut env = env.clone();
        if !self.narrow(condition.expr.ast(), outcome, &mut env) {
            return None;
        }
        for at in &condition.reads {
            let Values::Known(values) = &env[*at] else { continue };
            let mut kept = Vec::new();
            for value in values.clone() {
                env[*at] = Values::one(value.clone());
                if self.truth(condition, &env).may_be(outcome) {
                    kept.push(value);
                }
            }
            if kept.is_empty() {
                return None;
            }
            env[*at] = Values::Known(kept);
        }
        self.truth(condition, &env).may_be(outcome).then_some(env)
    }

    /// Narrows what a comparison with a constant says. False if nothing is left.
    fn narrow(&self, node: &Node, outcome: bool, env: &mut Environment) -> bool {
        match &node.kind {
            NodeKind::Not(operand) => self.narrow(operand, !outcome, env),
            NodeKind::Logic { operator, operands } if outcome == (*operator == Logic::And) => {
                operands.iter().all(|it| self.narrow(it, outcome, env))
            }
            NodeKind::Binary { operator, left, right } => {
                let (at, operator, constant) = match (self.variable(left), self.variable(right)) {
                    (Some(at), None) => (at, *operator, literal(right)),
                    (None, Some(at)) => (at, mirrored(*operator), literal(left)),
                    _ => return true,
                };
                let Some(constant) = constant else { return true };
                match compared(&env[at], operator, outcome, &constant) {
                    Some(values) => env[at] = values,
                    None => return false,
                }
                true
            }
            _ => true,
        }
    }
}

fn evaluated(expr: &Expr, scope: &BTreeMap<String, Json>) -> Truth {
    match expr.eval_bool(scope, &Budget::default()) {
        Ok(value) => Truth::of(value),
        Err(_) => Truth::failure(),
    }
}

fn all_of(parts: impl Iterator<Item = Truth>) -> Truth {
    let never_true = |it: &Truth| !it.is_true && !it.fails;
    let parts: Vec<Truth> = parts.collect();
    if parts.iter().any(never_true) {
        return Truth::of(false);
    }
    Truth {
        is_true: parts.iter().all(|it| it.is_true),
        is_false: parts.iter().any(|it| it.is_false),
        fails: parts.iter().any(|it| it.fails),
    }
}

/// The operator once its sides have changed places.
fn mirrored(operator: Binary) -> Binary {
    match operator {
        Binary::Less => Binary::Greater,
        Binary::LessOrEqual => Binary::GreaterOrEqual,
        Binary::Greater => Binary::Less,
        Binary::GreaterOrEqual => Binary::LessOrEqual,
        other => other,
    }
}

/// What is left of `values` where comparing them with a constant came to `outcome`.
fn compared(values: &Values, operator: Binary, outcome: bool, constant: &Json) -> Option<Values> {
    let is_equal = match operator {
        Binary::Equal => outcome,
        Binary::NotEqual => !outcome,
        _ => false,
    };
    // A number may also be equal as another type of number.
    if is_equal && matches!((values, constant), (Values::Any, Json::String(_) | Json::Bool(_))) {
        return Some(Values::one(constant.clone()));
    }
    let Some(number) = constant.as_i64() else { return Some(values.clone()) };
    let (below, above) = (number.checked_sub(1), number.checked_add(1));
    match (operator, outcome) {
        (Binary::Equal, true) | (Binary::NotEqual, false) => {
            values.within(Some(number), Some(number))
        }
        (Binary::Less, true) | (Binary::GreaterOrEqual, false) => values.within(None, below),
        (Binary::LessOrEqual, true) | (Binary::Greater, false) => values.within(None, Some(number)),
        (Binary::Greater, true) | (Binary::LessOrEqual, false) => values.within(above, None),
        (Binary::GreaterOrEqual, true) | (Binary::Less, false) => values.within(Some(number), None),
        _ => Some(values.clone()),
    }
}

pub(in crate::verify) fn literal(node: &Node) -> Option<Json> {
    match &node.kind {
        NodeKind::Literal(Literal::Null) => Some(Json::Null),
        NodeKind::Literal(Literal::Bool(value)) => Some(json!(value)),
        NodeKind::Literal(Literal::String(value)) => Some(json!(value)),
        _ => whole(node).map(Json::from),
    }
}

fn whole(node: &Node) -> Option<i64> {
    match &node.kind {
        NodeKind::Literal(Literal::Int(value)) => Some(*value),
        NodeKind::Negate(operand) => whole(operand)?.checked_neg(),
        _ => None,
    }
}

/// Adds the whole numbers of an expression and their neighbours: where bounds may come to rest.
pub(super) fn landmarks(node: &Node, into: &mut std::collections::BTreeSet<i64>) {
    if let Some(number) = whole(node) {
        into.extend([number.saturating_sub(1), number, number.saturating_add(1)]);
    }
    node.for_each_child(&mut |it| landmarks(it, into));
}
