//! The tree of a source text. It keeps places, order and duplicates, which a JSON value loses.

use serde_json::{Map, Number, Value};

/// Bytes of the source, end excluded. `0..0` where there is no source (built in code).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub content: Content,
    pub span: Span,
    /// Where the first byte of a string's value stands in the source, if the value is an unbroken
    /// copy of it (no escapes, no folding): an offset in the value is then an offset in the source.
    pub text_start: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Node>),
    /// In the order of the source.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub span: Span,
}

impl Node {
    /// Returns the node without its places. Keys come out sorted; of duplicates the last stays.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(it) => Value::Bool(*it),
            Content::Number(it) => Value::Number(it.clone()),
            Content::String(it) => Value::String(it.clone()),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                let pairs = entries.iter().map(|(key, it)| (key.name.clone(), it.to_value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Makes a tree of a value that has no source, such as one built in code.
    pub fn from_value(value: &Value) -> Node {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(it) => Content::Bool(*it),
            Value::Number(it) => Content::Number(it.clone()),
            Value::String(it) => Content::String(it.clone()),
            Value::Array(items) => Content::List(items.iter().map(Node::from_value).collect()),
            Value::Object(entries) => {
                let entry = |(name, it): (&String, &Value)| {
                    (Key { name: name.clone(), span: Span::default() }, Node::from_value(it))
                };
                Content::Map(entries.iter().map(entry).collect())
            }
        };
        Node { content, span: Span::default(), text_start: None }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(entries) => {
                entries.iter().find(|(key, _)| key.name == name).map(|(_, it)| it)
            }
            _ => None,
        }
    }

    /// Follows a JSON pointer (RFC 6901).
    pub fn pointer(&self, pointer: &str) -> Option<&Node> {
        let mut node = self;
        for raw in pointer.split('/').skip(1) {
            let name = raw.replace("~1", "/").replace("~0", "~");
            node = match &node.content {
                Content::List(items) => items.get(name.parse::<usize>().ok()?)?,
                _ => node.get(&name)?,
            };
        }
        Some(node)
    }
}
