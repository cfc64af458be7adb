//! A net for each process and sub-process.
//!
//! Each scope is checked by itself: one that is sound behaves in its parent as a task does, and
//! whatever interrupts it takes all of it away. A place stands before each node; a parallel join has
//! one for each flow. Every end event is an end of its own, so a process has ended when all its
//! tokens have; a terminate event stops it.

use super::{Ending, Gateway, Joins, Kind, Model, Node, Scope};
use crate::file::Part;
use crate::net::{BuildError, Label, Net, NetBuilder, PlaceId, TransitionId};
use crate::problem::{Problem, code};

/// Flows out of an inclusive split without a join of its own: each set of them is one transition.
const FREE_BRANCHES_MAX: usize = 6;

/// Returns the processes of a model and all that is nested in them, outer ones first.
pub fn parts(model: &Model) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut left: Vec<&Scope> = model.processes.iter().rev().collect();
    while let Some(scope) = left.pop() {
        let (id, name) = (scope.id.clone(), scope.name.clone());
        parts.push(Part { id, name, line: scope.line, net: net(scope) });
        let inner = scope.nodes.iter().rev().filter_map(|it| match &it.kind {
            Kind::SubProcess(inner) | Kind::EventSubProcess(inner) => Some(&**inner),
            _ => None,
        });
        left.extend(inner);
    }
    parts
}

fn net(scope: &Scope) -> Result<Net, Problem> {
    let joins = Joins::of(scope)?;
    let mut drawing = Drawing {
        scope,
        joins,
        builder: Net::builder(),
        before: vec![None; scope.nodes.len()],
        along: vec![None; scope.flows.len()],
    };
    drawing.draw().map_err(|refusal| match refusal {
        Refusal::Undecided(problem) => problem,
        Refusal::Build(error) => Problem {
            code: code::TOO_LARGE,
            message: error.to_string(),
            help: "split the process".to_owned(),
            line: scope.line,
            column: 1,
        },
    })?;
    drawing.builder.finish().map_err(|error| Problem {
        code: code::WRONG_ARC,
        message: error.to_string(),
        help: "take one of the two flows out".to_owned(),
        line: scope.line,
        column: 1,
    })
}

enum Refusal {
    Undecided(Problem),
    Build(BuildError),
}

impl From<BuildError> for Refusal {
    fn from(error: BuildError) -> Refusal {
        Refusal::Build(error)
    }
}

struct Drawing<'s> {
    scope: &'s Scope,
    joins: Joins,
    builder: NetBuilder,
    /// The place before each node, if it has one for all its flows.
    before: Vec<Option<PlaceId>>,
    /// The place of each flow that has one of its own.
    along: Vec<Option<PlaceId>>,
}

type Drawn = Result<(), Refusal>;

impl<'s> Drawing<'s> {
    fn draw(&mut self) -> Drawn {
        let scope = self.scope;
        let start = self.builder.place(Label::new("start of ", "the start", scope.line))?;
        self.builder.start(start);
        for (at, node) in scope.nodes.iter().enumerate() {
            if self.waits_for_all(at) {
                for flow in &node.incoming {
                    let flow_at = &scope.flows[*flow];
                    let name = format!("{} → {}", scope.nodes[flow_at.from].name, node.name);
                    let label = Label::new(format!("along {}", flow_at.id), name, flow_at.line);
                    self.along[*flow] = Some(self.builder.place(label)?);
                }
            } else if node.is_in_flow()
                && !matches!(node.kind, Kind::Start(_) | Kind::Boundary { .. })
            {
                let label = Label::new(format!("before {}", node.id), &node.name, node.line);
                self.before[at] = Some(self.builder.place(label)?);
            }
        }
        self.draw_start(start)?;
        (0..scope.nodes.len()).try_for_each(|it| self.draw_node(it))
    }

    /// Whether a node waits for a token along each of its flows.
    fn waits_for_all(&self, at: usize) -> bool {
        let node = &self.scope.nodes[at];
        if node.incoming.len() < 2 {
            return false;
        }
        match node.gateway() {
            Some(Gateway::Parallel) => true,
            Some(Gateway::Inclusive) => self.joins.split_of.get(&at).is_some_and(|split| {
                !matches!(
                    self.scope.nodes[*split].gateway(),
                    Some(Gateway::Exclusive | Gateway::EventBased)
                )
            }),
            _ => false,
        }
    }

    /// Starts at one of the start events; without any, at every node that nothing leads to.
    fn draw_start(&mut self, start: PlaceId) -> Drawn {
        let scope = self.scope;
        let mut has_event = false;
        for node in scope.nodes.iter().filter(|it| matches!(it.kind, Kind::Start(_))) {
            has_event = true;
            let transition = self.transition(node, "")?;
            self.builder.input(start, transition)?;
            self.send_all(transition, node)?;
        }
        if has_event {
            return Ok(());
        }
        let label = Label::new("start at once", format!("start of {}", scope.name), scope.line);
        let transition = self.builder.transition(label)?;
        self.builder.input(start, transition)?;
        for (at, node) in scope.nodes.iter().enumerate() {
            if let (true, Some(place)) = (node.incoming.is_empty(), self.before[at]) {
                self.builder.output(transition, place)?;
            }
        }
        Ok(())
    }

    fn draw_node(&mut self, at: usize) -> Drawn {
        let node = &self.scope.nodes[at];
        if !node.is_in_flow() {
            return Ok(());
        }
        match &node.kind {
            // Drawn with what they belong to.
            Kind::Start(_) | Kind::Boundary { .. } => Ok(()),
            Kind::End(ending) => self.draw_end(at, *ending),
            Kind::Gateway(Gateway::Complex) => Err(Refusal::Undecided(Problem {
                code: code::UNDECIDED_ELEMENT,
                message: format!("the complex gateway `{}` is not decided", node.name),
                help: "draw what it does with other gateways".to_owned(),
                line: node.line,
                column: 1,
            })),
            Kind::Gateway(Gateway::Exclusive | Gateway::EventBased) => {
                let place = self.before(at)?;
                self.choose(node, place)
            }
            Kind::Gateway(Gateway::Parallel | Gateway::Inclusive) => {
                let transition = self.taking(at)?;
                self.send(transition, node)
            }
            Kind::Task(_) | Kind::SubProcess(_) | Kind::Catch(_) | Kind::Throw(_) => {
                if node.boundaries.iter().any(|it| self.scope.nodes[*it].is_in_flow()) {
                    return self.draw_guarded(at);
                }
                let transition = self.taking(at)?;
                self.send(transition, node)
            }
            Kind::EventSubProcess(_) | Kind::Compensation => Ok(()),
        }
    }

    fn draw_end(&mut self, at: usize, ending: Ending) -> Drawn {
        let node = &self.scope.nodes[at];
        let transition = self.taking(at)?;
        let label = Label::new(format!("end {}", node.id), &node.name, node.line);
        let place = self.builder.place(label)?;
        self.builder.output(transition, place)?;
        match ending {
            Ending::Plain => self.builder.end(place),
            Ending::Terminate | Ending::Error => self.builder.stop(place),
        }
        Ok(())
    }

    /// A node with boundary events runs for a while: it is done, or one that interrupts comes first.
    /// Another one comes once at most; repeating it would run nothing that this does not.
    fn draw_guarded(&mut self, at: usize) -> Drawn {
        let scope = self.scope;
        let node = &scope.nodes[at];
        let label = |what: &str| Label::new(format!("{what} {}", node.id), &node.name, node.line);
        let run = self.builder.place(label("run"))?;
        let begin = self.taking(at)?;
        self.builder.output(begin, run)?;
        let guards =
            node.boundaries.iter().map(|it| &scope.nodes[*it]).filter(|it| it.is_in_flow());
        let mut besides = Vec::new();
        let mut interrupting = Vec::new();
        for event in guards {
            match event.kind {
                Kind::Boundary { interrupts: false, .. } => besides.push(event),
                _ => interrupting.push(event),
            }
        }
        // What has not come yet and what has, for each event beside the node.
        let mut states = Vec::new();
        for event in &besides {
            let state =
                |what: &str| Label::new(format!("{what} {}", event.id), &event.name, event.line);
            let open = self.builder.place(state("open"))?;
            let come = self.builder.place(state("come"))?;
            self.builder.output(begin, open)?;
            let transition = self.transition(event, "")?;
            self.builder.input(run, transition)?;
            self.builder.input(open, transition)?;
            self.builder.output(transition, run)?;
            self.builder.output(transition, come)?;
            self.send_all(transition, event)?;
            states.push([open, come]);
        }
        let done = self.closing(node, run, &states, "done")?;
        let transition = self.builder.transition(label("end of"))?;
        self.builder.input(done, transition)?;
        self.send(transition, node)?;
        for event in interrupting {
            let closed = self.closing(event, run, &states, "interrupt")?;
            let transition = self.transition(event, "")?;
            self.builder.input(closed, transition)?;
            self.send_all(transition, event)?;
        }
        Ok(())
    }

    /// Leaves a running node, and asks of each event beside it whether it had come.
    fn closing(
        &mut self,
        node: &Node,
        run: PlaceId,
        states: &[[PlaceId; 2]],
        what: &str,
    ) -> Result<PlaceId, Refusal> {
        let mut at = run;
        for (number, state) in states.iter().enumerate() {
            let id = |more: &str| format!("{what} {number}{more} {}", node.id);
            let next = self.builder.place(Label::new(id(""), &node.name, node.line))?;
            for (come, place) in state.iter().enumerate() {
                let label = Label::new(id(&format!(" {come}")), &node.name, node.line);
                let transition = self.builder.transition(label)?;
                self.builder.input(at, transition)?;
                self.builder.input(*place, transition)?;
                self.builder.output(transition, next)?;
            }
            at = next;
        }
        Ok(at)
    }

    /// A transition that takes what a node waits for.
    fn taking(&mut self, at: usize) -> Result<TransitionId, Refusal> {
        let node = &self.scope.nodes[at];
        let transition = self.transition(node, "")?;
        if let Some(place) = self.before[at] {
            self.builder.input(place, transition)?;
            return Ok(transition);
        }
        for flow in &node.incoming {
            if let Some(place) = self.along[*flow] {
                self.builder.input(place, transition)?;
            }
        }
        Ok(transition)
    }

    fn before(&self, at: usize) -> Result<PlaceId, Refusal> {
        let id = || self.scope.nodes[at].id.clone();
        self.before[at].ok_or_else(|| Refusal::Build(BuildError::UnknownId(id())))
    }

    fn transition(&mut self, node: &Node, more: &str) -> Result<TransitionId, Refusal> {
        let id = if more.is_empty() { node.id.clone() } else { format!("{}: {more}", node.id) };
        Ok(self.builder.transition(Label::new(id, &node.name, node.line))?)
    }

    /// The place that a flow leads to.
    fn target(&self, flow: usize) -> Result<PlaceId, Refusal> {
        match self.along[flow] {
            Some(place) => Ok(place),
            None => self.before(self.scope.flows[flow].to),
        }
    }

    /// Sends tokens the way the node does: along all flows, or some.
    fn send(&mut self, transition: TransitionId, node: &Node) -> Drawn {
        if !node.splits_inclusively(self.scope) {
            return self.send_all(transition, node);
        }
        let label = Label::new(format!("split {}", node.id), &node.name, node.line);
        if node.outgoing.iter().all(|it| self.joins.branch_end.contains_key(it)) {
            return self.send_some(transition, node);
        }
        let split = self.builder.place(label)?;
        self.builder.output(transition, split)?;
        self.send_any_set(split, node)
    }

    /// Sends one token along each flow. Without a flow, the token ends here.
    fn send_all(&mut self, transition: TransitionId, node: &Node) -> Drawn {
        if node.outgoing.is_empty() {
            let label = Label::new(format!("end {}", node.id), &node.name, node.line);
            let place = self.builder.place(label)?;
            self.builder.end(place);
            self.builder.output(transition, place)?;
        }
        let mut reached = Vec::new();
        for flow in &node.outgoing {
            let place = self.target(*flow)?;
            match reached.contains(&place) {
                false => self.builder.output(transition, place)?,
                true => self.send_again(transition, *flow, place)?,
            }
            reached.push(place);
        }
        Ok(())
    }

    /// A second flow to the same node is on its way for a while: an arc cannot carry two tokens.
    fn send_again(&mut self, transition: TransitionId, flow: usize, to: PlaceId) -> Drawn {
        let scope = self.scope;
        let flow = &scope.flows[flow];
        let name = format!("{} → {}", scope.nodes[flow.from].name, scope.nodes[flow.to].name);
        let label = |what: &str| Label::new(format!("{what} {}", flow.id), &name, flow.line);
        let place = self.builder.place(label("along"))?;
        self.builder.output(transition, place)?;
        let arrives = self.builder.transition(label("arrival of"))?;
        self.builder.input(place, arrives)?;
        self.builder.output(arrives, to)?;
        Ok(())
    }

    /// An exclusive choice: one transition for each flow.
    fn choose(&mut self, node: &Node, place: PlaceId) -> Drawn {
        if node.outgoing.len() < 2 {
            let transition = self.transition(node, "")?;
            self.builder.input(place, transition)?;
            return self.send_all(transition, node);
        }
        for flow in &node.outgoing {
            let transition = self.flow_transition(node, &[*flow])?;
            self.builder.input(place, transition)?;
            let target = self.target(*flow)?;
            self.builder.output(transition, target)?;
        }
        Ok(())
    }

    /// A transition that is told as a choice of flows.
    fn flow_transition(&mut self, node: &Node, flows: &[usize]) -> Result<TransitionId, Refusal> {
        let scope = self.scope;
        let ids: Vec<&str> = flows.iter().map(|it| &*scope.flows[*it].id).collect();
        let shown: Vec<&str> = flows.iter().map(|it| scope.flows[*it].shown(scope)).collect();
        let name = format!("{}: {}", node.name, shown.join(" and "));
        let id = format!("{}: {}", node.id, ids.join(" "));
        Ok(self.builder.transition(Label::new(id, name, node.line))?)
    }

    /// An inclusive split with a join: each branch is taken, or goes straight to the join.
    fn send_some(&mut self, transition: TransitionId, node: &Node) -> Drawn {
        for flow in &node.outgoing {
            let scope_flow = &self.scope.flows[*flow];
            let name = format!("{} → {}", node.name, scope_flow.shown(self.scope));
            let label = Label::new(format!("whether {}", scope_flow.id), name, scope_flow.line);
            let whether = self.builder.place(label)?;
            self.builder.output(transition, whether)?;
            let end = self.joins.branch_end[flow];
            let (taken, skipped) = (self.target(*flow)?, self.target(end)?);
            let takes = self.flow_transition(node, &[*flow])?;
            self.builder.input(whether, takes)?;
            self.builder.output(takes, taken)?;
            if taken != skipped {
                let name = format!("{}: not {}", node.name, scope_flow.shown(self.scope));
                let label = Label::new(format!("not {}", scope_flow.id), name, node.line);
                let skips = self.builder.transition(label)?;
                self.builder.input(whether, skips)?;
                self.builder.output(skips, skipped)?;
            }
        }
        Ok(())
    }

    /// An inclusive split without a join of its own: each set of flows is a choice.
    fn send_any_set(&mut self, split: PlaceId, node: &Node) -> Drawn {
        let count = node.outgoing.len();
        if count > FREE_BRANCHES_MAX {
            return Err(Refusal::Undecided(Problem {
                code: code::UNDECIDED_ELEMENT,
                message: format!(
                    "`{}` may take any of {count} flows that no inclusive gateway joins",
                    node.name
                ),
                help: format!("join them, or take at most {FREE_BRANCHES_MAX} flows"),
                line: node.line,
                column: 1,
            }));
        }
        for set in 1..1usize << count {
            let is_in = |at: &usize| set & (1 << at) != 0;
            let flows: Vec<usize> = (0..count).filter(is_in).map(|at| node.outgoing[at]).collect();
            let transition = self.flow_transition(node, &flows)?;
            self.builder.input(split, transition)?;
            for flow in flows {
                let place = self.target(flow)?;
                self.builder.output(transition, place)?;
            }
        }
        Ok(())
    }
}
