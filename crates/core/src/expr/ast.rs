//! The syntax tree. Every node knows the bytes of the source that it came from.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::functions::Function;

#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the source; never empty.
    pub span: Range<usize>,
    pub kind: NodeKind,
    /// Nodes on the longest path down, this one counted. Limited, so that walks may recurse.
    pub(super) height: usize,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Literal(Literal),
    Name(Name),
    /// `operand.field`
    Select(Select),
    /// `has(operand.field)`
    Has(Select),
    /// `operand[index]`
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    Call(Box<Call>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary {
        operator: Binary,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// A whole chain of `&&` or of `||`; two operands or more.
    Logic {
        operator: Logic,
        operands: Vec<Node>,
    },
    /// `condition ? then : otherwise`
    Conditional(Box<Conditional>),
    /// `default(value, fallback)`
    Default {
        value: Box<Node>,
        fallback: Box<Node>,
    },
    Loop(Box<Loop>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Arc<[u8]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub name: Box<str>,
    /// Written `.name`: never the variable of a macro.
    pub absolute: bool,
}

#[derive(Clone, Debug)]
pub struct Select {
    pub operand: Box<Node>,
    pub field: Box<str>,
    pub field_span: Range<usize>,
}

/// `name(arguments)`, or `arguments[0].name(arguments[1..])`.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Box<str>,
    pub name_span: Range<usize>,
    /// None if no function has this name; that is an error only once it is called.
    pub function: Option<Function>,
    /// The first argument stands before a dot.
    pub is_method: bool,
    pub arguments: Vec<Node>,
    /// The compiled pattern of `matches` if it is a literal; filled by the first call.
    pub(super) pattern: OnceLock<regex::Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Binary {
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessOrEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterOrEqual => ">=",
            Binary::In => "in",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    And,
    Or,
}

impl Logic {
    pub fn symbol(self) -> &'static str {
        match self {
            Logic::And => "&&",
            Logic::Or => "||",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Conditional {
    pub condition: Node,
    pub then: Node,
    pub otherwise: Node,
}

/// A macro over the items of a list or the keys of a map: `range.all(variable, body)`.
#[derive(Clone, Debug)]
pub struct Loop {
    pub kind: LoopKind,
    pub range: Node,
    pub variable: Box<str>,
    /// The middle argument of `map` with three: items for which it is false are left out.
    pub condition: Option<Node>,
    pub body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl LoopKind {
    pub fn name(self) -> &'static str {
        match self {
            LoopKind::All => "all",
            LoopKind::Exists => "exists",
            LoopKind::ExistsOne => "exists_one",
            LoopKind::Filter => "filter",
            LoopKind::Map => "map",
        }
    }
}

impl Node {
    /// Calls `visit` with each direct child, in the order of the source.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match &self.kind {
            NodeKind::Literal(_) | NodeKind::Name(_) => {}
            NodeKind::Select(select) | NodeKind::Has(select) => visit(&select.operand),
            NodeKind::Index { operand, index } => {
                visit(operand);
                visit(index);
            }
            NodeKind::Call(call) => call.arguments.iter().for_each(visit),
            NodeKind::List(items) => items.iter().for_each(visit),
            NodeKind::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [key, value]).for_each(visit);
            }
            NodeKind::Not(operand) | NodeKind::Negate(operand) => visit(operand),
            NodeKind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            NodeKind::Logic { operands, .. } => operands.iter().for_each(visit),
            NodeKind::Conditional(it) => {
                [&it.condition, &it.then, &it.otherwise].into_iter().for_each(visit);
            }
            NodeKind::Default { value, fallback } => {
                visit(value);
                visit(fallback);
            }
            NodeKind::Loop(it) => {
                visit(&it.range);
                it.condition.iter().for_each(&mut *visit);
                visit(&it.body);
            }
        }
    }
}
