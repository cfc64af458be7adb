//! Random machines, for `random_definitions`: guards, variables, events, times, loops that end.

use serde_json::{Map, Value, json};

use super::random_definitions::Draft;

/// Rounds that loops may make before only forward transitions are open.
const ROUNDS: usize = 2;

/// Draws `initial`, `states` and `vars`. The last state is final; forward transitions lead to
/// later states, backward ones count `vars.n`.
pub(super) fn machine(draft: &mut Draft, prefix: &str, depth: usize) -> Map<String, Value> {
    let count = 1 + draft.chance.below(4.min(draft.left.max(1)));
    let mut states = Map::new();
    for at in 0..count {
        draft.left = draft.left.saturating_sub(1);
        let state = state(draft, prefix, at, count, depth);
        states.insert(format!("{prefix}{at}"), state);
    }
    let output = draft.chance.percent(40).then(|| json!({"ok": true, "n": "${{ vars.n }}"}));
    let mut last = json!({"final": true});
    if let Some(output) = output {
        last["output"] = output;
    }
    states.insert(format!("{prefix}{count}"), last);
    let mut machine = Map::new();
    machine.insert("vars".into(), json!({"n": 0, "ok": false}));
    machine.insert("initial".into(), json!(format!("{prefix}0")));
    machine.insert("states".into(), Value::Object(states));
    machine
}

fn state(draft: &mut Draft, prefix: &str, at: usize, count: usize, depth: usize) -> Value {
    let mut state = Map::new();
    let has_work = draft.chance.percent(55);
    let way = Way { prefix, at, count };
    if has_work {
        let answer = draft.work(&mut state, &format!("{prefix}{at}"), depth);
        let output = answer.map(|it| format!("default({it}.ok, false)"));
        let mut next = way.guarded(draft, output.as_deref());
        next.push(json!({"to": way.forward(draft)}));
        if draft.options.broken_expressions && draft.chance.percent(8) {
            // A gap: `no_match` if no guard is true.
            next.pop();
            next.push(json!({"if": draft.input_condition(), "to": way.forward(draft)}));
        }
        state.insert("next".into(), Value::Array(next));
        let mut on = Map::new();
        if draft.chance.percent(60) {
            on.insert("failed".into(), json!([{"to": way.forward(draft)}]));
        }
        if draft.chance.percent(20) {
            on.insert("other".into(), json!([{"to": way.forward(draft)}]));
        }
        if !on.is_empty() {
            state.insert("on".into(), Value::Object(on));
        }
    } else if draft.chance.percent(25) {
        // Left at once.
        let mut next = way.guarded(draft, None);
        next.push(json!({"to": way.forward(draft)}));
        state.insert("next".into(), Value::Array(next));
    } else {
        let mut go = way.guarded(draft, Some("default(event.ok, false)"));
        go.push(json!({"to": way.forward(draft)}));
        let mut on = Map::new();
        on.insert("go".into(), Value::Array(go));
        if draft.chance.percent(40) {
            on.insert("back".into(), json!([way.backward(draft)]));
        }
        state.insert("on".into(), Value::Object(on));
    }
    if draft.chance.percent(25) {
        let after = *draft.chance.pick(&["5s", "20m", "2h"]);
        state.insert("after".into(), json!({after: [{"to": way.forward(draft)}]}));
    }
    Value::Object(state)
}

/// Where the transitions of a state may lead.
struct Way<'a> {
    prefix: &'a str,
    at: usize,
    count: usize,
}

impl Way<'_> {
    fn forward(&self, draft: &mut Draft) -> String {
        let to = self.at + 1 + draft.chance.below(self.count - self.at);
        format!("{}{to}", self.prefix)
    }

    fn backward(&self, draft: &mut Draft) -> Value {
        let to = draft.chance.below(self.at + 1);
        json!({
            "if": format!("vars.n < {ROUNDS}"),
            "to": format!("{}{to}", self.prefix),
            "set": {"n": "${{ vars.n + 1 }}"},
        })
    }

    /// Draws up to two transitions with guards.
    fn guarded(&self, draft: &mut Draft, answer: Option<&str>) -> Vec<Value> {
        let mut ways = Vec::new();
        for _ in 0..draft.chance.below(3) {
            let way = match (draft.chance.below(4), answer) {
                (0, _) => self.backward(draft),
                (1 | 2, Some(answer)) => {
                    json!({"if": answer, "to": self.forward(draft), "set": {"ok": true}})
                }
                (1, None) => json!({"if": "vars.ok", "to": self.forward(draft)}),
                _ => json!({"if": draft.input_condition(), "to": self.forward(draft)}),
            };
            ways.push(way);
        }
        ways
    }
}
