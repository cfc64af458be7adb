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
impl Expr {
    pub fn parse(source: &str) -> Result<Expr, ()> {
        Ok(Expr { source: source.to_owned() })
    }
}
impl Template {
    pub fn literal(value: Value) -> Template {
        Template { value: std::sync::Arc::new(value) }
    }
}
