//! A file of either kind, as the nets that there are to check.

use crate::bpmn::{self, Model};
use crate::net::Net;
use crate::pnml;
use crate::problem::{Problem, code};
use crate::xml::Xml;

/// What was read.
#[derive(Clone, Debug)]
pub struct File {
    /// Nets of a PNML file; processes and sub-processes of a BPMN file, outer ones first.
    pub parts: Vec<Part>,
    /// What was passed over, and matters.
    pub warnings: Vec<Problem>,
    /// Of a BPMN file.
    pub model: Option<Model>,
}

/// Something that is checked by itself.
#[derive(Clone, Debug)]
pub struct Part {
    pub id: String,
    pub name: String,
    pub line: u32,
    /// The problem says what in it cannot be decided.
    pub net: Result<Net, Problem>,
}

/// Reads PNML or BPMN 2.0; the root element says which.
pub fn read(bytes: &[u8]) -> Result<File, Vec<Problem>> {
    let xml = Xml::parse(bytes).map_err(|problem| vec![problem])?;
    if pnml::is_pnml(&xml) {
        let part =
            |it: pnml::NamedNet| Part { id: it.id, name: it.name, line: it.line, net: Ok(it.net) };
        let parts = pnml::read(&xml)?.into_iter().map(part).collect();
        return Ok(File { parts, warnings: Vec::new(), model: None });
    }
    if !bpmn::is_bpmn(&xml) {
        let root = xml.document.root_element();
        let message =
            format!("the root element is <{}>; PNML and BPMN 2.0 are read", root.tag_name().name());
        let help = "BPMN 2.0 starts with <definitions> of its namespace, PNML with <pnml>";
        return Err(vec![xml.problem(code::WRONG_FORMAT, root, message, help)]);
    }
    let mut model = bpmn::read(&xml)?;
    let warnings = std::mem::take(&mut model.warnings);
    Ok(File { parts: bpmn::parts(&model), warnings, model: Some(model) })
}
