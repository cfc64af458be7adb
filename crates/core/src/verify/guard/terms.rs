//! What a part of a guard compares with what: the constants of each path, and the pairs of paths.
//!
//! A part is understood if each path in it stands where its regions are known to tell all values
//! apart that the part can: compared with constants or paths, in `has`, in `size`, as a bool.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map as JsonMap, Value as Json};

use super::LENGTH_MAX;
use super::domain::Kinds;
use super::number::Num;
use super::path::Path;
use super::unknown::Reason;
use crate::expr::ast::{Binary, Call, Node, NodeKind};
use crate::expr::value::{Key, TypeName, Value};
use crate::expr::{Budget, Expr, Meter, path_of};

/// Things that one side of a comparison may be; more are not followed.
const SOURCES_MAX: usize = 64;
/// Paths of one part; the table of a part has a dimension for each.
const PATHS_MAX: usize = 4;
/// Steps to compute one constant.
const CONSTANT_STEPS_MAX: u64 = 10_000;

/// A constant, as far as data can be equal to it.
#[derive(Clone, Debug)]
pub(super) enum Constant {
    Number(Num),
    Other(Json),
    /// Of a type that data never has, or not a number: there is nothing to tell apart.
    Never,
}

/// Facts about the paths of one part. Paths are positions in `paths`.
#[derive(Default)]
pub(super) struct Facts {
    pub paths: Vec<Path>,
    pub constants: Vec<(usize, Constant)>,
    /// Paths whose texts are compared by order.
    pub ordered: BTreeSet<usize>,
    /// Paths that are used as a value of these types.
    pub mentions: Vec<(usize, Kinds)>,
    /// Lengths that a path is compared with.
    pub lengths: Vec<(usize, f64)>,
    pub pairs: BTreeSet<(usize, usize)>,
}

/// What a term may evaluate to.
#[derive(Clone)]
enum Source {
    Path(usize),
    Length(usize),
    Constant(Constant),
    Bool,
}

type Understood<T> = Result<T, Reason>;

impl Facts {
    /// Collects the facts of a part that stands where a bool is wanted.
    pub fn of_condition(node: &Node) -> Understood<Facts> {
        let mut facts = Facts::default();
        facts.condition(node)?;
        Ok(facts)
    }

    fn condition(&mut self, node: &Node) -> Understood<()> {
        for source in self.sources(node)? {
            if let Source::Path(path) = source {
                self.mentions.push((path, Kinds::BOOL));
            }
        }
        Ok(())
    }

    fn sources(&mut self, node: &Node) -> Understood<Vec<Source>> {
        if let Some(path) = plain_path(node) {
            return Ok(vec![Source::Path(self.path(path)?)]);
        }
        if is_constant(node) {
            return constant(node).map(|it| vec![Source::Constant(it)]);
        }
        match &node.kind {
            NodeKind::Has(select) => {
                let mut path = plain_path(&select.operand).ok_or(Reason::Structure)?;
                path.segments.push(select.field.to_string());
                self.path(path)?;
                Ok(vec![Source::Bool])
            }
            NodeKind::Default { value, fallback } => self.either(value, fallback),
            NodeKind::Conditional(it) => {
                self.condition(&it.condition)?;
                self.either(&it.then, &it.otherwise)
            }
            NodeKind::Not(operand) => {
                self.condition(operand)?;
                Ok(vec![Source::Bool])
            }
            NodeKind::Logic { operands, .. } => {
                operands.iter().try_for_each(|it| self.condition(it))?;
                Ok(vec![Source::Bool])
            }
            NodeKind::Binary { operator, left, right } => self.binary(*operator, left, right),
            NodeKind::Call(call) => self.call(call),
            NodeKind::Negate(_) => Err(Reason::Arithmetic),
            NodeKind::Loop(_) => Err(Reason::Macro),
            NodeKind::Name(name) => Err(Reason::Function(name.name.to_string())),
            NodeKind::Literal(_)
            | NodeKind::Select(_)
            | NodeKind::Index { .. }
            | NodeKind::List(_)
            | NodeKind::Map(_) => Err(Reason::Structure),
        }
    }

    fn either(&mut self, one: &Node, other: &Node) -> Understood<Vec<Source>> {
        let mut sources = self.sources(one)?;
        sources.extend(self.sources(other)?);
        if sources.len() > SOURCES_MAX {
            return Err(Reason::ManyCombinations(SOURCES_MAX));
        }
        Ok(sources)
    }

    fn binary(&mut self, operator: Binary, left: &Node, right: &Node) -> Understood<Vec<Source>> {
        match operator {
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => return Err(Reason::Arithmetic),
            Binary::In => self.contains(left, right)?,
            Binary::Equal | Binary::NotEqual => {
                let (left, right) = (self.sources(left)?, self.sources(right)?);
                self.compare(&left, &right, false)?;
            }
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                let (left, right) = (self.sources(left)?, self.sources(right)?);
                self.compare(&left, &right, true)?;
            }
        }
        Ok(vec![Source::Bool])
    }

    /// `item in [a, b]` is `item == a || item == b` to what the regions must tell apart.
    fn contains(&mut self, item: &Node, container: &Node) -> Understood<()> {
        let item = self.sources(item)?;
        match &container.kind {
            NodeKind::List(members) => members.iter().try_for_each(|it| {
                let member = self.sources(it)?;
                self.compare(&item, &member, false)
            }),
            _ if is_constant(container) => match constant(container)? {
                Constant::Other(Json::Array(members)) => self.one_of(&item, members),
                Constant::Other(Json::Object(fields)) => {
                    self.one_of(&item, fields.into_iter().map(|(key, _)| Json::from(key)))
                }
                // Maps with other keys than texts are rare enough.
                Constant::Never => Err(Reason::Structure),
                Constant::Number(_) | Constant::Other(_) => Ok(()),
            },
            _ => Err(Reason::Structure),
        }
    }

    fn one_of(
        &mut self,
        item: &[Source],
        members: impl IntoIterator<Item = Json>,
    ) -> Understood<()> {
        members.into_iter().try_for_each(|member| {
            self.compare(item, &[Source::Constant(Constant::of_json(member))], false)
        })
    }

    fn compare(&mut self, left: &[Source], right: &[Source], by_order: bool) -> Understood<()> {
        for left in left {
            for right in right {
                match (left, right) {
                    (Source::Path(path), Source::Constant(constant))
                    | (Source::Constant(constant), Source::Path(path)) => {
                        self.constant(*path, constant, by_order);
                    }
                    (Source::Length(path), Source::Constant(constant))
                    | (Source::Constant(constant), Source::Length(path)) => {
                        self.length(*path, constant)?;
                    }
                    (Source::Path(left), Source::Path(right)) if left != right => {
                        self.pairs.insert((*left, *right));
                        if by_order {
                            self.ordered.extend([*left, *right]);
                        }
                    }
                    (Source::Path(path), Source::Bool) | (Source::Bool, Source::Path(path)) => {
                        self.mentions.push((*path, Kinds::BOOL));
                    }
                    (Source::Path(_) | Source::Length(_), Source::Length(_))
                    | (Source::Length(_), Source::Path(_)) => return Err(Reason::Size),
                    (Source::Path(_), Source::Path(_))
                    | (Source::Constant(_) | Source::Bool, Source::Constant(_) | Source::Bool)
                    | (Source::Length(_), Source::Bool)
                    | (Source::Bool, Source::Length(_)) => {}
                }
            }
        }
        Ok(())
    }

    fn constant(&mut self, path: usize, constant: &Constant, by_order: bool) {
        if by_order && matches!(constant, Constant::Other(Json::String(_))) {
            self.ordered.insert(path);
        }
        self.constants.push((path, constant.clone()));
    }

    fn length(&mut self, path: usize, constant: &Constant) -> Understood<()> {
        if let Constant::Number(number) = constant {
            let length = number.as_double();
            if length > LENGTH_MAX as f64 {
                return Err(Reason::Size);
            }
            self.lengths.push((path, length));
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Understood<Vec<Source>> {
        match (&*call.name, &call.arguments[..]) {
            ("size", [value]) if call.function.is_some() => self.size(value),
            ("startsWith", [text, prefix]) if call.function.is_some() && is_constant(prefix) => {
                let prefix = constant(prefix)?;
                for source in self.sources(text)? {
                    match (source, &prefix) {
                        (Source::Path(path), Constant::Other(Json::String(prefix))) => {
                            self.prefix(path, prefix);
                        }
                        // Fails, or does not depend on data.
                        (Source::Path(_) | Source::Bool | Source::Constant(_), _) => {}
                        (Source::Length(_), _) => return Err(Reason::Size),
                    }
                }
                Ok(vec![Source::Bool])
            }
            _ => Err(Reason::Function(call.name.to_string())),
        }
    }

    fn size(&mut self, value: &Node) -> Understood<Vec<Source>> {
        let sources = self.sources(value)?.into_iter().map(|source| match source {
            Source::Path(path) => {
                self.mentions.push((path, Kinds::STRING.or(Kinds::LIST).or(Kinds::MAP)));
                self.lengths.push((path, 0.0));
                Ok(Source::Length(path))
            }
            Source::Constant(Constant::Other(value)) => {
                Ok(Source::Constant(Constant::Number(Num::Int(length_of(&value)))))
            }
            // Fails, whatever the data.
            Source::Constant(_) | Source::Bool => Ok(Source::Constant(Constant::Never)),
            Source::Length(_) => Err(Reason::Size),
        });
        sources.collect()
    }

    /// The texts with a prefix are those from the prefix on and before the next text that does not
    /// have it.
    fn prefix(&mut self, path: usize, prefix: &str) {
        let ends = [Some(prefix.to_owned()), after_prefix(prefix)];
        for text in ends.into_iter().flatten() {
            self.constant(path, &Constant::Other(Json::from(text)), true);
        }
        self.ordered.insert(path);
        self.mentions.push((path, Kinds::STRING));
    }

    fn path(&mut self, path: Path) -> Understood<usize> {
        if let Some(known) = self.paths.iter().position(|it| *it == path) {
            return Ok(known);
        }
        if self.paths.len() == PATHS_MAX {
            return Err(Reason::ManyPaths(PATHS_MAX));
        }
        self.paths.push(path);
        Ok(self.paths.len() - 1)
    }
}

/// Returns the least text that is greater than all texts with this prefix.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        // The numbers of surrogates are not characters.
        let next =
            if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

/// Returns the path that a node is. The name of a type is not a path.
fn plain_path(node: &Node) -> Option<Path> {
    let (root, segments) = path_of(node)?;
    let is_type = segments.is_empty() && TypeName::find(root).is_some();
    (!is_type).then(|| Path::new(root, &segments))
}

/// Tells whether a node evaluates without data. Macros count as if they needed some.
fn is_constant(node: &Node) -> bool {
    if matches!(node.kind, NodeKind::Name(_) | NodeKind::Loop(_)) {
        return false;
    }
    let mut all = true;
    node.for_each_child(&mut |it| all = all && is_constant(it));
    all
}

fn constant(node: &Node) -> Understood<Constant> {
    static NOTHING: LazyLock<JsonMap<String, Json>> = LazyLock::new(JsonMap::new);
    let meter = Meter::new(&Budget { steps: CONSTANT_STEPS_MAX, ..Budget::default() });
    match Expr::evaluate_node(node, &*NOTHING, &meter) {
        Ok(value) => Ok(Constant::of(&value)),
        // It fails here as it fails in the guard; there is nothing to tell apart.
        Err(error) if !error.is_final() => Ok(Constant::Never),
        Err(_) => Err(Reason::ManyNodes(CONSTANT_STEPS_MAX as usize)),
    }
}

impl Constant {
    fn of(value: &Value<'_>) -> Constant {
        match value {
            Value::Int(value) => Constant::Number(Num::Int((*value).into())),
            Value::Uint(value) => Constant::Number(Num::Int((*value).into())),
            Value::Double(value) => {
                Num::of_double(*value).map_or(Constant::Never, Constant::Number)
            }
            _ => json(value).map_or(Constant::Never, Constant::Other),
        }
    }

    pub fn of_json(json: Json) -> Constant {
        match json.as_number() {
            Some(number) => Num::of_json(number).map_or(Constant::Never, Constant::Number),
            None => Constant::Other(json),
        }
    }
}

/// Returns the JSON that is equal to a value, if there is any.
fn json(value: &Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(_) | Value::Uint(_) | Value::Double(_) => match Constant::of(value) {
            Constant::Number(number) => number.to_json(),
            Constant::Other(_) | Constant::Never => return None,
        },
        Value::String(text) => Json::from(&**text),
        Value::List(list) => Json::Array(list.iter().map(|it| json(&it)).collect::<Option<_>>()?),
        Value::Map(map) => {
            let field = |(key, value): (Key<'_>, Value<'_>)| match key {
                Key::String(name) => Some((name.to_string(), json(&value)?)),
                Key::Bool(_) | Key::Int(_) | Key::Uint(_) => None,
            };
            Json::Object(map.entries().map(field).collect::<Option<_>>()?)
        }
        Value::Bytes(_)
        | Value::Object(_)
        | Value::Timestamp(_)
        | Value::Duration(_)
        | Value::Type(_) => return None,
    })
}

fn length_of(value: &Json) -> i128 {
    match value {
        Json::String(text) => text.chars().count() as i128,
        Json::Array(items) => items.len() as i128,
        Json::Object(fields) => fields.len() as i128,
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}
