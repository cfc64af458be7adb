//! The search itself: a queue of configurations, and what may happen in each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value as Json};

use super::super::assigned::gives_output;
use super::super::condition::Condition;
use super::super::interface::Interface;
use super::super::model::{Cause, List, Model, Rest, Stay, Way};
use super::super::outputs::{self, Outputs};
use super::relevant::{needs, relevant};
use super::{Act, Gap, Search, Visited};
use crate::expr::{Budget, Reference};
use crate::plan::NodeId;
use crate::verify::Subject;
use crate::verify::guard::Witness;
use crate::verify::wanted::{Wanted, overlaid, smallest};

/// Configurations that are visited.
const CONFIGURATIONS_MAX: usize = 20_000;
/// Configurations that show nothing new, one after the other, before the search ends.
const QUIET_MAX: usize = 2_000;
/// Guards and assignments that are evaluated.
const EVALUATIONS_MAX: usize = 200_000;
/// Bytes of variables that are kept.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Inputs that are tried.
const INPUTS_MAX: usize = 16;

pub(super) struct Explorer<'e, 'a> {
    subject: &'e Subject<'a>,
    model: &'e Model<'a>,
    outputs: Outputs<'e, 'a>,
    hints: &'e [Option<&'e Witness>],
    inputs: Vec<Json>,
    /// The variables that something depends on.
    relevant: BTreeSet<&'a str>,
    /// The states whose outputs the parameters of others take fields of, by bit.
    sources: Vec<u32>,
    /// By state, those that its own parameters take fields of.
    needed: Vec<u64>,
    found: Search,
    seen: BTreeMap<(u32, usize, u64, String), usize>,
    queue: VecDeque<usize>,
    /// Outputs to try, by state, where they do not depend on the variables.
    tried: BTreeMap<u32, Vec<Json>>,
    evaluations: usize,
    bytes: usize,
    /// The last configuration that showed something new.
    news: usize,
}

type Names = BTreeMap<String, Json>;

/// What came of the guards of a list.
enum Choice<'m, 'a> {
    Takes(&'m Way<'a>),
    Nothing,
    /// A guard reads what the search does not know, or fails.
    Unknown,
}

impl<'e, 'a> Explorer<'e, 'a> {
    pub fn new(
        subject: &'e Subject<'a>,
        model: &'e Model<'a>,
        inside: &'e dyn Fn(NodeId) -> Option<Interface>,
        hints: &'e [Option<&'e Witness>],
    ) -> Explorer<'e, 'a> {
        let found = Search { first: vec![None; model.states.len()], ..Search::default() };
        let (sources, needed) = needs(subject, model);
        let mut explorer = Explorer {
            subject,
            model,
            outputs: Outputs { subject, model, inside },
            hints,
            inputs: Vec::new(),
            relevant: relevant(model),
            sources,
            needed,
            found,
            seen: BTreeMap::new(),
            queue: VecDeque::new(),
            tried: BTreeMap::new(),
            evaluations: 0,
            bytes: 0,
            news: 0,
        };
        explorer.inputs = explorer.inputs();
        explorer
    }

    /// Inputs that the schema accepts, with the values that the machine asks for.
    fn inputs(&self) -> Vec<Json> {
        let schema = self.subject.definition.input.as_ref().map(|it| &it.value);
        let base = schema.map_or_else(|| Json::Object(Map::new()), smallest);
        let guards = self.model.ways.iter().filter_map(|it| it.guard.as_ref()).map(|it| it.expr);
        let set = self.model.ways.iter().flat_map(|it| it.set).map(|(_, it)| it);
        let wanted = Wanted::new("input", guards, set.chain(self.model.values.iter().copied()));
        let hints = self.hints.iter().flatten().filter_map(|it| it.to_json("input"));
        let hinted = hints.take(INPUTS_MAX / 2).map(|it| overlaid(&base, &it));
        let samples = hinted.collect::<Vec<_>>().into_iter().chain(wanted.samples(&base));
        let is_valid = |it: &Json| self.subject.plan.check_input(it).is_ok();
        samples.filter(is_valid).take(INPUTS_MAX).collect()
    }

    fn start(&mut self) {
        for input in 0..self.inputs.len() {
            let names = Names::from([("input".to_owned(), self.inputs[input].clone())]);
            let mut vars = Map::new();
            let values = self.model.variables.names.iter().zip(&self.model.values);
            for (name, template) in values.filter(|it| self.relevant.contains(it.0)) {
                let Ok(value) = template.eval(&names, &Budget::default()) else { return };
                vars.insert((*name).to_owned(), value);
            }
            self.visit(self.model.initial, (input, 0), vars, None);
        }
    }

    fn visit(
        &mut self,
        state: u32,
        (input, given): (usize, u64),
        vars: Map<String, Json>,
        came: Option<(usize, Act)>,
    ) -> Option<usize> {
        let text = serde_json::to_string(&vars).unwrap_or_default();
        let key = (state, input, given, text);
        if let Some(known) = self.seen.get(&key) {
            return Some(*known);
        }
        self.bytes += 2 * key.3.len();
        let at = self.found.visited.len();
        if at >= CONFIGURATIONS_MAX || self.bytes > BYTES_MAX {
            return None;
        }
        self.seen.insert(key, at);
        self.found.visited.push(Visited { state, input, vars, given, came, at_once: None });
        if self.found.first[state as usize].is_none() {
            (self.found.first[state as usize], self.news) = (Some(at), at);
        }
        self.queue.push_back(at);
        Some(at)
    }

    /// Searches from every start.
    pub fn explore(mut self) -> Search {
        self.start();
        self.follow();
        Search { inputs: self.inputs, ..self.found }
    }

    fn follow(&mut self) {
        let model = self.model;
        while let Some(at) = self.queue.pop_front().filter(|at| at - self.news.min(*at) < QUIET_MAX)
        {
            let state = self.found.visited[at].state;
            let mut is_stuck = model.states[state as usize].rest == Rest::Waits;
            for list in model.lists_of(state) {
                let ways = model.ways_of(list);
                let is_empty = ways.is_empty() && list.cause != Cause::Done;
                let is_closed =
                    ways.first().is_some_and(|it| it.closed.is_some() && it.guard.is_none());
                if !is_empty && !is_closed && self.happens(at, list) {
                    is_stuck &= !self.list(at, list);
                }
                if self.evaluations > EVALUATIONS_MAX {
                    return;
                }
            }
            if is_stuck && model.stays(state) == Stay::UntilTimes {
                self.found.stuck.entry(state).or_insert(at);
            }
        }
    }

    fn happens(&self, at: usize, list: &List<'_>) -> bool {
        let entry = &self.model.states[list.state as usize];
        match list.cause {
            Cause::Done => {
                let rests = matches!(entry.rest, Rest::Waits | Rest::Final);
                entry.abilities.can_complete && !rests && self.has_parameters(at)
            }
            Cause::Failed => {
                let ways = self.model.ways_of(list);
                let is_guarded = ways.first().is_some_and(|it| it.guard.is_some());
                entry.abilities.can_fail && self.outputs.may_fail(entry.id, is_guarded)
            }
            Cause::Event(_) | Cause::After(_) => true,
        }
    }

    /// Whether the outputs are there that the parameters of the work take fields of: without them it
    /// fails.
    fn has_parameters(&self, at: usize) -> bool {
        let here = &self.found.visited[at];
        self.needed[here.state as usize] & !here.given == 0
    }

    /// Tries a list of a configuration with everything that may come. Says whether a way may be
    /// taken.
    fn list(&mut self, at: usize, list: &List<'a>) -> bool {
        let ways = self.model.ways_of(list);
        let names = self.names(at);
        let (root, samples) = self.samples(list, &names);
        let mut targets = BTreeSet::new();
        let mut may_move = false;
        for sample in samples {
            let mut names = names.clone();
            if let (Some(root), Some(sample)) = (root, &sample) {
                names.insert(root.to_owned(), sample.clone());
            }
            let choice = self.choose(ways, &names);
            may_move |= !matches!(choice, Choice::Nothing);
            match choice {
                Choice::Takes(way) => {
                    let act = self.act(list, &names, sample);
                    if let Some(to) = self.take(at, way, &names, act) {
                        targets.insert(to);
                    }
                }
                Choice::Nothing
                    if list.cause == Cause::Done && self.model.stays(list.state) == Stay::Never =>
                {
                    self.note_gap(at, list, &names, sample);
                }
                Choice::Nothing | Choice::Unknown => {}
            }
            if self.evaluations > EVALUATIONS_MAX {
                return true;
            }
        }
        let is_instant = self.model.states[list.state as usize].rest == Rest::Instant;
        if is_instant && list.cause == Cause::Done && targets.len() == 1 {
            self.found.visited[at].at_once = targets.first().copied();
        }
        may_move
    }

    /// What an expression sees in a configuration.
    fn names(&self, at: usize) -> Names {
        let here = &self.found.visited[at];
        let input = self.inputs[here.input].clone();
        Names::from([
            ("vars".to_owned(), Json::Object(here.vars.clone())),
            ("input".to_owned(), input),
        ])
    }

    /// The name that comes with the cause of a list, and values to try for it.
    fn samples(
        &mut self,
        list: &List<'a>,
        names: &Names,
    ) -> (Option<&'static str>, Vec<Option<Json>>) {
        let ways = self.model.ways_of(list);
        let guards = ways.iter().filter_map(|it| it.guard.as_ref()).map(|it| it.expr);
        let set = ways.iter().flat_map(|it| it.set);
        let set = set.filter(|it| self.relevant.contains(it.0.as_str())).map(|it| &it.1);
        let nothing = Json::Object(Map::new());
        match list.cause {
            Cause::Event(_) => {
                let samples = Wanted::new("event", guards, set).samples(&nothing);
                (Some("event"), samples.into_iter().map(Some).collect())
            }
            Cause::Failed => {
                let error = serde_json::json!({"type": "failed", "message": "it failed"});
                let samples = Wanted::new("error", guards, set).samples(&error);
                (Some("error"), samples.into_iter().map(Some).collect())
            }
            Cause::Done => {
                let computed = outputs::computed(&self.model.states[list.state as usize]);
                let known = self.tried.get(&list.state).filter(|_| computed.is_none()).cloned();
                let samples = known.unwrap_or_else(|| {
                    let wanted = Wanted::new("output", guards, set);
                    let hint = self.hints[list.at].and_then(|it| it.to_json("output"));
                    self.outputs.samples(list.state, &wanted, hint.as_ref(), names)
                });
                self.tried.insert(list.state, samples.clone());
                (Some("output"), samples.into_iter().map(Some).collect())
            }
            Cause::After(_) => (None, vec![None]),
        }
    }

    fn choose<'m>(&mut self, ways: &'m [Way<'a>], names: &Names) -> Choice<'m, 'a> {
        for way in ways {
            let Some(guard) = &way.guard else { return Choice::Takes(way) };
            if !self.is_known(guard, names) {
                return Choice::Unknown;
            }
            self.evaluations += 1;
            match guard.expr.eval_bool(names, &Budget::default()) {
                Ok(true) => return Choice::Takes(way),
                Ok(false) => {}
                Err(_) => return Choice::Unknown,
            }
        }
        Choice::Nothing
    }

    /// Whether all that an expression reads is known here.
    fn is_known(&self, guard: &Condition<'_>, names: &Names) -> bool {
        let known = |it: &Reference| {
            let is_own =
                || it.segments.first().is_some_and(|it| self.relevant.contains(it.as_str()));
            names.contains_key(&it.root) && (it.root != "vars" || is_own())
        };
        guard.references.iter().all(known)
    }

    fn take(&mut self, at: usize, way: &Way<'a>, names: &Names, mut act: Act) -> Option<usize> {
        let mut vars = self.found.visited[at].vars.clone();
        for (name, template) in way.set {
            if self.relevant.contains(name.as_str()) {
                self.evaluations += 1;
                vars.insert(name.clone(), template.eval(names, &Budget::default()).ok()?);
            }
        }
        let line = self.subject.plan.node(self.model.states[way.to as usize].id).line;
        act.text.push_str(&format!(" → {} (L{line})", self.model.name(way.to)));
        let here = &self.found.visited[at];
        let own = self.sources.iter().position(|it| *it == way.from);
        let own = own.filter(|_| gives_output(self.model, way)).map_or(0, |bit| 1 << bit);
        let place = (here.input, here.given | own);
        self.visit(way.to, place, vars, Some((at, act)))
    }

    fn act(&self, list: &List<'a>, names: &Names, data: Option<Json>) -> Act {
        Act { list: list.at, data, text: self.cause_text(list, names) }
    }

    /// Such as `submit {"data_ready":true}`.
    fn cause_text(&self, list: &List<'_>, names: &Names) -> String {
        let name = list.cause;
        let data = match list.cause {
            Cause::Event(_) => names.get("event"),
            Cause::Done => names.get("output"),
            Cause::Failed | Cause::After(_) => None,
        };
        let is_something =
            |it: &&Json| !matches!(it, Json::Null) && **it != Json::Object(Map::new());
        let from = self.model.name(list.state);
        match (list.cause, data.filter(is_something)) {
            (Cause::Done | Cause::Failed, None) => format!("{from} {name}"),
            (Cause::Done, Some(data)) => format!("{from} {name} with {data}"),
            (_, Some(data)) => format!("{name} {data}"),
            (_, None) => name.to_string(),
        }
    }

    fn note_gap(&mut self, at: usize, list: &List<'a>, names: &Names, data: Option<Json>) {
        if self.found.gaps.contains_key(&list.state) || !self.outputs.are_real(list.state) {
            return;
        }
        let mut values = Vec::new();
        for guard in self.model.ways_of(list).iter().filter_map(|it| it.guard.as_ref()) {
            for reference in &guard.references {
                let mut at = names.get(&reference.root);
                for segment in &reference.segments {
                    at = at.and_then(|it| it.get(segment));
                }
                let path = std::iter::once(&reference.root).chain(&reference.segments);
                let path: Vec<&str> = path.map(String::as_str).collect();
                let value = at.map_or("missing".to_owned(), Json::to_string);
                let text = format!("{} = {value}", path.join("."));
                if !values.contains(&text) {
                    values.push(text);
                }
            }
        }
        let mut last = self.act(list, names, data);
        last.text.push_str(", and nothing is open");
        self.news = self.news.max(at);
        self.found.gaps.insert(list.state, Gap { values: values.join(", "), at, last });
    }
}
