//! `surefoot demo`: an order from start to end against a built-in shop, and the proof that it is
//! paid once even if the engine is killed in the middle.
//!
//! | file | holds |
//! |---|---|
//! | `order` | the workflow, its input, and the engine that runs it |
//! | `shop`, `http`, `ledger`, `stock` | the world outside of the engine |
//! | `crash` | the moments at which the engine is killed |
//! | `processes` | shop and engine as processes of their own |
//! | `proof` | what is left behind, and what it proves |

mod crash;
mod http;
mod ledger;
mod order;
mod processes;
mod proof;
mod shop;
mod stock;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use surefoot::core::run::Run;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{style, time};
use crate::session::{Session, wait, wait_on_all_cores};
use crash::{Moment, Task};
use order::Order;
use proof::Evidence;

/// Runs an order against a built-in shop; with --crash, kills itself and proves that nothing ran twice.
///
/// The shop is a payment service and a stock of this command's own; nothing leaves this machine.
/// Exits with 0 only if the order completed and, after a crash, was paid once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  surefoot demo\n  surefoot demo --crash\n  surefoot demo --crash-at reserve\n  surefoot demo --crash-during"
)]
pub struct Demo {
    /// Kills the engine (SIGKILL) as soon as the payment is durable, then starts it again.
    #[arg(long)]
    pub crash: bool,
    /// Kills it as soon as this task is durable.
    #[arg(long, value_name = "TASK", conflicts_with = "crash_during")]
    pub crash_at: Option<Task>,
    /// Kills it while it waits for the answer to the payment.
    #[arg(long)]
    pub crash_during: bool,
    #[command(flatten)]
    part: Part,
}

/// What this process is when it was started by a demo.
#[derive(Debug, Args)]
struct Part {
    #[arg(long, hide = true, requires = "folder")]
    role: Option<Role>,
    /// Of the order.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
    #[arg(long, hide = true)]
    shop_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    Shop,
    Engine,
}

impl Demo {
    fn moment(&self) -> Option<Moment> {
        match (self.crash_during, self.crash_at, self.crash) {
            (true, ..) => Some(Moment::During),
            (false, Some(task), _) => Some(Moment::After(task)),
            (false, None, true) => Some(Moment::After(Task::Pay)),
            (false, None, false) => None,
        }
    }
}

pub fn demo(session: &Session, arguments: &Demo) -> Result<Exit> {
    let moment = arguments.moment();
    match (arguments.part.role, &arguments.part.folder, moment) {
        (Some(Role::Shop), Some(folder), _) => {
            wait_on_all_cores(processes::be_the_shop(&Order::at(folder.clone())))
        }
        (Some(Role::Engine), Some(folder), _) => {
            let url = arguments.part.shop_url.as_deref().unwrap_or_default();
            let order = Order::at(folder.clone());
            let run = wait_on_all_cores(order::run(session, &order, url, moment))?;
            Ok(Exit::of_run(run.state().status))
        }
        (_, _, Some(moment)) => with_a_crash(session, moment),
        (_, _, None) => wait_on_all_cores(plain(session)),
    }
}

async fn plain(session: &Session) -> Result<Exit> {
    let order = Order::place(session)?;
    let shop_url = shop::Shop::open(&order.ledger()).await.map_err(no_shop)?;
    session.output.say(format!("a shop is open at {shop_url}; order {} comes in", order.id));
    let before = stock::read(&order.stock())?;
    let run = order::run(session, &order, &shop_url, None).await?;
    let evidence = Evidence::collect(&order, &run, before)?;
    let id = run.state().id;
    if !session.output.is_for_people() {
        session.output.value(&evidence.to_json(None), &id.to_string())?;
        return Ok(Exit::of_run(run.state().status));
    }
    session.output.say(ending(&run));
    session.output.text(&format!(
        "\n{}\nLook at it   surefoot show {id}\n             surefoot show {id} --history\nBreak it     surefoot demo --crash\n",
        evidence.table()
    ))?;
    Ok(Exit::of_run(run.state().status))
}

/// Lets an engine of its own die in the middle of an order, and another one finish it.
fn with_a_crash(session: &Session, moment: Moment) -> Result<Exit> {
    if session.store_path().is_none() {
        let message = "a run in memory does not outlive its process";
        return Err(Failure::new(Exit::Usage, "SF5081", message)
            .hint("Name a store on disk with --store, or leave it out."));
    }
    let order = Order::place(session)?;
    let shop = processes::ShopProcess::start(session, &order)?;
    let before = stock::read(&order.stock())?;
    session.output.say(format!("a shop is open at {}; order {} comes in", shop.url, order.id));
    let killed = processes::run_engine(session, &order, &shop.url, Some(moment))?;
    let found = wait(proof::run_of(session, &order))?;
    session.output.say(style::paint(style::HEADING, format!("the engine was killed {moment}")));
    session.output.say(format!("what the store has: {}", ended_tasks(&found)));
    session.output.say("another engine opens the store:");
    processes::run_engine(session, &order, &shop.url, None)?;
    let run = wait(proof::run_of(session, &order))?;
    let evidence = Evidence::collect(&order, &run, before)?.after_crash(killed, &found);
    let proof = evidence.prove(moment);
    let id = run.state().id;
    if !session.output.is_for_people() {
        session.output.value(&evidence.to_json(Some(&proof)), &id.to_string())?;
    } else {
        session.output.say(ending(&run));
        session.output.text(&format!(
            "\n{}{}\nLook at it   surefoot show {id} --history\n",
            evidence.table(),
            proof.table()
        ))?;
    }
    if proof.holds() {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Failed, "SF5083", "the demo did not prove what it promises")
        .hint(format!("Please report it, with the output of `surefoot show {id} --history`.")))
}

/// Lists the tasks of the order that have ended, and how.
fn ended_tasks(run: &Run) -> String {
    let tasks = run.state().children_of_root().map(|it| (it, run.state().task(it).status));
    let ended = tasks.filter(|(_, status)| status.is_ended());
    let words: Vec<String> =
        ended.map(|(task, status)| format!("{} {status}", run.node(task).id)).collect();
    words.join(", ")
}

fn ending(run: &Run) -> String {
    let state = run.state();
    let took = state.ended_at.unwrap_or(state.last_at).saturating_sub(state.created_at);
    let status = style::paint(style::run(state.status), state.status);
    format!("{} {} {status} after {}", state.created.workflow, state.id, time::took(took))
}

fn no_shop(error: std::io::Error) -> Failure {
    Failure::new(Exit::Unreachable, "SF5081", format!("the shop cannot be opened: {error}"))
        .hint("Check that this machine has a loopback address and a free port.")
}
