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

#[derive(Clone, Debug)]
pub struct ParseError {
    pub span: std::ops::Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}
#[derive(Clone, Debug)]
pub struct TemplateError {
    pub pointer: String,
    pub span: std::ops::Range<usize>,
    pub error: ParseError,
}
impl Expr {
    pub fn parse(source: &str) -> Result<Expr, ParseError> {
        Ok(Expr { source: source.to_owned() })
    }
}
impl Template {
    pub fn parse(value: &Value) -> Result<Template, Vec<TemplateError>> {
        Ok(Template { value: std::sync::Arc::new(value.clone()) })
    }
}
