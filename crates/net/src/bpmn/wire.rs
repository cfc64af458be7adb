//! Connects the nodes of a scope: flows, defaults, boundary events and links, and everything that can
//! be wrong with a reference.

use std::collections::HashMap;

use roxmltree::Node as Element;

use super::read::{Reader, condition};
use super::{Flow, Kind, Node, Scope, Trigger};
use crate::problem::code;

/// A scope of which the nodes are known, and the flows not yet.
pub(super) struct Wiring<'n, 't> {
    scope: Scope,
    elements: Vec<Element<'n, 't>>,
    pub flows: Vec<Element<'n, 't>>,
    by_id: HashMap<String, usize>,
}

impl<'n, 't> Wiring<'n, 't> {
    pub fn new(scope: Scope) -> Wiring<'n, 't> {
        Wiring { scope, elements: Vec::new(), flows: Vec::new(), by_id: HashMap::new() }
    }

    pub fn add(&mut self, element: Element<'n, 't>, node: Node) {
        self.by_id.insert(node.id.clone(), self.scope.nodes.len());
        self.scope.nodes.push(node);
        self.elements.push(element);
    }

    pub fn connect(mut self, reader: &mut Reader<'_, 't>) -> Scope {
        let mut flow_ids = HashMap::new();
        for element in std::mem::take(&mut self.flows) {
            if let Some(flow) = self.flow(element, reader) {
                flow_ids.insert(flow.id.clone(), self.scope.flows.len());
                self.push(flow);
            }
        }
        for at in 0..self.scope.nodes.len() {
            self.default(at, &flow_ids, reader);
            self.boundary(at, reader);
        }
        self.links(reader);
        self.scope
    }

    fn push(&mut self, flow: Flow) {
        let at = self.scope.flows.len();
        self.scope.nodes[flow.from].outgoing.push(at);
        self.scope.nodes[flow.to].incoming.push(at);
        self.scope.flows.push(flow);
    }

    fn flow(&self, element: Element<'_, '_>, reader: &mut Reader<'_, '_>) -> Option<Flow> {
        let id = reader.id(element)?;
        let from = self.end(element, "sourceRef", reader);
        let to = self.end(element, "targetRef", reader);
        let (from, to) = (from?, to?);
        let (source, target) = (&self.scope.nodes[from], &self.scope.nodes[to]);
        let wrong = if matches!(source.kind, Kind::End(_)) {
            Some(format!("a flow leaves the end event `{}`", source.name))
        } else if matches!(target.kind, Kind::Start(_) | Kind::Boundary { .. }) {
            Some(format!("a flow leads to `{}`, which starts by itself", target.name))
        } else if !source.is_in_flow() || !target.is_in_flow() {
            let node = if source.is_in_flow() { target } else { source };
            Some(format!("`{}` is not a part of the flow, and a flow is at it", node.name))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            reader.problem(code::WRONG_ARC, element, wrong, "lead the flow elsewhere");
            return None;
        }
        Some(Flow {
            id,
            name: element.attribute("name").unwrap_or_default().trim().to_owned(),
            line: reader.xml.line(element),
            from,
            to,
            condition: condition(element),
        })
    }

    fn end(
        &self,
        element: Element<'_, '_>,
        attribute: &str,
        reader: &mut Reader<'_, '_>,
    ) -> Option<usize> {
        let id = match reader.xml.required(element, attribute) {
            Ok(id) => id,
            Err(problem) => {
                reader.problems.push(problem);
                return None;
            }
        };
        let found = self.by_id.get(id).copied();
        if found.is_none() {
            let what = format!("`{attribute}` is `{id}`, which is nothing in the same process");
            let help = "name an element of the same process or sub-process";
            reader.problem(code::DANGLING_REFERENCE, element, what, help);
        }
        found
    }

    fn default(&mut self, at: usize, flows: &HashMap<String, usize>, reader: &mut Reader<'_, '_>) {
        let Some(id) = self.elements[at].attribute("default") else { return };
        let found = flows.get(id).copied().filter(|it| self.scope.flows[*it].from == at);
        if found.is_none() {
            let what = format!("`default` is `{id}`, which is no flow from here");
            let help = "name a flow that leaves this element";
            reader.problem(code::DANGLING_REFERENCE, self.elements[at], what, help);
        }
        self.scope.nodes[at].default = found;
    }

    fn boundary(&mut self, at: usize, reader: &mut Reader<'_, '_>) {
        if !matches!(self.scope.nodes[at].kind, Kind::Boundary { .. }) {
            return;
        }
        if let Some(host) = self.end(self.elements[at], "attachedToRef", reader) {
            self.scope.nodes[host].boundaries.push(at);
        }
    }

    /// A link is a flow that was not drawn.
    fn links(&mut self, reader: &mut Reader<'_, '_>) {
        let link = |node: &Node, catches: bool| match &node.kind {
            Kind::Catch(Trigger::Link(name)) if catches => Some(name.clone()),
            Kind::Throw(Trigger::Link(name)) if !catches => Some(name.clone()),
            _ => None,
        };
        for from in 0..self.scope.nodes.len() {
            let Some(name) = link(&self.scope.nodes[from], false) else { continue };
            let is_target = |it: &usize| link(&self.scope.nodes[*it], true).as_ref() == Some(&name);
            match (0..self.scope.nodes.len()).find(is_target) {
                Some(to) => {
                    let node = &self.scope.nodes[from];
                    let (id, line) = (format!("{}.link", node.id), node.line);
                    let flow = Flow { id, name, line, from, to, condition: None };
                    self.push(flow);
                }
                None => {
                    let what = format!("no event catches the link `{name}`");
                    let help = "draw an intermediate catch event with a link of this name";
                    reader.problem(code::DANGLING_REFERENCE, self.elements[from], what, help);
                }
            }
        }
    }
}
