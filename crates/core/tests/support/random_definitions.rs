//! Random definitions over the whole language, as source text, with inputs and answers that fit.
//!
//! ```ignore
//! mod support;
//! let definition = RandomDefinition::new(seed, &Options::small());   // the same for the same seed
//! let plan = support::plan(&definition.source);                      // almost always passes
//! let input = definition.input(&mut Chance::new(seed));              // fits the input's schema
//! let mut oracle = RandomOracle::new(seed);                          // answers, orders, events
//! let trace = simulate(&plan, &input, &mut oracle, Bounds::default());
//! assert_ne!(trace.end, End::Stuck, "seed {seed}\n{}", definition.source);
//! ```
//!
//! What every definition keeps to, so that tests may rely on it:
//!
//! * **Inputs** have five fields, of which conditions all over the definition are made, so that
//!   they correlate: `a` and `b` (booleans), `n` (0 to 3), `kind` (`x`, `y`, `z`), `items` (up to
//!   three integers). [`RandomDefinition::inputs`] has all that differ in a condition.
//! * **Answers** of handlers are `{ok, n}`, of `http` the same under `json`. `RandomOracle`
//!   gives such.
//! * **Machines end**: forward transitions lead to later states and the last one is final;
//!   backward ones count `vars.n` up to a bound; a state that waits has an event or a time without
//!   a guard. So nothing is ever stuck if every event is offered and timers fire.
//! * **Names** show the nesting: `t2`, `t2_0`; states are `s0`, `s1`. Handlers are `work` and
//!   `undo`, events `go`, `back`, `other`, signals `signal_` and the task's name.
//! * **No order in the answers**: unless [`Options::reads_unended`] is set, no expression reads a
//!   task that may still be running (behind `any_success`).

use std::sync::Arc;

use serde_json::{Map, Value, json};
use surefoot_core::plan::Plan;

use super::random_machines::machine;
use super::{Chance, try_plan};

/// What a random definition may have. Every field narrows or widens the language.
#[derive(Clone, Debug)]
pub struct Options {
    /// Tasks and states in all, about.
    pub nodes_max: usize,
    pub depth_max: usize,
    /// None: a draw for every graph.
    pub fail_fast: Option<bool>,
    pub machines: bool,
    pub nested: bool,
    pub for_each: bool,
    pub compensation: bool,
    /// `on_failure` and `finally` of the definition.
    pub handlers: bool,
    /// `wait`, `signal`, `approval`, with time-outs.
    pub waits: bool,
    /// `timeout` of attempts and of composites.
    pub time_limits: bool,
    pub sub_runs: bool,
    /// Conditions that may have no value, guards with gaps.
    pub broken_expressions: bool,
    /// Conditions behind `any_success` may read needs that have not ended: the outcome then
    /// depends on the order.
    pub reads_unended: bool,
    /// Items of `needs`, in percent of all earlier tasks; at least one in two tasks has some.
    pub density: usize,
}

impl Options {
    /// At most 8 nodes: small enough for every order.
    pub fn small() -> Options {
        Options {
            nodes_max: 8,
            depth_max: 2,
            fail_fast: None,
            machines: true,
            nested: true,
            for_each: true,
            compensation: true,
            handlers: true,
            waits: true,
            time_limits: true,
            sub_runs: true,
            broken_expressions: true,
            reads_unended: false,
            density: 40,
        }
    }

    /// Up to 60 nodes, for random orders.
    pub fn large() -> Options {
        Options { nodes_max: 60, depth_max: 3, density: 12, ..Options::small() }
    }

    /// What Theorem D speaks of: graphs whose outcome does not depend on the order. Nothing is
    /// stopped half-way, and nothing races against a clock.
    pub fn determinate(self) -> Options {
        Options {
            fail_fast: Some(false),
            machines: false,
            time_limits: false,
            reads_unended: false,
            ..self
        }
    }
}

/// A definition that was drawn.
#[derive(Clone, Debug)]
pub struct RandomDefinition {
    pub seed: u64,
    /// JSON; every JSON definition is read as YAML, too.
    pub source: String,
    pub value: Value,
}

impl RandomDefinition {
    pub fn new(seed: u64, options: &Options) -> RandomDefinition {
        let mut draft = Draft { chance: Chance::new(seed), options: options.clone(), left: 0 };
        draft.left = 1 + draft.chance.below(options.nodes_max);
        let value = draft.definition();
        RandomDefinition { seed, source: format!("{value:#}"), value }
    }

    /// Draws until a definition passes the checks.
    pub fn checked(seed: u64, options: &Options) -> (RandomDefinition, Arc<Plan>) {
        let mut chance = Chance::new(seed);
        loop {
            let drawn = RandomDefinition::new(chance.draw(), options);
            if let Ok(plan) = try_plan(&drawn.source) {
                return (drawn, plan);
            }
        }
    }

    /// Draws an input that fits.
    pub fn input(&self, chance: &mut Chance) -> Value {
        let items: Vec<usize> = (0..chance.below(4)).collect();
        json!({
            "a": chance.percent(50),
            "b": chance.percent(50),
            "n": chance.below(4),
            "kind": *chance.pick(&["x", "y", "z"]),
            "items": items,
        })
    }

    /// Returns every input that conditions can tell apart: 2 × 2 × 4 × 3 × 4.
    pub fn inputs(&self) -> Vec<Value> {
        let mut inputs = Vec::new();
        for at in 0..192_usize {
            let items: Vec<usize> = (0..at / 48).collect();
            inputs.push(json!({
                "a": at % 2 == 1,
                "b": at / 2 % 2 == 1,
                "n": at / 4 % 4,
                "kind": (["x", "y", "z"][at / 16 % 3]),
                "items": items,
            }));
        }
        inputs
    }
}

/// A definition in the making.
pub(super) struct Draft {
    pub chance: Chance,
    pub options: Options,
    /// Nodes that may still be drawn.
    pub left: usize,
}

/// What a task that was drawn lets others read.
#[derive(Clone)]
struct Drawn {
    name: String,
    /// Where `{ok, n}` is in its output; nothing if it has none.
    answer: Option<&'static str>,
}

impl Draft {
    fn definition(&mut self) -> Value {
        let mut top = Map::new();
        top.insert("id".into(), json!("random"));
        top.insert("input".into(), input_schema());
        if self.options.machines && self.chance.percent(25) {
            let machine = machine(self, "s", 0);
            top.extend(machine);
        } else {
            let tasks = self.graph("t", 0);
            top.extend(tasks);
        }
        if self.options.handlers {
            for (part, percent) in [("on_failure", 25), ("finally", 25)] {
                if self.chance.percent(percent) {
                    top.insert(part.into(), self.handler_tasks(part));
                }
            }
        }
        if self.options.time_limits && self.chance.percent(5) {
            top.insert("timeout".into(), json!("2h"));
        }
        Value::Object(top)
    }

    fn handler_tasks(&mut self, part: &str) -> Value {
        let mut tasks = Map::new();
        for at in 0..1 + self.chance.below(2) {
            let mut task = json!({"uses": "work"});
            // They cannot say `fail_fast: false`: where nothing is to be stopped, they are a row.
            let is_row = self.options.fail_fast == Some(false);
            if at > 0 && (is_row || self.chance.percent(50)) {
                task["needs"] = json!([format!("{part}_0")]);
            }
            tasks.insert(format!("{part}_{at}"), task);
        }
        Value::Object(tasks)
    }

    /// Draws `tasks` and what goes with it.
    pub fn graph(&mut self, prefix: &str, depth: usize) -> Map<String, Value> {
        let most = if depth == 0 { self.left } else { self.left.min(4) };
        let count = if depth == 0 { most } else { 1 + self.chance.below(most.max(1)) };
        let mut tasks = Map::new();
        let mut drawn: Vec<Drawn> = Vec::new();
        for at in 0..count {
            if at > 0 && self.left == 0 {
                break;
            }
            self.left = self.left.saturating_sub(1);
            let name = format!("{prefix}{at}");
            let (task, answer) = self.task(&name, depth, &drawn);
            tasks.insert(name.clone(), task);
            drawn.push(Drawn { name, answer });
        }
        let mut graph = Map::new();
        graph.insert("tasks".into(), Value::Object(tasks));
        match self.options.fail_fast {
            Some(fail_fast) => {
                graph.insert("fail_fast".into(), json!(fail_fast));
            }
            None if self.chance.percent(40) => {
                graph.insert("fail_fast".into(), json!(false));
            }
            None => {}
        }
        if self.chance.percent(10) {
            graph.insert("max_parallel".into(), json!(1 + self.chance.below(3)));
        }
        graph
    }

    fn task(
        &mut self,
        name: &str,
        depth: usize,
        before: &[Drawn],
    ) -> (Value, Option<&'static str>) {
        let mut task = Map::new();
        let needs = self.needs(before);
        let join = *self.chance.pick(&[
            "all_success",
            "all_success",
            "none_failed",
            "any_success",
            "any_failed",
            "all_done",
        ]);
        if !needs.is_empty() {
            let names: Vec<&str> = needs.iter().map(|it| &*it.name).collect();
            task.insert("needs".into(), json!(names));
            if join != "all_success" || self.chance.percent(20) {
                task.insert("join".into(), json!(join));
            }
        }
        if self.chance.percent(35) {
            let readable = join != "any_success" || self.options.reads_unended;
            let readable = if readable { needs } else { Vec::new() };
            task.insert("if".into(), json!(self.condition(&readable)));
        }
        if self.chance.percent(15) {
            task.insert("on_failure".into(), json!("continue"));
        }
        let answer = self.work(&mut task, name, depth);
        (Value::Object(task), answer)
    }

    fn needs(&mut self, before: &[Drawn]) -> Vec<Drawn> {
        let density = self.options.density;
        let mut needs: Vec<Drawn> =
            before.iter().filter(|_| self.chance.percent(density)).cloned().collect();
        if needs.is_empty() && !before.is_empty() && self.chance.percent(50) {
            needs.push(self.chance.pick(before).clone());
        }
        needs
    }

    /// Draws the work of a task or a state, and says where its answer is.
    pub fn work(
        &mut self,
        task: &mut Map<String, Value>,
        name: &str,
        depth: usize,
    ) -> Option<&'static str> {
        let may_nest = self.options.nested && depth < self.options.depth_max && self.left > 0;
        let is_each = self.options.for_each && self.chance.percent(12);
        if is_each {
            self.for_each(task);
        }
        let answer = match self.chance.below(100) {
            0..15 if may_nest && self.options.machines => {
                task.extend(machine(self, &format!("{name}_s"), depth + 1));
                if self.options.time_limits && self.chance.percent(10) {
                    task.insert("timeout".into(), json!("3h"));
                }
                None
            }
            0..30 if may_nest => {
                let inner = self.graph(&format!("{name}_"), depth + 1);
                for (key, value) in inner {
                    // The `max_parallel` of a map is that of its items.
                    task.entry(key).or_insert(value);
                }
                if self.options.time_limits && self.chance.percent(10) {
                    task.insert("timeout".into(), json!("3h"));
                }
                None
            }
            30..45 if self.options.waits => self.wait(task, name),
            45..50 if self.options.sub_runs => {
                let awaited = self.chance.percent(80);
                task.insert("uses".into(), json!("workflow"));
                task.insert("with".into(), json!({"id": "other", "wait": awaited}));
                None
            }
            50..60 => self.decided(task),
            60..67 => {
                task.insert("uses".into(), json!("http"));
                task.insert("with".into(), json!({"url": "https://example.com/"}));
                Some("output.json")
            }
            _ => {
                task.insert("uses".into(), json!("work"));
                Some("output")
            }
        };
        let acts = matches!(task.get("uses").and_then(Value::as_str), Some("work" | "http"));
        if acts {
            self.policies(task);
        }
        if self.options.compensation && task.contains_key("uses") && self.chance.percent(20) {
            task.insert("compensate".into(), json!({"uses": "undo"}));
        }
        answer.filter(|_| !is_each)
    }

    fn policies(&mut self, task: &mut Map<String, Value>) {
        if self.chance.percent(30) {
            let retry = match self.chance.below(3) {
                0 => json!(2),
                1 => json!({"max_attempts": 3, "delay": "1s", "jitter": "full"}),
                _ => json!({"max_attempts": 3, "if": "error.type == \"weak\""}),
            };
            task.insert("retry".into(), retry);
        }
        if self.options.time_limits && self.chance.percent(30) {
            let timeout = match self.chance.below(3) {
                0 => json!("30s"),
                1 => json!({"run": "30s", "total": "10m"}),
                _ => json!({"heartbeat": "10s"}),
            };
            task.insert("timeout".into(), timeout);
        }
    }

    fn for_each(&mut self, task: &mut Map<String, Value>) {
        let items = match self.chance.below(3) {
            0 => json!([1, 2]),
            _ => json!("${{ input.items }}"),
        };
        task.insert("for_each".into(), items);
        if self.chance.percent(30) {
            task.insert("max_parallel".into(), json!(1 + self.chance.below(2)));
        }
        // Without fail-fast, all items are to run: `fail` would stop them half-way.
        let modes: &[&str] = match self.options.fail_fast {
            Some(false) => &["fail_at_end", "continue"],
            _ => &["fail", "fail_at_end", "continue"],
        };
        let mode = *self.chance.pick(modes);
        task.insert("on_item_failure".into(), json!(mode));
    }

    fn wait(&mut self, task: &mut Map<String, Value>, name: &str) -> Option<&'static str> {
        let timed = self.options.time_limits && self.chance.percent(50);
        let (kind, mut with) = match self.chance.below(3) {
            0 => ("wait", json!({"for": *self.chance.pick(&["1s", "10m", "1h"])})),
            1 => ("signal", json!({"name": format!("signal_{name}")})),
            _ => ("approval", json!({"quorum": 1 + self.chance.below(2)})),
        };
        if kind == "approval" && self.chance.percent(50) {
            with["on_reject"] = json!("continue");
        }
        if timed && kind != "wait" {
            with["timeout"] = json!("30m");
            let outcomes: &[&str] = match kind {
                "signal" => &["fail", "continue"],
                _ => &["fail", "reject", "approve"],
            };
            with["on_timeout"] = json!(*self.chance.pick(outcomes));
        }
        task.insert("uses".into(), json!(kind));
        task.insert("with".into(), with);
        None
    }

    /// Draws work that the engine does itself.
    fn decided(&mut self, task: &mut Map<String, Value>) -> Option<&'static str> {
        let (kind, with, answer) = match self.chance.below(5) {
            0 => ("log", json!({"message": "here"}), None),
            1 => ("fail", json!({"message": "on purpose", "type": "weak"}), None),
            2 => {
                let value = json!({"ok": "${{ input.a }}", "n": "${{ input.n + 1 }}"});
                ("transform", value, Some("output"))
            }
            _ => ("transform", json!({"ok": self.chance.percent(50), "n": 2}), Some("output")),
        };
        task.insert("uses".into(), json!(kind));
        task.insert("with".into(), with);
        answer
    }

    /// Draws a condition over the input and the tasks that may be read.
    fn condition(&mut self, readable: &[Drawn]) -> String {
        if readable.is_empty() || self.chance.percent(40) {
            return self.input_condition();
        }
        let read = self.chance.pick(readable).clone();
        let name = &read.name;
        match (read.answer, self.chance.below(4)) {
            (Some(answer), 0 | 1) => {
                let place = format!("tasks.{name}.{answer}");
                let is_broken = self.options.broken_expressions && self.chance.percent(15);
                match (is_broken, self.chance.percent(50)) {
                    (true, _) => format!("{place}.ok"),
                    (false, true) => format!("default({place}.ok, false)"),
                    (false, false) => format!("default({place}.n, 0) > 1"),
                }
            }
            _ => {
                let status = *self.chance.pick(&["completed", "failed", "skipped"]);
                let sign = *self.chance.pick(&["==", "!="]);
                format!("tasks.{name}.status {sign} \"{status}\"")
            }
        }
    }

    /// Draws a condition over the input; there are few, so that they correlate.
    pub fn input_condition(&mut self) -> String {
        let one = |chance: &mut Chance| {
            *chance.pick(&[
                "input.a",
                "!input.a",
                "input.b",
                "input.n > 1",
                "input.n < 2",
                "input.kind == \"x\"",
                "input.kind != \"y\"",
                "size(input.items) > 1",
            ])
        };
        let first = one(&mut self.chance);
        match self.chance.below(6) {
            0 => format!("{first} && {}", one(&mut self.chance)),
            1 => format!("{first} || {}", one(&mut self.chance)),
            _ => first.to_owned(),
        }
    }
}

fn input_schema() -> Value {
    json!({
        "type": "object",
        "required": ["a", "b", "n", "kind", "items"],
        "additionalProperties": false,
        "properties": {
            "a": {"type": "boolean"},
            "b": {"type": "boolean"},
            "n": {"type": "integer", "minimum": 0, "maximum": 3},
            "kind": {"enum": ["x", "y", "z"]},
            "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        },
    })
}
