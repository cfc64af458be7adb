//! What an order left behind, and what that proves. The evidence is the shop's ledger and stock
//! and the run's journal: three witnesses that do not share a process.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use serde_json::{Value, json};
use surefoot::core::run::Run;
use surefoot::{RunId, RunStatus, inspect};

use super::crash::{Moment, Task};
use super::ledger::{self, Entry};
use super::order::{Order, TOTAL};
use super::shop::{CHARGES, NOTIFICATIONS};
use super::stock::{self, Stock};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::style;
use crate::session::Session;

pub struct Evidence {
    order: String,
    ledger_path: String,
    run: RunId,
    status: RunStatus,
    /// Attempts that the journal has of the payment.
    pay_attempts: u32,
    entries: Vec<Entry>,
    stock_before: Stock,
    stock_after: Stock,
    stock_expected: Stock,
    crash: Option<Crash>,
}

/// What was seen between the death of one engine and the start of the other.
struct Crash {
    signal: Option<i32>,
    run: RunId,
    records: u64,
}

/// Sentences, and whether each is true.
pub struct Proof(Vec<(String, bool)>);

/// Folds the run of an order from the store, whoever owns it.
pub async fn run_of(session: &Session, order: &Order) -> Result<Run> {
    let store = session.reader()?;
    let run = inspect::resolve(&*store, &format!("key:{}", order.id)).await?;
    Ok(inspect::load(&*store, run).await?)
}

impl Evidence {
    pub fn collect(order: &Order, run: &Run, stock_before: Stock) -> Result<Evidence> {
        let path = order.ledger();
        let entries = ledger::read(&path).map_err(|error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Failure::new(Exit::Unreachable, "SF5081", message).hint("Run the demo again.")
        })?;
        let state = run.state();
        let pay = state.children_of_root().find(|it| *run.node(*it).id == *Task::Pay.name());
        Ok(Evidence {
            order: order.id.clone(),
            ledger_path: path.display().to_string(),
            run: state.id,
            status: state.status,
            pay_attempts: pay.map_or(0, |it| state.task(it).attempt),
            entries,
            stock_expected: order.taken_from(&stock_before),
            stock_before,
            stock_after: stock::read(&order.stock())?,
            crash: None,
        })
    }

    /// Adds how the first engine died, and the run as it was found then.
    pub fn after_crash(self, killed: ExitStatus, found: &Run) -> Evidence {
        let (signal, state) = (killed.signal(), found.state());
        Evidence { crash: Some(Crash { signal, run: state.id, records: state.records }), ..self }
    }

    fn charges(&self) -> Vec<&Value> {
        ledger::done(&self.entries, CHARGES)
    }

    pub fn prove(&self, moment: Moment) -> Proof {
        let signal = self.crash.as_ref().and_then(|it| it.signal);
        let found = self.crash.as_ref().map(|it| (it.run, it.records));
        let keys = ledger::asked(&self.entries, CHARGES);
        let (requests, charges) = (keys.len(), self.charges().len());
        let notes = ledger::done(&self.entries, NOTIFICATIONS).len();
        let told = signal.map_or("no signal".to_owned(), |it| format!("signal {it}"));
        Proof(vec![
            (format!("the engine was killed by {told}, {moment}"), signal == Some(libc::SIGKILL)),
            (
                format!("the same run, {}, was found again and {}", self.run, self.status),
                found.is_some_and(|it| it.0 == self.run) && self.status == RunStatus::Completed,
            ),
            (
                format!(
                    "requests for the charge: {requests}, attempts in the journal: {}, idempotency keys: {}",
                    self.pay_attempts,
                    unique(&keys)
                ),
                requests_expected(moment).contains(&requests) && unique(&keys) == 1,
            ),
            (format!("charges made: {charges}"), charges == 1),
            ("stock changed once".to_owned(), self.stock_after == self.stock_expected),
            (format!("the customer was told: {notes} note"), notes == 1),
        ])
    }

    /// Writes what the shop knows, for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for charge in self.charges() {
            let id = charge["id"].as_str().unwrap_or_default();
            let amount = charge["amount"].as_f64().unwrap_or_default();
            let _ =
                writeln!(text, "ledger       charge {id}: {amount:.2} for order {}", self.order);
        }
        let _ = writeln!(text, "             {}", self.ledger_path);
        for (at, (sku, before)) in self.stock_before.iter().enumerate() {
            let after = self.stock_after.get(sku).copied().unwrap_or_default();
            let head = if at == 0 { "stock" } else { "" };
            let _ = writeln!(text, "{head:<12} {sku}: {before} before, {after} after");
        }
        let _ = writeln!(text, "run          {}", self.run);
        text
    }

    pub fn to_json(&self, proof: Option<&Proof>) -> Value {
        let crash = self
            .crash
            .as_ref()
            .map(|it| json!({"signal": it.signal, "run": it.run, "records_at_crash": it.records}));
        json!({
            "run": self.run,
            "status": self.status,
            "order": self.order,
            "amount": TOTAL,
            "ledger": self.ledger_path,
            "charges": self.charges(),
            "charge_requests": ledger::asked(&self.entries, CHARGES).len(),
            "pay_attempts": self.pay_attempts,
            "stock_before": self.stock_before,
            "stock_after": self.stock_after,
            "crash": crash,
            "proved": proof.map(Proof::holds),
        })
    }
}

/// A payment that was finished is never asked for again. One that the crash cut off is; and after
/// `validate` it may be on its way already when the process dies.
fn requests_expected(moment: Moment) -> RangeInclusive<usize> {
    match moment {
        Moment::After(Task::Pay | Task::Reserve | Task::Notify) => 1..=1,
        Moment::After(Task::Validate) => 1..=2,
        Moment::During => 2..=2,
    }
}

fn unique(keys: &[&str]) -> usize {
    keys.iter().collect::<std::collections::BTreeSet<_>>().len()
}

impl Proof {
    pub fn holds(&self) -> bool {
        self.0.iter().all(|it| it.1)
    }

    pub fn table(&self) -> String {
        let mut text = "\n".to_owned();
        for (sentence, is_true) in &self.0 {
            let _ = writeln!(text, "{} {sentence}", verdict(*is_true));
        }
        let answer = if self.holds() { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "{}",
            style::paint(style::HEADING, format!("payment ran once: {answer}"))
        );
        text
    }
}

fn verdict(is_true: bool) -> &'static str {
    if is_true { "  proved " } else { "  refuted" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn evidence(entries: Vec<Entry>) -> Evidence {
        let run = RunId::new(1, 1);
        let stock = |tea| Stock::from([("tea".to_owned(), tea)]);
        Evidence {
            order: "o".to_owned(),
            ledger_path: "l".to_owned(),
            run,
            status: RunStatus::Completed,
            pay_attempts: 1,
            entries,
            stock_before: stock(10),
            stock_after: stock(8),
            stock_expected: stock(8),
            crash: Some(Crash { signal: Some(libc::SIGKILL), run, records: 5 }),
        }
    }

    fn asked(key: &str) -> Entry {
        Entry::Asked { path: CHARGES.to_owned(), key: key.to_owned() }
    }

    fn done(path: &str, key: &str) -> Entry {
        Entry::Done { path: path.to_owned(), key: key.to_owned(), reply: json!({}) }
    }

    #[test]
    fn only_one_charge_under_one_key_is_a_proof() {
        let (charge, note) = (done(CHARGES, "k"), done(NOTIFICATIONS, "n"));
        let once = vec![asked("k"), charge.clone(), note.clone()];
        let asked_twice = vec![asked("k"), charge.clone(), asked("k"), note.clone()];
        let paid_twice =
            vec![asked("k"), charge.clone(), asked("l"), done(CHARGES, "l"), note.clone()];
        let after = Moment::After(Task::Pay);
        let cases = [
            (once.clone(), after, true),
            (once.clone(), Moment::During, false),
            (asked_twice.clone(), Moment::During, true),
            (asked_twice, after, false),
            (paid_twice.clone(), after, false),
            (paid_twice, Moment::During, false),
            (vec![asked("k"), charge], after, false),
            (vec![note], after, false),
        ];
        for (entries, moment, expected) in cases {
            let proof = evidence(entries.clone()).prove(moment);
            assert_eq!(proof.holds(), expected, "{entries:?}: {}", proof.table());
        }
        let alive = Evidence { crash: None, ..evidence(once) };
        assert!(!alive.prove(after).holds(), "nobody was killed");
    }
}
