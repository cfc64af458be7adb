//! Shop and engine as processes of their own, so that the death of one is nothing to the other.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::crash::Moment;
use super::order::Order;
use super::shop::Shop;
use super::{Role, no_shop};
use crate::arguments::{Colour, TimeStyle};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::session::Session;

/// The shop, open until this is dropped.
pub struct ShopProcess {
    pub url: String,
    child: Child,
}

impl ShopProcess {
    pub fn start(session: &Session, order: &Order) -> Result<ShopProcess> {
        let mut command = this_program(session, order, Role::Shop)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(no_shop)?;
        let mut url = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut url).map_err(no_shop)?;
        }
        let shop = ShopProcess { url: url.trim().to_owned(), child };
        if shop.url.is_empty() {
            return Err(no_shop(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(shop)
    }
}

impl Drop for ShopProcess {
    fn drop(&mut self) {
        // The end of its input tells it to close. Waiting reaps it; nothing can be done if it fails.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Tells the URL, and keeps the shop open until whoever started it is gone.
pub async fn be_the_shop(order: &Order) -> Result<Exit> {
    let url = Shop::open(&order.ledger()).await.map_err(no_shop)?;
    let mut out = std::io::stdout();
    writeln!(out, "{url}")?;
    out.flush()?;
    // The pipe ends with the process that holds its other end, whatever becomes of that.
    let end =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _ = end.await;
    Ok(Exit::Ok)
}

/// Runs the order in a process of its own, to its end or to its death.
pub fn run_engine(
    session: &Session,
    order: &Order,
    shop_url: &str,
    crash: Option<Moment>,
) -> Result<ExitStatus> {
    let mut command = this_program(session, order, Role::Engine)?;
    command.args(["--shop-url", shop_url]).stdin(Stdio::null());
    match crash {
        Some(Moment::After(task)) => command.args(["--crash-at", task.name()]),
        Some(Moment::During) => command.arg("--crash-during"),
        None => &mut command,
    };
    let mut child = command.spawn().map_err(no_process)?;
    child.wait().map_err(no_process)
}

/// Prepares this very program in another role, with the settings of this process.
fn this_program(session: &Session, order: &Order, role: Role) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().map_err(no_process)?);
    let role = match role {
        Role::Shop => "shop",
        Role::Engine => "engine",
    };
    command.args(["demo", "--role", role, "--folder"]).arg(&order.folder);
    command.args(["--store", &session.settings.store]);
    command.args(["--color", colour(session.settings.colour)]);
    command.args(["--time", times(session.settings.time)]);
    for (flag, is_set) in
        [("--quiet", session.global.quiet), ("--no-progress", session.global.no_progress)]
    {
        if is_set {
            command.arg(flag);
        }
    }
    Ok(command)
}

fn colour(colour: Colour) -> &'static str {
    match colour {
        Colour::Auto => "auto",
        Colour::Always => "always",
        Colour::Never => "never",
    }
}

fn times(style: TimeStyle) -> &'static str {
    match style {
        TimeStyle::Relative => "relative",
        TimeStyle::Iso => "iso",
        TimeStyle::Local => "local",
    }
}

fn no_process(error: std::io::Error) -> Failure {
    Failure::new(Exit::Unreachable, "SF5082", format!("no process can be started: {error}"))
        .hint("Check the limits of processes of this user (`ulimit -u`).")
}
