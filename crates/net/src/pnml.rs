//! Reads and writes place/transition nets in PNML (ISO/IEC 15909-2). Pages are read through, graphics
//! and notes of tools are passed over; what would change the meaning is refused.

use std::collections::HashMap;
use std::fmt::Write as _;

use roxmltree::Node;

use crate::net::{BuildError, Label, Net, NetBuilder, PlaceId};
use crate::problem::{Problem, code};
use crate::xml::Xml;

/// A net of a file.
#[derive(Clone, Debug)]
pub struct NamedNet {
    pub id: String,
    pub name: String,
    pub line: u32,
    pub net: Net,
}

/// Whether a file looks like PNML, by its root element.
pub fn is_pnml(xml: &Xml<'_>) -> bool {
    xml.document.root_element().tag_name().name() == "pnml"
}

/// Reads all nets of a file, or says all that is wrong with it.
pub fn read(xml: &Xml<'_>) -> Result<Vec<NamedNet>, Vec<Problem>> {
    let root = xml.document.root_element();
    if !is_pnml(xml) {
        let message = format!("the root element is <{}>, not <pnml>", root.tag_name().name());
        return Err(vec![xml.problem(code::WRONG_FORMAT, root, message, "export the net as PNML")]);
    }
    let (mut nets, mut problems) = (Vec::new(), Vec::new());
    for node in root.children().filter(|it| is(it, "net")) {
        let mut reader = Reader::new(xml);
        let label = reader.label(node);
        reader.read(node);
        problems.append(&mut reader.problems);
        if let (Some(label), Some(net)) = (label, reader.finish(node, &mut problems)) {
            nets.push(NamedNet { id: label.id, name: label.name, line: label.line, net });
        }
    }
    if nets.is_empty() && problems.is_empty() {
        let message = "there is no <net> in this file";
        problems.push(xml.problem(code::NOTHING_TO_CHECK, root, message, "add one to <pnml>"));
    }
    if problems.is_empty() { Ok(nets) } else { Err(problems) }
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The text of a label such as `<name><text>…</text></name>`.
fn text<'n>(node: Node<'n, '_>, name: &str) -> Option<&'n str> {
    let label = node.children().find(|it| is(it, name))?;
    let text = label.children().find(|it| is(it, "text"))?;
    text.text().map(str::trim).filter(|it| !it.is_empty())
}

struct Reader<'x, 't> {
    xml: &'x Xml<'t>,
    builder: NetBuilder,
    places: HashMap<String, PlaceId>,
    /// What a reference node stands for.
    aliases: HashMap<String, String>,
    marked: Vec<(PlaceId, u32)>,
    problems: Vec<Problem>,
}

impl<'x, 't> Reader<'x, 't> {
    fn new(xml: &'x Xml<'t>) -> Reader<'x, 't> {
        Reader {
            xml,
            builder: Net::builder(),
            places: HashMap::new(),
            aliases: HashMap::new(),
            marked: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, code: &'static str, node: Node<'_, '_>, message: String, help: &str) {
        self.problems.push(self.xml.problem(code, node, message, help));
    }

    fn label(&mut self, node: Node<'_, '_>) -> Option<Label> {
        match self.xml.required(node, "id") {
            Ok(id) => {
                let name = text(node, "name").unwrap_or(id);
                Some(Label::new(id, name, self.xml.line(node)))
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Reads nodes first: an arc may stand before what it joins.
    fn read(&mut self, net: Node<'_, '_>) {
        let kind = net.attribute("type").unwrap_or_default();
        if ["highlevel", "symmetricnet", "pt-hlpng", "hlpn"].iter().any(|it| kind.contains(it)) {
            let message =
                format!("the net has the type `{kind}`; only place/transition nets are read");
            self.problem(code::UNSUPPORTED_NET, net, message, "unfold it in the tool that made it");
        }
        let parts: Vec<Node<'_, '_>> = net
            .descendants()
            .filter(|it| it.is_element())
            .filter(|it| !it.ancestors().any(|up| is(&up, "toolspecific") || is(&up, "graphics")))
            .collect();
        for part in &parts {
            match part.tag_name().name() {
                "place" if !is(&part.parent().unwrap_or(*part), "marking") => self.place(*part),
                "transition" => self.transition(*part),
                "referencePlace" | "referenceTransition" => self.reference(*part),
                _ => {}
            }
        }
        parts.iter().filter(|it| is(it, "arc")).for_each(|it| self.arc(*it));
        parts.iter().filter(|it| is(it, "finalmarkings")).for_each(|it| self.ends(*it));
    }

    fn place(&mut self, node: Node<'_, '_>) {
        let Some(label) = self.label(node) else { return };
        let id = label.id.clone();
        let place = match self.builder.place(label) {
            Ok(place) => place,
            Err(error) => return self.refuse(node, &error),
        };
        self.places.insert(id, place);
        match text(node, "initialMarking").map(str::parse::<u32>) {
            None | Some(Ok(0)) => {}
            Some(Ok(count)) => self.marked.push((place, count)),
            Some(Err(_)) => {
                let message = "the initial marking is not a number of tokens".to_owned();
                self.problem(code::UNSUPPORTED_NET, node, message, "write a number such as 1");
            }
        }
    }

    fn transition(&mut self, node: Node<'_, '_>) {
        if let Some(label) = self.label(node)
            && let Err(error) = self.builder.transition(label)
        {
            self.refuse(node, &error);
        }
    }

    fn reference(&mut self, node: Node<'_, '_>) {
        match (self.xml.required(node, "id"), self.xml.required(node, "ref")) {
            (Ok(id), Ok(to)) => _ = self.aliases.insert(id.to_owned(), to.to_owned()),
            (Err(problem), _) | (_, Err(problem)) => self.problems.push(problem),
        }
    }

    fn arc(&mut self, node: Node<'_, '_>) {
        let (from, to) =
            match (self.xml.required(node, "source"), self.xml.required(node, "target")) {
                (Ok(from), Ok(to)) => (self.resolve(from), self.resolve(to)),
                (Err(problem), _) | (_, Err(problem)) => return self.problems.push(problem),
            };
        let weight = text(node, "inscription").unwrap_or("1");
        if weight != "1" {
            let message = format!("this arc has the weight `{weight}`; only 1 is supported");
            let help = "a case is one token: draw as many places as there are tokens";
            return self.problem(code::UNSUPPORTED_NET, node, message, help);
        }
        let typed = node.children().find(|it| is(it, "type") || is(it, "arctype"));
        let kind =
            typed.and_then(|it| it.attribute("value").or_else(|| text(node, it.tag_name().name())));
        match kind.unwrap_or("normal") {
            "normal" => {
                if let Err(error) = self.builder.arc(&from, &to) {
                    self.refuse(node, &error);
                }
            }
            "reset" => match self.reset(&from, &to) {
                Some(Ok(())) => {}
                Some(Err(error)) => self.refuse(node, &error),
                None => {
                    let message = format!(
                        "a reset arc leads from a place to a transition, not from `{from}`"
                    );
                    self.problem(code::WRONG_ARC, node, message, "swap its ends");
                }
            },
            other => {
                let message =
                    format!("this is an arc of the type `{other}`, which is not supported");
                let help =
                    "draw it with normal arcs; inhibitor and read arcs have no such net in general";
                self.problem(code::UNSUPPORTED_NET, node, message, help);
            }
        }
    }

    fn reset(&mut self, from: &str, to: &str) -> Option<Result<(), BuildError>> {
        let place = *self.places.get(from)?;
        Some(self.builder.find_transition(to).and_then(|it| self.builder.reset(it, place)))
    }

    /// Follows reference nodes, which may name each other.
    fn resolve(&self, id: &str) -> String {
        let mut found = id;
        for _ in 0..=self.aliases.len() {
            match self.aliases.get(found) {
                Some(next) => found = next,
                None => break,
            }
        }
        found.to_owned()
    }

    fn ends(&mut self, node: Node<'_, '_>) {
        for marking in node.children().filter(|it| is(it, "marking")) {
            let marked: Vec<Node<'_, '_>> =
                marking.children().filter(|it| is(it, "place")).collect();
            let names: Vec<&str> = marked
                .iter()
                .filter(|it| it.children().any(|it| is(&it, "text") && it.text() != Some("0")))
                .filter_map(|it| it.attribute("idref"))
                .collect();
            match *names {
                [] => {}
                [only] => match self.places.get(&self.resolve(only)) {
                    Some(place) => self.builder.end(*place),
                    None => self.refuse(marking, &BuildError::UnknownId(only.to_owned())),
                },
                _ => {
                    let message = "a final marking has several tokens; one is supported".to_owned();
                    self.problem(
                        code::UNSUPPORTED_NET,
                        marking,
                        message,
                        "join them before the end",
                    );
                }
            }
        }
    }

    fn refuse(&mut self, node: Node<'_, '_>, error: &BuildError) {
        let (code, help) = match error {
            BuildError::DuplicateId(_) => (code::DUPLICATE_ID, "give each node an id of its own"),
            BuildError::UnknownId(_) => {
                (code::DANGLING_REFERENCE, "name a place or a transition of this net")
            }
            BuildError::PlaceToPlace { .. } | BuildError::TransitionToTransition { .. } => {
                (code::WRONG_ARC, "put a node of the other sort between them")
            }
            BuildError::DuplicateArc { .. } => (code::UNSUPPORTED_NET, "take one of them out"),
            BuildError::TooLarge => (code::TOO_LARGE, "split the net"),
        };
        self.problem(code, node, error.to_string(), help);
    }

    fn finish(mut self, node: Node<'_, '_>, problems: &mut Vec<Problem>) -> Option<Net> {
        match &*self.marked {
            [] => {}
            [(place, 1)] => self.builder.start(*place),
            marked => {
                let count: u64 = marked.iter().map(|it| u64::from(it.1)).sum();
                let message = format!("the net starts with {count} tokens; a case starts with one");
                let help = "start with one token, and a transition that makes more of it";
                problems.push(self.xml.problem(code::UNSUPPORTED_NET, node, message, help));
            }
        }
        let built = std::mem::take(&mut self.builder).finish();
        built.map_err(|error| self.refuse(node, &error)).ok().or_else(|| {
            problems.append(&mut self.problems);
            None
        })
    }
}

/// Writes a net as PNML, with its start and its end.
pub fn write(net: &Net, id: &str, start: PlaceId, end: PlaceId) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <pnml xmlns=\"http://www.pnml.org/version-2009/grammar/pnml\">\n",
    );
    let kind = "http://www.pnml.org/version-2009/grammar/ptnet";
    let id = escaped(id);
    _ = writeln!(out, "  <net id=\"{id}\" type=\"{kind}\"><page id=\"page\">");
    let name = |label: &Label| format!("<name><text>{}</text></name>", escaped(&label.name));
    for place in net.places() {
        let label = net.place(place);
        let marking = match place == start {
            true => "<initialMarking><text>1</text></initialMarking>",
            false => "",
        };
        _ = writeln!(
            out,
            "    <place id=\"{}\">{}{marking}</place>",
            escaped(&label.id),
            name(label)
        );
    }
    for transition in net.transitions() {
        let label = net.transition(transition);
        _ = writeln!(
            out,
            "    <transition id=\"{}\">{}</transition>",
            escaped(&label.id),
            name(label)
        );
    }
    let mut number = 0;
    let mut arc = |from: &Label, to: &Label| {
        number += 1;
        let (from, to) = (escaped(&from.id), escaped(&to.id));
        _ = writeln!(out, "    <arc id=\"arc{number}\" source=\"{from}\" target=\"{to}\"/>");
    };
    for transition in net.transitions() {
        let (label, arcs) = (net.transition(transition), net.arcs(transition));
        arcs.inputs.iter().for_each(|it| arc(net.place(*it), label));
        arcs.outputs.iter().for_each(|it| arc(label, net.place(*it)));
    }
    let end = escaped(&net.place(end).id);
    _ = writeln!(
        out,
        "  </page><finalmarkings><marking><place idref=\"{end}\"><text>1</text></place></marking>\
         </finalmarkings></net>\n</pnml>"
    );
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
