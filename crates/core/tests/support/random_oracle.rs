//! An oracle that draws answers and orders from a seed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use surefoot_core::run::bare_path;
use surefoot_core::simulate::{Answer, Ask, Asked, Choice, Oracle};
use surefoot_core::task_error::TaskError;

use super::Chance;

/// Draws answers that depend on the seed of the answers, the path and the number of the attempt,
/// and nothing else; and orders that depend on the seed of the orders. So two orders can be
/// compared under the same answers.
pub struct RandomOracle {
    answers: u64,
    order: Chance,
    /// Failing attempts, in percent.
    pub failures: usize,
    /// Attempts that are silent until their time is up, in percent of those that have a limit.
    pub time_outs: usize,
    /// Takes events before all else, so that machines end.
    pub events: bool,
    asked: BTreeMap<String, u32>,
}

impl RandomOracle {
    pub fn new(seed: u64) -> RandomOracle {
        RandomOracle::with_order(seed, seed)
    }

    pub fn with_order(answers: u64, order: u64) -> RandomOracle {
        RandomOracle {
            answers,
            order: Chance::new(order),
            failures: 20,
            time_outs: 10,
            events: true,
            asked: BTreeMap::new(),
        }
    }

    /// Returns the answer to the `tries`-th ask of a path.
    fn draw(&self, ask: &Ask<'_>, tries: u32) -> Answer {
        let mut seed = self.answers ^ (u64::from(tries) << 32);
        for byte in ask.path.bytes() {
            seed = seed.wrapping_mul(0x100_0000_01B3) ^ u64::from(byte);
        }
        let mut chance = Chance::new(seed);
        let answer = json!({"ok": chance.percent(60), "n": chance.below(4)});
        if ask.is_limited && chance.percent(self.time_outs) {
            return Answer::TimeOut;
        }
        let fails = chance.percent(self.failures);
        match ask.what {
            Asked::Signal(_) => Answer::Complete(answer),
            _ if fails => {
                let kind = *chance.pick(&["weak", "hard"]);
                Answer::Fail(TaskError::new(kind, "it went wrong"))
            }
            Asked::Work("http") => Answer::Complete(json!({
                "status": 200, "headers": {}, "json": answer, "url": "https://example.com/",
                "duration_ms": 1,
            })),
            Asked::Work(_) | Asked::SubRun | Asked::Approval | Asked::Event(_) => {
                Answer::Complete(answer)
            }
        }
    }
}

impl Oracle for RandomOracle {
    fn answer(&mut self, ask: &Ask<'_>) -> Answer {
        let tries = self.asked.entry(ask.path.to_owned()).or_default();
        *tries += 1;
        let tries = *tries;
        self.draw(ask, tries)
    }

    fn events(&mut self, _ask: &Ask<'_>) -> Vec<Value> {
        if self.events { vec![json!({"ok": true}), json!({"ok": false})] } else { Vec::new() }
    }

    fn choose(&mut self, enabled: &[Choice]) -> Option<usize> {
        Some(self.order.below(enabled.len()))
    }
}

/// Returns the possible answers to an ask, for `explore`: one good one, one failure if `fails`
/// says so, and a time-out where there is a limit.
pub fn some_answers(ask: &Ask<'_>, fails: &dyn Fn(&str) -> bool) -> Vec<Answer> {
    let good = Answer::Complete(json!({"ok": true, "n": 1}));
    match ask.what {
        Asked::Event(_) => vec![good],
        Asked::Signal(_) if ask.is_limited => vec![good, Answer::TimeOut],
        Asked::Signal(_) => vec![good],
        _ if fails(&bare_path(ask.path)) => {
            vec![good, Answer::Fail(TaskError::new("weak", "it went wrong"))]
        }
        _ => vec![good],
    }
}
