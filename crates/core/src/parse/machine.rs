//! States and transitions.

use super::fields::{Field, Fields};
use super::id::Alphabet;
use super::task::blank;
use super::{Parser, keys};
use crate::definition::{Machine, Spanned, State, Transition};
use crate::source::{Content, Key, Node, Problem};
use crate::time::Duration;

impl Parser {
    /// Reads a machine; the variables of the root machine are the definition's.
    pub fn machine(
        &mut self,
        fields: &Fields<'_>,
        states: Field<'_>,
        is_root: bool,
    ) -> Option<Machine> {
        let Content::Map(entries) = &states.node.content else {
            self.wrong_type(states, "a mapping from state names to states");
            return None;
        };
        if entries.is_empty() {
            self.empty(states, "states");
        }
        self.look_alike(entries);
        let initial = fields.get("initial");
        if let (None, Some(key)) = (initial, fields.key("states")) {
            let first = entries.first().map_or("NAME", |(key, _)| &key.name);
            let help = format!("say where the machine starts, such as `initial: {first}`");
            self.missing(key.span, "these states have no `initial` beside them".to_owned(), &help);
        }
        let vars = fields.get("vars").filter(|_| !is_root);
        let expected = "a mapping of names to initial values";
        Some(Machine {
            vars: vars.map(|it| self.named_templates(it, expected)).unwrap_or_default(),
            initial: initial.and_then(|it| self.name(it)),
            states: entries.iter().map(|(key, node)| self.state(key, node)).collect(),
            span: states.node.span,
        })
    }

    fn state(&mut self, key: &Key, node: &Node) -> State {
        self.count_task(key);
        self.check_id(&key.name, "state name", Alphabet::Word, key.span);
        let field = Field { name: &key.name, node };
        let expected = "a mapping, such as `{next: done}` or `{final: true}`";
        let Some(fields) = self.fields(field, keys::STATE, expected) else {
            return State {
                task: blank(key),
                on: Vec::new(),
                after: Vec::new(),
                next: Vec::new(),
                // What it says is lost, so no more is to be said about where it leads.
                is_final: true,
                output: None,
            };
        };
        let is_final =
            fields.get("final").and_then(|it| self.boolean(it)).is_some_and(|it| it.value);
        self.check_end(&fields, is_final);
        State {
            task: self.work_of(key, &fields),
            on: fields.get("on").map(|it| self.on(it)).unwrap_or_default(),
            after: fields.get("after").map(|it| self.after(it)).unwrap_or_default(),
            next: fields.get("next").map(|it| self.transitions(it)).unwrap_or_default(),
            is_final,
            output: fields.get("output").and_then(|it| self.template(it)),
        }
    }

    /// A final state has no way out; only a final state has an output.
    fn check_end(&mut self, fields: &Fields<'_>, is_final: bool) {
        let exit = fields.first_of(&["on", "after", "next"]);
        if let (true, Some(exit), Some(end)) = (is_final, exit, fields.key("final")) {
            self.exclusive(end, exit, "a final state ends the machine: nothing leads out of it");
        }
        if let (false, Some(output)) = (is_final, fields.key("output")) {
            self.report(
                Problem::error(
                    "SF1023",
                    output.span,
                    "`output` stands in a state that is not final",
                )
                .help("add `final: true`, or move the value to `set` on a transition"),
            );
        }
    }

    fn on(&mut self, field: Field<'_>) -> Vec<(Spanned<String>, Vec<Transition>)> {
        let mut by_event = Vec::new();
        for (key, node) in self.entries(field, "a mapping from events to transitions") {
            self.check_id(&key.name, "name of an event", Alphabet::Dotted, key.span);
            let transitions = self.transitions(Field { name: &key.name, node });
            by_event.push((Spanned::new(key.name.clone(), key.span), transitions));
        }
        by_event
    }

    fn after(&mut self, field: Field<'_>) -> Vec<(Spanned<Duration>, Vec<Transition>)> {
        let mut by_time = Vec::new();
        for (key, node) in self.entries(field, "a mapping from durations to transitions") {
            let time = self.duration_text(&key.name, field.name, key.span, Duration(1));
            let transitions = self.transitions(Field { name: &key.name, node });
            by_time.extend(time.map(|it| (it, transitions)));
        }
        by_time
    }

    /// Reads the name of a state, a transition, or a list of either.
    fn transitions(&mut self, field: Field<'_>) -> Vec<Transition> {
        if matches!(&field.node.content, Content::List(items) if items.is_empty()) {
            self.empty(field, "transitions");
        }
        let items = self.list_or_one(field);
        items.into_iter().filter_map(|it| self.transition(it)).collect()
    }

    fn transition(&mut self, field: Field<'_>) -> Option<Transition> {
        let span = field.node.span;
        if matches!(field.node.content, Content::String(_)) {
            let to = self.name(field)?;
            return Some(Transition { condition: None, to, set: Vec::new(), span });
        }
        let expected = "the name of a state, or a mapping with `to`";
        let fields = self.fields(field, keys::TRANSITION, expected)?;
        let condition = fields.get("if").and_then(|it| self.condition(it));
        let expected = "a mapping of variables to values";
        let set = fields.get("set").map(|it| self.named_templates(it, expected));
        let Some(to) = fields.get("to") else {
            self.missing(
                span,
                "this transition has no `to`".to_owned(),
                "add `to:` with the name of a state",
            );
            return None;
        };
        Some(Transition { condition, to: self.name(to)?, set: set.unwrap_or_default(), span })
    }
}
