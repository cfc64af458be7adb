//! Reads the elements of a BPMN 2.0 file, whatever prefix its namespace has. What has no bearing on
//! the order of things (layout, data, documentation) is passed over; an element that might have one
//! and is not known is an error.

use std::collections::HashMap;

use roxmltree::Node as Element;

use super::wire::Wiring;
use super::{Ending, Gateway, Kind, Model, Node, Repeats, Scope, Trigger};
use crate::problem::{Problem, code};
use crate::xml::Xml;

const NAMESPACE: &str = "http://www.omg.org/spec/BPMN/20100524/MODEL";

/// Elements of a process that do not decide what happens when.
const PASSED_OVER: &[&str] = &[
    "artifact",
    "association",
    "auditing",
    "category",
    "completionCondition",
    "correlationSubscription",
    "dataInputAssociation",
    "dataObject",
    "dataObjectReference",
    "dataOutputAssociation",
    "dataStoreReference",
    "documentation",
    "extensionElements",
    "group",
    "humanPerformer",
    "incoming",
    "ioBinding",
    "ioSpecification",
    "laneSet",
    "monitoring",
    "multiInstanceLoopCharacteristics",
    "outgoing",
    "performer",
    "potentialOwner",
    "property",
    "resourceRole",
    "standardLoopCharacteristics",
    "supportedInterfaceRef",
    "supports",
    "textAnnotation",
];

/// Whether a file looks like BPMN, by its root element.
pub fn is_bpmn(xml: &Xml<'_>) -> bool {
    let root = xml.document.root_element();
    root.tag_name().name() == "definitions" && root.tag_name().namespace() == Some(NAMESPACE)
}

/// Reads a file, or says all that is wrong with it.
pub fn read(xml: &Xml<'_>) -> Result<Model, Vec<Problem>> {
    let root = xml.document.root_element();
    if !is_bpmn(xml) {
        let message = format!("the root element is not <definitions> of BPMN 2.0 ({NAMESPACE})");
        return Err(vec![xml.problem(
            code::WRONG_FORMAT,
            root,
            message,
            "export it as BPMN 2.0 XML",
        )]);
    }
    let mut reader = Reader { xml, names: HashMap::new(), ids: HashMap::new(), problems: vec![] };
    reader.names(root);
    let mut model = Model::default();
    for element in elements(root) {
        match element.tag_name().name() {
            "process" => {
                let scope = reader.scope(element);
                // A pool that nobody drew the inside of.
                if !scope.nodes.is_empty() {
                    model.processes.push(scope);
                }
            }
            "choreography" | "globalChoreographyTask" => model.warnings.push(xml.problem(
                code::UNDECIDED_ELEMENT,
                element,
                "a choreography says nothing of the order inside of a process, and is passed over",
                "check the processes of its participants",
            )),
            "collaboration" => reader.messages(element, &mut model.warnings),
            _ => {}
        }
    }
    if model.processes.is_empty() && reader.problems.is_empty() {
        let message = "no process in this file has anything in it";
        let help = "export the process itself, not its diagram alone";
        reader.problems.push(xml.problem(code::NOTHING_TO_CHECK, root, message, help));
    }
    if reader.problems.is_empty() { Ok(model) } else { Err(reader.problems) }
}

/// The children that BPMN means.
fn elements<'n, 't>(node: Element<'n, 't>) -> impl Iterator<Item = Element<'n, 't>> {
    node.children().filter(|it| it.tag_name().namespace() == Some(NAMESPACE) && it.is_element())
}

fn child<'n, 't>(node: Element<'n, 't>, name: &str) -> Option<Element<'n, 't>> {
    elements(node).find(|it| it.tag_name().name() == name)
}

fn is_true(node: Element<'_, '_>, attribute: &str) -> bool {
    node.attribute(attribute).is_some_and(|it| it.trim() == "true")
}

pub(super) struct Reader<'x, 't> {
    pub xml: &'x Xml<'t>,
    /// Messages and signals by id.
    names: HashMap<String, String>,
    /// Where each id of the file was first used.
    ids: HashMap<String, u32>,
    pub problems: Vec<Problem>,
}

impl<'t> Reader<'_, 't> {
    fn names(&mut self, root: Element<'_, '_>) {
        let named = ["message", "signal", "error", "escalation"];
        for element in elements(root).filter(|it| named.contains(&it.tag_name().name())) {
            if let (Some(id), Some(name)) = (element.attribute("id"), element.attribute("name")) {
                self.names.insert(id.to_owned(), name.to_owned());
            }
        }
    }

    fn messages(&mut self, collaboration: Element<'_, '_>, warnings: &mut Vec<Problem>) {
        if let Some(flow) = child(collaboration, "messageFlow") {
            warnings.push(self.xml.problem(
                code::UNDECIDED_ELEMENT,
                flow,
                "each process is checked by itself: every message that it waits for is taken to come",
                "see to it that the other side sends each message on every way",
            ));
        }
    }

    /// Reads the inside of a process or sub-process.
    fn scope(&mut self, element: Element<'_, 't>) -> Scope {
        let id = element.attribute("id").unwrap_or("process").to_owned();
        let name = element.attribute("name").map(str::trim).filter(|it| !it.is_empty());
        let name = name.unwrap_or(&id).to_owned();
        let mut wiring =
            Wiring::new(Scope { line: self.xml.line(element), id, name, ..Scope::default() });
        for part in elements(element) {
            match part.tag_name().name() {
                "sequenceFlow" => wiring.flows.push(part),
                name if PASSED_OVER.contains(&name) || name.ends_with("EventDefinition") => {}
                _ => {
                    if let Some(node) = self.node(part) {
                        wiring.add(part, node);
                    }
                }
            }
        }
        wiring.connect(self)
    }

    fn node(&mut self, element: Element<'_, 't>) -> Option<Node> {
        let kind = self.kind(element)?;
        let id = self.id(element)?;
        let name =
            element.attribute("name").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
        Some(Node {
            name: name.filter(|it| !it.is_empty()).unwrap_or_else(|| id.clone()),
            id,
            line: self.xml.line(element),
            kind,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            default: None,
            boundaries: Vec::new(),
            repeats: repeats(element),
        })
    }

    /// Returns an id that nothing else has.
    pub fn id(&mut self, element: Element<'_, '_>) -> Option<String> {
        let line = self.xml.line(element);
        match self.xml.required(element, "id") {
            Ok(id) => match self.ids.insert(id.to_owned(), line) {
                None => Some(id.to_owned()),
                Some(first) => {
                    self.problem(
                        code::DUPLICATE_ID,
                        element,
                        format!("the id `{id}` is that of the element in line {first} already"),
                        "give each element an id of its own",
                    );
                    None
                }
            },
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    pub fn problem(&mut self, code: &'static str, at: Element<'_, '_>, what: String, help: &str) {
        self.problems.push(self.xml.problem(code, at, what, help));
    }

    fn kind(&mut self, element: Element<'_, 't>) -> Option<Kind> {
        let name = element.tag_name().name();
        if is_true(element, "isForCompensation") {
            return Some(Kind::Compensation);
        }
        Some(match name {
            "startEvent" => Kind::Start(self.trigger(element)),
            "endEvent" => Kind::End(ending(element)),
            "intermediateCatchEvent" => Kind::Catch(self.trigger(element)),
            "intermediateThrowEvent" => Kind::Throw(self.trigger(element)),
            "boundaryEvent" => Kind::Boundary {
                interrupts: element
                    .attribute("cancelActivity")
                    .is_none_or(|it| it.trim() != "false"),
                trigger: self.trigger(element),
            },
            "exclusiveGateway" => Kind::Gateway(Gateway::Exclusive),
            "parallelGateway" => Kind::Gateway(Gateway::Parallel),
            "inclusiveGateway" => Kind::Gateway(Gateway::Inclusive),
            "eventBasedGateway" => Kind::Gateway(Gateway::EventBased),
            "complexGateway" => Kind::Gateway(Gateway::Complex),
            "subProcess" | "transaction" if is_true(element, "triggeredByEvent") => {
                Kind::EventSubProcess(Box::new(self.scope(element)))
            }
            "subProcess" | "transaction" => {
                let inner = self.scope(element);
                match inner.nodes.is_empty() {
                    true => Kind::Task(name.to_owned()),
                    false => Kind::SubProcess(Box::new(inner)),
                }
            }
            // Its activities run in any order, any number of times.
            "adHocSubProcess" => Kind::Task(name.to_owned()),
            "task" | "userTask" | "serviceTask" | "scriptTask" | "sendTask" | "receiveTask"
            | "manualTask" | "businessRuleTask" | "callActivity" => Kind::Task(name.to_owned()),
            _ => {
                let what = format!("<{name}> is not known here, and might change what happens");
                let help = "take it out, or check that the file is BPMN 2.0";
                self.problem(code::UNKNOWN_ELEMENT, element, what, help);
                return None;
            }
        })
    }

    fn trigger(&self, element: Element<'_, '_>) -> Trigger {
        let definitions: Vec<Element<'_, '_>> = elements(element)
            .filter(|it| it.tag_name().name().ends_with("EventDefinition"))
            .collect();
        let [definition] = *definitions else {
            let several = || Trigger::Other("multiple".to_owned());
            return if definitions.is_empty() { Trigger::None } else { several() };
        };
        let named = |attribute: &str| {
            let id = definition.attribute(attribute).unwrap_or_default();
            // A reference may have a prefix.
            let id = id.rsplit(':').next().unwrap_or(id);
            self.names.get(id).cloned().unwrap_or_else(|| id.to_owned())
        };
        match definition.tag_name().name() {
            "timerEventDefinition" => {
                let found =
                    elements(definition).find(|it| it.tag_name().name().starts_with("time"));
                let kind = found.map_or("", |it| it.tag_name().name()).to_owned();
                let text = found.and_then(|it| it.text()).unwrap_or_default().trim().to_owned();
                Trigger::Timer { kind, text }
            }
            "messageEventDefinition" => Trigger::Message(named("messageRef")),
            "signalEventDefinition" => Trigger::Signal(named("signalRef")),
            "errorEventDefinition" => Trigger::Error,
            "linkEventDefinition" => {
                Trigger::Link(definition.attribute("name").unwrap_or_default().to_owned())
            }
            "compensateEventDefinition" => Trigger::Compensation,
            other => Trigger::Other(other.trim_end_matches("EventDefinition").to_owned()),
        }
    }
}

fn ending(element: Element<'_, '_>) -> Ending {
    if child(element, "terminateEventDefinition").is_some() {
        return Ending::Terminate;
    }
    match child(element, "errorEventDefinition").or_else(|| child(element, "cancelEventDefinition"))
    {
        Some(_) => Ending::Error,
        None => Ending::Plain,
    }
}

fn repeats(element: Element<'_, '_>) -> Option<Repeats> {
    if child(element, "standardLoopCharacteristics").is_some() {
        return Some(Repeats::While);
    }
    let each = child(element, "multiInstanceLoopCharacteristics")?;
    Some(if is_true(each, "isSequential") { Repeats::Sequential } else { Repeats::Parallel })
}

/// The text of the condition of a flow.
pub(super) fn condition(flow: Element<'_, '_>) -> Option<String> {
    let text = child(flow, "conditionExpression")?.text().unwrap_or_default().trim().to_owned();
    Some(text)
}
