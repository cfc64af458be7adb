//! Tasks for blocks: branches by `needs`, choices by `if`, loops as machines, sub-processes nested.

use super::blocks::{Block, Branch};
use super::condition::expression;
use super::definition::{Draft, indented, quoted};
use super::{Problem, refuse_node};
use crate::bpmn::{Kind, Node, Repeats, Scope, Trigger};

/// Flows of one choice: each condition excludes those before it.
const CHOICES_MAX: usize = 20;

/// What a task waits for.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    ids: Vec<String>,
    /// Some may have been skipped.
    is_any: bool,
}

pub struct Author<'a> {
    pub scope: &'a Scope,
    pub draft: &'a mut Draft,
    /// The tasks so far.
    pub lines: Vec<String>,
}

type Written = Result<Needs, Problem>;

impl Author<'_> {
    /// Writes blocks one after the other, the first under a condition. Returns what comes next needs.
    pub fn sequence(&mut self, blocks: &[Block], needs: &Needs, guard: Option<&str>) -> Written {
        let mut needs = needs.clone();
        for (at, block) in blocks.iter().enumerate() {
            needs = self.block(block, &needs, guard.filter(|_| at == 0))?;
        }
        Ok(needs)
    }

    fn block(&mut self, block: &Block, needs: &Needs, guard: Option<&str>) -> Written {
        match block {
            Block::Task(at) => Ok(self.task(*at, needs, guard)),
            Block::Nested(at, inside) => self.nested(*at, inside, needs, guard),
            Block::Fail(at) => Ok(self.fail(&self.scope.nodes[*at], needs, guard)),
            Block::Parallel(branches) => self.parallel(branches, needs, guard),
            Block::Choice { gateway, branches, is_exclusive } => {
                self.choice(*gateway, branches, *is_exclusive, needs, guard)
            }
            Block::Loop { head, exit, leave, body, again } => {
                self.repetition([*head, *exit, *leave], [body, again], needs, guard)
            }
        }
    }

    /// Adds a task: what it waits for, and its fields.
    fn add(&mut self, id: &str, needs: &Needs, guard: Option<&str>, fields: Vec<String>) -> Needs {
        self.lines.push(format!("{id}:"));
        let mut all = Vec::new();
        if !needs.ids.is_empty() {
            all.push(format!("needs: [{}]", needs.ids.join(", ")));
        }
        if needs.is_any && !needs.ids.is_empty() {
            all.push("join: none_failed".to_owned());
        }
        all.extend(guard.map(|it| format!("if: {}", quoted(it))));
        all.extend(fields);
        self.lines.extend(indented(&all));
        Needs { ids: vec![id.to_owned()], is_any: false }
    }

    fn task(&mut self, at: usize, needs: &Needs, guard: Option<&str>) -> Needs {
        let node = &self.scope.nodes[at];
        let id = self.draft.id(&node.id);
        let mut fields = Vec::new();
        if node.name != node.id {
            fields.push(format!("description: {}", quoted(&node.name)));
        }
        fields.extend(self.each(node, &id));
        fields.extend(self.work(node, &id));
        self.add(&id, needs, guard, fields)
    }

    /// What a task does: waits for what the language knows, or asks the handler of its name.
    fn work(&mut self, node: &Node, id: &str) -> Vec<String> {
        let signal = |name: &str| {
            let name = if name.is_empty() { id } else { name };
            vec!["uses: signal".to_owned(), format!("with: {{name: {}}}", quoted(name))]
        };
        match &node.kind {
            Kind::Catch(Trigger::Message(name) | Trigger::Signal(name)) => signal(name),
            Kind::Catch(Trigger::Timer { kind, text }) => {
                match (&**kind, is_plain_duration(text)) {
                    ("timeDuration", true) => {
                        vec!["uses: wait".to_owned(), format!("with: {{for: {}}}", quoted(text))]
                    }
                    _ => {
                        self.draft.notes.push(format!(
                            "`{id}` waits for a signal instead of the time `{text}`"
                        ));
                        signal("")
                    }
                }
            }
            _ => vec![format!("uses: {id}")],
        }
    }

    /// Once for each of a collection that the run is given.
    fn each(&mut self, node: &Node, id: &str) -> Vec<String> {
        let Some(repeats) = node.repeats else { return Vec::new() };
        let items = format!("{id}_items");
        self.draft.input(&items, "{type: array}");
        let mut fields = vec![format!("for_each: \"${{{{ input.{items} }}}}\"")];
        if repeats == Repeats::Sequential {
            fields.push("max_parallel: 1".to_owned());
        }
        fields
    }

    fn nested(
        &mut self,
        at: usize,
        inside: &[Block],
        needs: &Needs,
        guard: Option<&str>,
    ) -> Written {
        let node = &self.scope.nodes[at];
        let Kind::SubProcess(inner) = &node.kind else {
            return refuse_node(self.scope, at, "has no inside", "draw a task");
        };
        let id = self.draft.id(&node.id);
        let mut fields = self.each(node, &id);
        let mut author = Author { scope: inner, draft: &mut *self.draft, lines: Vec::new() };
        author.sequence(inside, &Needs::default(), None)?;
        if author.lines.is_empty() {
            return refuse_node(self.scope, at, "has no tasks", "take it out");
        }
        fields.push("tasks:".to_owned());
        fields.extend(indented(&author.lines));
        Ok(self.add(&id, needs, guard, fields))
    }

    fn fail(&mut self, node: &Node, needs: &Needs, guard: Option<&str>) -> Needs {
        let id = self.draft.id(&node.id);
        let message = quoted(&node.name.replace("${{", "$"));
        let fields = vec!["uses: fail".to_owned(), format!("with: {{message: {message}}}")];
        self.add(&id, needs, guard, fields)
    }

    fn parallel(&mut self, branches: &[Branch], needs: &Needs, guard: Option<&str>) -> Written {
        let mut after = Needs::default();
        for branch in branches.iter().filter(|it| !it.blocks.is_empty()) {
            let exits = self.sequence(&branch.blocks, needs, guard)?;
            if branch.joins {
                after.is_any |= exits.is_any;
                after.ids.extend(exits.ids);
            }
        }
        match (after.ids.is_empty(), guard) {
            (true, Some(_)) => Ok(self.pass("fork", needs, guard)),
            (true, None) => Ok(needs.clone()),
            (false, _) => Ok(after),
        }
    }

    /// A task that does nothing, where a branch is empty and something must say that it was taken.
    fn pass(&mut self, name: &str, needs: &Needs, guard: Option<&str>) -> Needs {
        let id = self.draft.id(&format!("{name}_passed"));
        let fields = vec!["uses: transform".to_owned(), "with: {passed: true}".to_owned()];
        self.add(&id, needs, guard, fields)
    }

    fn choice(
        &mut self,
        gateway: usize,
        branches: &[Branch],
        is_exclusive: bool,
        needs: &Needs,
        guard: Option<&str>,
    ) -> Written {
        if branches.len() > CHOICES_MAX {
            return refuse_node(self.scope, gateway, "has too many flows", "choose in steps");
        }
        let conditions = self.conditions(gateway, branches, is_exclusive);
        let node = &self.scope.nodes[gateway];
        let outer = |it: String| guard.map_or(it.clone(), |outer| format!("({outer}) && ({it})"));
        let mut after = Needs { ids: Vec::new(), is_any: true };
        let mut open: Vec<&str> = Vec::new();
        let mut has_default = false;
        for (branch, condition) in branches.iter().zip(&conditions) {
            let others: Vec<&str> = match condition {
                Some(_) if is_exclusive => open.clone(),
                Some(_) => Vec::new(),
                None => conditions.iter().flatten().map(String::as_str).collect(),
            };
            has_default |= condition.is_none();
            open.extend(condition.as_deref());
            let terms = others.iter().map(|it| format!("!({it})"));
            let all: Vec<String> = terms.chain(condition.clone()).collect();
            let taken = outer(if all.is_empty() { "true".to_owned() } else { all.join(" && ") });
            let exits = match branch.blocks.is_empty() {
                true => self.pass(&self.scope.flows[branch.flow].id.clone(), needs, Some(&taken)),
                false => self.sequence(&branch.blocks, needs, Some(&taken))?,
            };
            if branch.joins {
                after.ids.extend(exits.ids);
            }
        }
        if !has_default {
            let none: Vec<String> = open.iter().map(|it| format!("!({it})")).collect();
            let id = self.draft.id(&format!("{}_no_flow", node.id));
            let message =
                quoted(&format!("no flow of `{}` is open", node.name.replace("${{", "$")));
            let fields = vec!["uses: fail".to_owned(), format!("with: {{message: {message}}}")];
            self.add(&id, needs, Some(&outer(none.join(" && "))), fields);
        }
        Ok(after)
    }

    /// The condition of each branch; none for the default.
    fn conditions(
        &mut self,
        gateway: usize,
        branches: &[Branch],
        is_exclusive: bool,
    ) -> Vec<Option<String>> {
        let scope = self.scope;
        let node = &scope.nodes[gateway];
        let flows: Vec<_> = branches.iter().map(|it| &scope.flows[it.flow]).collect();
        if is_exclusive && flows.iter().all(|it| it.condition.is_none()) {
            // Nothing says how to choose: the run is told by name.
            let field = self.field(&node.id);
            let names: Vec<String> = flows.iter().map(|it| it.id.clone()).collect();
            let listed: Vec<String> = names.iter().map(|it| quoted(it)).collect();
            self.draft.input(&field, &format!("{{enum: [{}]}}", listed.join(", ")));
            self.draft.notes.push(format!(
                "`{}` goes by `input.{field}`, one of {}",
                node.name,
                names.join(", ")
            ));
            let last = flows.len() - 1;
            let by_name = |(at, it): (usize, &String)| {
                (at != last).then(|| format!("input.{field} == {}", quoted(it)))
            };
            return names.iter().enumerate().map(by_name).collect();
        }
        let mut conditions = Vec::new();
        for (branch, flow) in branches.iter().zip(flows) {
            if node.default == Some(branch.flow) {
                conditions.push(None);
                continue;
            }
            let text = flow.condition.as_deref().unwrap_or_default();
            conditions.push(Some(self.condition(&flow.id, text, "input")));
        }
        conditions
    }

    /// An expression for a condition; if it is no plain comparison, a field that tells its outcome.
    fn condition(&mut self, name: &str, text: &str, prefix: &str) -> String {
        let is_input = prefix == "input";
        if let Some((expression, names)) = expression(text, prefix) {
            names.iter().filter(|_| is_input).for_each(|it| self.draft.input(it, "{}"));
            return expression;
        }
        let field = self.field(name);
        if is_input {
            self.draft.input(&field, "{type: boolean}");
        }
        let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = if shown.is_empty() { "nothing".to_owned() } else { format!("`{shown}`") };
        self.draft.notes.push(format!(
            "`{prefix}.{field}` says whether `{name}` is taken; the file says {told}"
        ));
        self.lines.push(format!("# {field}: {told}"));
        format!("{prefix}.{field} == true")
    }

    fn field(&self, name: &str) -> String {
        let legal = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
        let field: String = name.chars().map(legal).collect();
        if field.starts_with(|it: char| it.is_ascii_digit()) { format!("f_{field}") } else { field }
    }

    /// A loop is a machine: its body, what comes before the body again, and the end.
    fn repetition(
        &mut self,
        [head, exit, leave]: [usize; 3],
        [body, again]: [&[Block]; 2],
        needs: &Needs,
        guard: Option<&str>,
    ) -> Written {
        let scope = self.scope;
        let id = self.draft.id(&scope.nodes[head].id);
        let [first, second, left] =
            ["body", "again", "left"].map(|it| self.draft.id(&format!("{id}_{it}")));
        let (body_lines, exits) = self.inside(body)?;
        let (again_lines, _) = self.inside(again)?;
        if body_lines.is_empty() && again_lines.is_empty() {
            return refuse_node(scope, head, "begins a loop without tasks", "take it out");
        }
        let prefix = match &*exits.ids {
            [only] => format!("output.{only}"),
            _ => "input".to_owned(),
        };
        let next = if again_lines.is_empty() { &first } else { &second };
        // Comments of conditions stand before the machine.
        let (to_leave, if_true) = self.leaving(exit, leave, &prefix);
        let (then, otherwise) = if if_true { (&left, next) } else { (next, &left) };
        self.draft.notes.push(format!(
            "the loop at `{}` is left by `{to_leave}`: see to it that it comes true",
            scope.nodes[exit].name
        ));
        let mut fields =
            vec![format!("initial: {first}"), "states:".to_owned(), format!("  {first}:")];
        if !body_lines.is_empty() {
            fields.push("    tasks:".to_owned());
            fields.extend(body_lines.iter().map(|it| format!("      {it}")));
        }
        fields.push("    next:".to_owned());
        fields.push(format!("      - {{if: {}, to: {then}}}", quoted(&to_leave)));
        fields.push(format!("      - {{to: {otherwise}}}"));
        if !again_lines.is_empty() {
            fields.extend([format!("  {second}:"), "    tasks:".to_owned()]);
            fields.extend(again_lines.iter().map(|it| format!("      {it}")));
            fields.push(format!("    next: {first}"));
        }
        fields.push(format!("  {left}: {{final: true}}"));
        Ok(self.add(&id, needs, guard, fields))
    }

    fn inside(&mut self, blocks: &[Block]) -> Result<(Vec<String>, Needs), Problem> {
        let mut author = Author { scope: self.scope, draft: &mut *self.draft, lines: Vec::new() };
        let needs = author.sequence(blocks, &Needs::default(), None)?;
        Ok((author.lines, needs))
    }

    /// The condition at the end of a loop, and whether it leaves the loop when it is true.
    fn leaving(&mut self, exit: usize, leave: usize, prefix: &str) -> (String, bool) {
        let scope = self.scope;
        let back =
            scope.nodes[exit].outgoing.iter().copied().find(|it| *it != leave).unwrap_or(leave);
        let has_text =
            |flow: usize| scope.flows[flow].condition.as_deref().is_some_and(|it| !it.is_empty());
        let (flow, leaves) =
            if has_text(leave) || !has_text(back) { (leave, true) } else { (back, false) };
        let flow = &scope.flows[flow];
        let text = flow.condition.clone().unwrap_or_default();
        (self.condition(&flow.id, &text, prefix), leaves)
    }
}

/// Whether a duration of ISO 8601 has a fixed length.
fn is_plain_duration(text: &str) -> bool {
    let date = text.strip_prefix('P').map(|it| it.split('T').next().unwrap_or_default());
    date.is_some_and(|it| !it.contains(['Y', 'M']))
        && text.len() > 2
        && text.chars().all(|it| it.is_ascii_digit() || "PTDHMSW".contains(it))
}
