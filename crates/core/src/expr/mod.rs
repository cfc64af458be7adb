//! Expressions (placeholder until the branch lands).
use serde_json::Value;
#[derive(Clone, Debug)]
pub struct Expr {
    pub source: String,
}
#[derive(Clone, Debug)]
pub struct Template {
    pub value: std::sync::Arc<Value>,
}
