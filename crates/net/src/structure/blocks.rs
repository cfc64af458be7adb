//! The blocks of a process, found by walking it once from its start.

use super::{DEPTH_MAX, refusal, refuse_node};
use crate::bpmn::{Ending, Gateway, Kind, Node, Repeats, Scope, Trigger};
use crate::problem::Problem;

/// A part of a process. Nodes and flows are numbers of its scope.
#[derive(Clone, Debug)]
pub enum Block {
    Task(usize),
    /// A sub-process, with its inside.
    Nested(usize, Vec<Block>),
    /// An end event that is an error.
    Fail(usize),
    /// All branches at once.
    Parallel(Vec<Branch>),
    /// One of the branches; or any number of them.
    Choice {
        gateway: usize,
        branches: Vec<Branch>,
        is_exclusive: bool,
    },
    /// Runs the body, and then leaves by one flow or goes around by the other.
    Loop {
        head: usize,
        exit: usize,
        leave: usize,
        body: Vec<Block>,
        again: Vec<Block>,
    },
}

/// A branch begins with a flow.
#[derive(Clone, Debug)]
pub struct Branch {
    pub flow: usize,
    pub blocks: Vec<Block>,
    /// Whether it leads on to what comes after, rather than to an end event.
    pub joins: bool,
}

/// Returns the blocks of a scope, in sequence.
pub fn of(scope: &Scope) -> Result<Vec<Block>, Problem> {
    let is_first = |it: &usize| {
        let node = &scope.nodes[*it];
        node.incoming.is_empty() && node.is_in_flow() && !matches!(node.kind, Kind::Boundary { .. })
    };
    let firsts: Vec<usize> = (0..scope.nodes.len()).filter(is_first).collect();
    let [first] = *firsts else {
        let message = format!("`{}` starts at {} places", scope.name, firsts.len());
        return Err(refusal(scope.line, message, "give it one start event"));
    };
    if let Some(event) =
        scope.nodes.iter().position(|it| matches!(it.kind, Kind::EventSubProcess(_)))
    {
        return refuse_node(scope, event, "starts by an event at any time", "start it by a task");
    }
    let mut walk =
        Walk { scope, loops: Vec::new(), depth: 0, seen: vec![false; scope.nodes.len()] };
    match walk.chain(first, false)? {
        (blocks, Stop::End) => Ok(blocks),
        (_, Stop::Join(at) | Stop::Back(at) | Stop::Exit(at)) => refuse_node(
            scope,
            at,
            "joins branches that no split began",
            "begin and end each block with a gateway",
        ),
    }
}

/// Why a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    End,
    /// At a gateway that joins branches.
    Join(usize),
    /// At the head of the innermost loop.
    Back(usize),
    /// At the gateway that leaves the innermost loop.
    Exit(usize),
}

struct Walk<'s> {
    scope: &'s Scope,
    /// Heads of the loops around.
    loops: Vec<usize>,
    depth: usize,
    seen: Vec<bool>,
}

impl Walk<'_> {
    /// Walks from a node until something other than the chain itself goes on.
    fn chain(&mut self, from: usize, in_parallel: bool) -> Result<(Vec<Block>, Stop), Problem> {
        let scope = self.scope;
        let mut blocks = Vec::new();
        let mut at = from;
        loop {
            if self.loops.last() == Some(&at) {
                return Ok((blocks, Stop::Back(at)));
            }
            let node = &scope.nodes[at];
            if let Some(head) = self.loops.last()
                && self.leaves_loop(at, *head)
            {
                return Ok((blocks, Stop::Exit(at)));
            }
            let is_head = self.is_head(at);
            if node.incoming.len() > 1 && !is_head {
                if node.gateway().is_none() {
                    let help = "put an exclusive gateway before it";
                    return refuse_node(scope, at, "has several flows to it", help);
                }
                return Ok((blocks, Stop::Join(at)));
            }
            if std::mem::replace(&mut self.seen[at], true) {
                return refuse_node(scope, at, "is reached in two ways", "join them first");
            }
            let next = if is_head {
                self.repeat(at, &mut blocks)?
            } else if node.outgoing.len() > 1 {
                self.split(at, in_parallel, &mut blocks)?
            } else {
                self.step(at, in_parallel, &mut blocks)?;
                node.outgoing.first().map(|it| scope.flows[*it].to)
            };
            match next {
                Some(next) => at = next,
                None => return Ok((blocks, Stop::End)),
            }
        }
    }

    /// A node with at most one flow to and from it.
    fn step(
        &mut self,
        at: usize,
        in_parallel: bool,
        blocks: &mut Vec<Block>,
    ) -> Result<(), Problem> {
        let scope = self.scope;
        let node = &scope.nodes[at];
        if !node.boundaries.is_empty() {
            return refuse_node(
                scope,
                at,
                "has boundary events",
                "use `timeout`, `retry` and `any_failed` instead",
            );
        }
        if node.repeats == Some(Repeats::While) {
            return refuse_node(scope, at, "repeats itself", "draw the loop with gateways");
        }
        match &node.kind {
            Kind::Task(_) => blocks.push(Block::Task(at)),
            Kind::Catch(Trigger::Timer { .. } | Trigger::Message(_) | Trigger::Signal(_)) => {
                blocks.push(Block::Task(at));
            }
            Kind::Throw(Trigger::Message(_) | Trigger::Signal(_)) => blocks.push(Block::Task(at)),
            Kind::SubProcess(inner) => {
                self.enter(at)?;
                let inside = of(inner)?;
                self.depth -= 1;
                blocks.push(Block::Nested(at, inside));
            }
            Kind::End(Ending::Error) => blocks.push(Block::Fail(at)),
            Kind::End(Ending::Terminate) if in_parallel => {
                return refuse_node(
                    scope,
                    at,
                    "stops what runs beside it",
                    "let the branches join",
                );
            }
            Kind::Gateway(Gateway::Complex | Gateway::EventBased) => {
                return refuse_node(scope, at, "has no word in the language", "draw it otherwise");
            }
            Kind::Catch(Trigger::None | Trigger::Link(_))
            | Kind::Throw(Trigger::None | Trigger::Link(_))
            | Kind::Start(_)
            | Kind::End(_)
            | Kind::Gateway(_) => {}
            Kind::Catch(_)
            | Kind::Throw(_)
            | Kind::Boundary { .. }
            | Kind::EventSubProcess(_)
            | Kind::Compensation => {
                return refuse_node(scope, at, "has no word in the language", "draw it otherwise");
            }
        }
        Ok(())
    }

    fn enter(&mut self, at: usize) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return refuse_node(
                self.scope,
                at,
                "is nested too deep",
                "move a part into a workflow of its own",
            );
        }
        Ok(())
    }

    /// Walks the branches of a split, and returns where they meet.
    fn split(
        &mut self,
        at: usize,
        in_parallel: bool,
        blocks: &mut Vec<Block>,
    ) -> Result<Option<usize>, Problem> {
        let scope = self.scope;
        let node = &scope.nodes[at];
        let (is_parallel, is_exclusive) = match node.gateway() {
            Some(Gateway::Parallel) => (true, false),
            Some(Gateway::Exclusive) => (false, true),
            Some(Gateway::Inclusive) => (false, false),
            Some(Gateway::EventBased | Gateway::Complex) => {
                return refuse_node(scope, at, "has no word in the language", "draw it otherwise");
            }
            None => {
                return refuse_node(
                    scope,
                    at,
                    "has several flows from it",
                    "put a gateway behind it",
                );
            }
        };
        self.enter(at)?;
        let mut branches = Vec::new();
        let mut join = None;
        for flow in &node.outgoing {
            let to = scope.flows[*flow].to;
            let (inside, stop) = self.chain(to, in_parallel || !is_exclusive)?;
            match stop {
                Stop::End => {}
                Stop::Join(at) if join.is_none_or(|it| it == at) => join = Some(at),
                Stop::Join(other) | Stop::Back(other) | Stop::Exit(other) => {
                    return refuse_node(
                        scope,
                        other,
                        "ends only some branches of a split",
                        "let all branches of a split meet at one gateway",
                    );
                }
            }
            branches.push(Branch { flow: *flow, blocks: inside, joins: stop != Stop::End });
        }
        self.depth -= 1;
        if let Some(join) = join {
            self.check_join(at, join, branches.iter().filter(|it| it.joins).count())?;
        }
        blocks.push(match is_parallel {
            true => Block::Parallel(branches),
            false => Block::Choice { gateway: at, branches, is_exclusive },
        });
        let Some(join) = join else { return Ok(None) };
        // A gateway may join and split at once; what it splits is walked as if it stood behind.
        if scope.nodes[join].outgoing.len() > 1 {
            return refuse_node(scope, join, "joins and splits at once", "draw it as two gateways");
        }
        self.seen[join] = true;
        Ok(scope.nodes[join].outgoing.first().map(|it| scope.flows[*it].to))
    }

    fn check_join(&self, split: usize, join: usize, branches: usize) -> Result<(), Problem> {
        let (split, node) = (&self.scope.nodes[split], &self.scope.nodes[join]);
        if node.incoming.len() != branches {
            return refuse_node(
                self.scope,
                join,
                "joins branches of several splits",
                "give each split a join of its own",
            );
        }
        let fits = node.gateway() == split.gateway() || node.gateway() == Some(Gateway::Inclusive);
        if !fits {
            return refuse_node(
                self.scope,
                join,
                "is of another kind than its split",
                "check the process: it may be wrong",
            );
        }
        Ok(())
    }

    /// A loop: from its head to the gateway that leaves it, and back.
    fn repeat(&mut self, head: usize, blocks: &mut Vec<Block>) -> Result<Option<usize>, Problem> {
        let scope = self.scope;
        let node = &scope.nodes[head];
        if node.gateway() != Some(Gateway::Exclusive)
            || node.incoming.len() != 2
            || node.outgoing.len() != 1
        {
            return refuse_node(
                scope,
                head,
                "begins a loop in a way that is no block",
                "begin it with an exclusive gateway with two flows to it",
            );
        }
        self.enter(head)?;
        self.loops.push(head);
        let (body, stop) = self.chain(scope.flows[node.outgoing[0]].to, false)?;
        let Stop::Exit(exit) = stop else {
            return refuse_node(
                scope,
                head,
                "begins a loop that is left elsewhere than at one gateway",
                "leave it at one exclusive gateway",
            );
        };
        self.seen[exit] = true;
        let [one, other] = *scope.nodes[exit].outgoing else {
            return refuse_node(
                scope,
                exit,
                "leaves a loop in more than one way",
                "choose again behind the loop",
            );
        };
        let (back, leave) = if self.reaches(one, head, exit) { (one, other) } else { (other, one) };
        let (again, stop) = self.chain(scope.flows[back].to, false)?;
        if stop != Stop::Back(head) {
            return refuse_node(
                scope,
                exit,
                "does not lead back as a block",
                "lead one flow straight to the begin of the loop",
            );
        }
        self.loops.pop();
        self.depth -= 1;
        blocks.push(Block::Loop { head, exit, leave, body, again });
        Ok(Some(scope.flows[leave].to))
    }

    /// Whether a node can come again: then it is the head of a loop that begins here.
    fn is_head(&self, at: usize) -> bool {
        let node = &self.scope.nodes[at];
        node.incoming.len() > 1
            && !self.loops.contains(&at)
            && node.outgoing.iter().any(|it| self.reaches(*it, at, usize::MAX))
            && !self.loops.last().is_some_and(|head| {
                // Within a loop everything comes again; a head does so without the one around it.
                !node.outgoing.iter().any(|it| self.reaches(*it, at, *head))
            })
    }

    fn leaves_loop(&self, at: usize, head: usize) -> bool {
        let node = &self.scope.nodes[at];
        let back = |it: &usize| self.reaches(*it, head, at);
        node.gateway() == Some(Gateway::Exclusive)
            && node.outgoing.len() > 1
            && node.outgoing.iter().any(back)
            && !node.outgoing.iter().all(back)
    }

    /// Whether a flow leads to a node without passing another one.
    fn reaches(&self, flow: usize, to: usize, without: usize) -> bool {
        let next = |node: &Node| {
            node.outgoing.iter().map(|it| self.scope.flows[*it].to).collect::<Vec<_>>()
        };
        let mut seen = vec![false; self.scope.nodes.len()];
        let mut left = vec![self.scope.flows[flow].to];
        while let Some(at) = left.pop() {
            if at == to {
                return true;
            }
            if at != without && !std::mem::replace(&mut seen[at], true) {
                left.extend(next(&self.scope.nodes[at]));
            }
        }
        false
    }
}
