//! Random machines, proved and then executed: what is proved never to happen does not, and what is
//! refuted does. SUREFOOT_VERIFY_CASES says how many are tried.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{Chance, cases};
use surefoot_core::check::{CheckContext, CheckedDocument, check_source};
use surefoot_core::plan::Plan;
use surefoot_core::run::bare_path;
use surefoot_core::simulate::{
    Answer, Ask, Asked, Bounds, Choice, Clock, Oracle, Trace, What, simulate,
};
use surefoot_core::task_error::TaskError;
use surefoot_core::verify::{Proofs, Property, Verdict};

/// Executions of one machine.
const EXECUTIONS: u64 = 24;
/// Executions in which a gap that was reported must show.
const GAP_EXECUTIONS: u64 = 2_000;
/// Steps of one execution; machines may go on for ever.
const STEPS_MAX: usize = 120;

const VARIABLES: [&str; 10] = [
    "vars.n < 2",
    "vars.n >= 2",
    "vars.n == 3",
    "vars.n > 0 && !vars.flag",
    "vars.flag",
    "!vars.flag",
    "vars.n in [0, 1, 2]",
    "vars.n <= 1 || vars.flag",
    "vars.n != 1",
    "input.go",
];
const EVENTS: [&str; 3] = ["event.ok", "event.k > 1", "!event.ok && vars.n < 3"];
const OUTPUTS: [&str; 4] =
    ["output.ok", "!output.ok", "output.k >= 2", "output.k < 2 && vars.n < 2"];
const WRITES: [&str; 6] = [
    "n: '${{ vars.n + 1 }}'",
    "n: '${{ vars.n - 1 }}'",
    "n: 0",
    "flag: true",
    "flag: '${{ !vars.flag }}'",
    "n: '${{ vars.n + 2 }}', flag: false",
];

struct Machine {
    chance: Chance,
    states: usize,
}

impl Machine {
    fn draw(seed: u64) -> String {
        let mut chance = Chance::new(seed);
        let states = 2 + chance.below(5);
        let mut machine = Machine { chance, states };
        let mut source = String::from(
            "id: random\ninput: {type: object, required: [go], properties: {go: {type: boolean}}}\n\
             vars: {n: 0, flag: false}\ninitial: s0\nstates:\n",
        );
        for state in 0..states {
            let body = machine.state(state);
            writeln!(source, "  s{state}: {{{body}}}").unwrap();
        }
        source.push_str("  end: {final: true}\n");
        source
    }

    fn state(&mut self, at: usize) -> String {
        match self.chance.below(5) {
            0 | 1 => {
                let go = self.list(&EVENTS, 70);
                let other = self.list(&EVENTS, 40);
                let time = if self.chance.percent(30) {
                    format!(", after: {{1h: {}}}", self.list(&[], 60))
                } else {
                    String::new()
                };
                format!("on: {{go: {go}, other: {other}}}{time}")
            }
            2 => format!("next: {}", self.list(&[], 60)),
            3 => {
                let read = self.chance.below(self.states);
                let with = match self.chance.percent(30) && read != at {
                    true => format!(", with: {{a: '${{{{ tasks.s{read}.output.k }}}}'}}"),
                    false => String::new(),
                };
                let failed = match self.chance.percent(40) {
                    true => format!(", on: {{failed: {}}}", self.list(&[], 80)),
                    false => String::new(),
                };
                format!("uses: work{with}, next: {}{failed}", self.list(&OUTPUTS, 60))
            }
            _ => format!("uses: work, next: {}, on: {{go: end}}", self.list(&OUTPUTS, 50)),
        }
    }

    /// A list of transitions, in `percent` of all cases with a default.
    fn list(&mut self, guards: &[&str], percent: usize) -> String {
        let mut ways = Vec::new();
        for _ in 0..self.chance.below(3) {
            let all: Vec<&str> = guards.iter().copied().chain(VARIABLES).collect();
            let guard = *self.chance.pick(&all);
            ways.push(format!("{{if: '{guard}', {}}}", self.target()));
        }
        if ways.is_empty() || self.chance.percent(percent) {
            ways.push(format!("{{{}}}", self.target()));
        }
        format!("[{}]", ways.join(", "))
    }

    fn target(&mut self) -> String {
        let to = match self.chance.below(self.states + 1) {
            state if state < self.states => format!("s{state}"),
            _ => "end".to_owned(),
        };
        match self.chance.percent(50) {
            true => format!("to: {to}, set: {{{}}}", self.chance.pick(&WRITES)),
            false => format!("to: {to}"),
        }
    }
}

/// Draws everything anew, so that many executions see much.
struct Draws(Chance);

impl Draws {
    fn data(&mut self) -> Value {
        json!({"ok": self.0.percent(50), "k": self.0.below(4)})
    }
}

impl Oracle for Draws {
    fn answer(&mut self, _ask: &Ask<'_>) -> Answer {
        match self.0.percent(25) {
            true => Answer::Fail(TaskError::new("weak", "it went wrong")),
            false => Answer::Complete(self.data()),
        }
    }

    fn events(&mut self, ask: &Ask<'_>) -> Vec<Value> {
        match ask.what {
            Asked::Event(_) => vec![self.data()],
            Asked::Work(_) | Asked::SubRun | Asked::Approval | Asked::Signal(_) => Vec::new(),
        }
    }

    fn choose(&mut self, enabled: &[Choice]) -> Option<usize> {
        Some(self.0.below(enabled.len()))
    }
}

struct Case {
    seed: u64,
    source: String,
    plan: Arc<Plan>,
    proofs: Arc<Proofs>,
}

impl Case {
    /// Draws a machine; nothing if other checks refuse it.
    fn new(seed: u64) -> Option<Case> {
        let source = Machine::draw(seed);
        let check = |proved_before| -> CheckedDocument {
            let context = CheckContext { proved_before, ..CheckContext::default() };
            check_source(source.as_bytes(), &context).remove(0)
        };
        let plan = check(true).plan?;
        let proofs = check(false).proofs?;
        Some(Case { seed, source, plan, proofs })
    }

    fn run(&self, order: u64) -> Trace {
        let mut chance = Chance::new(self.seed.wrapping_mul(1_000_003) ^ order);
        let input = json!({"go": chance.percent(50)});
        let clock = if chance.percent(50) { Clock::Eager } else { Clock::Patient };
        let bounds = Bounds { steps_max: STEPS_MAX, clock, ..Bounds::default() };
        simulate(&self.plan, &input, &mut Draws(chance), bounds)
    }

    fn subjects(&self, property: Property, wanted: fn(&Verdict) -> bool) -> BTreeSet<&str> {
        let proofs = self.proofs.proofs.iter();
        let found = proofs.filter(|it| it.property == property && wanted(&it.verdict));
        found.map(|it| it.subject.as_str()).collect()
    }

    fn told(&self, trace: &Trace) -> String {
        format!("seed {}\n{}\n{trace}", self.seed, self.source)
    }
}

fn is_proved(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Proved { .. })
}

fn is_refuted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refuted { .. })
}

/// The type of the error that a run failed with, and the state.
fn failure(trace: &Trace) -> Option<(String, String)> {
    let error = trace.error.as_ref()?;
    Some((error.error.kind.clone(), bare_path(error.task.as_deref().unwrap_or_default())))
}

#[test]
fn what_is_proved_of_a_machine_holds_and_what_is_refuted_happens() {
    let (mut dead, mut total, mut gaps, mut assigned, mut hot, mut tried) = (0, 0, 0, 0, 0, 0);
    for case in (0..cases(12)).filter_map(Case::new) {
        tried += 1;
        let never = case.subjects(Property::Reachability, is_refuted);
        let always = case.subjects(Property::Exhaustive, is_proved);
        let gap = case.subjects(Property::Exhaustive, is_refuted);
        let unread = case.subjects(Property::Assigned, is_refuted);
        let open = case.subjects(Property::Assigned, |it| matches!(it, Verdict::Unknown { .. }));
        let cold = case.subjects(Property::NoHotLoop, is_proved);
        let turning = case.subjects(Property::NoHotLoop, is_refuted);
        (dead, total) = (dead + never.len(), total + always.len());
        (gaps, assigned, hot) = (gaps + gap.len(), assigned + unread.len(), hot + turning.len());
        let mut left: BTreeSet<String> = gap.iter().map(|it| (*it).to_owned()).collect();
        let mut has_turned = turning.is_empty();
        for order in 0..GAP_EXECUTIONS {
            if order >= EXECUTIONS && left.is_empty() && has_turned {
                break;
            }
            let trace = case.run(order);
            for step in &trace.steps {
                if matches!(step.what, What::Entered { .. }) {
                    assert!(!never.contains(&*bare_path(&step.path)), "{}", case.told(&trace));
                }
            }
            let Some((kind, state)) = failure(&trace) else { continue };
            match kind.as_str() {
                "no_match" => {
                    assert!(!always.contains(&*state), "{}", case.told(&trace));
                    left.remove(&state);
                }
                "hot_loop" => {
                    assert!(cold.is_empty(), "{}", case.told(&trace));
                    has_turned = true;
                }
                // The only expressions that may fail here read outputs.
                "expression" => {
                    assert!(!unread.is_empty() || !open.is_empty(), "{}", case.told(&trace));
                }
                _ => {}
            }
        }
        assert!(
            left.is_empty(),
            "gaps of {left:?} do not show; seed {}\n{}",
            case.seed,
            case.source
        );
        assert!(has_turned, "no loop turns; seed {}\n{}", case.seed, case.source);
    }
    // Enough of each, or the test shows nothing.
    let counts = [dead, total, gaps, assigned, hot];
    assert!(tried > 10 && counts.iter().all(|it| *it > 0), "{tried} machines: {counts:?}");
}
