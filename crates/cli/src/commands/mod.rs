//! What each command does. Each has a file; the order of the cases is that of the help.

mod answers;
mod audit;
mod authority;
mod bench;
mod check;
mod completions;
mod config;
mod convert;
mod deploy;
mod dev;
mod graph;
mod help;
mod init;
mod logs;
mod ls;
mod mock;
mod nets;
mod replay;
mod run;
mod schedule;
mod secret;
mod server;
mod show;
mod start;
mod store;
mod task;
mod test;
mod test_file;
mod timeline;
mod token;
mod top;
mod verbs;
mod worker;

use surefoot::Command as Ask;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;
use crate::failure::Result;
use crate::session::Session;

pub fn dispatch(arguments: Arguments) -> Result<Exit> {
    // These answer without configuration, store or threads.
    match &arguments.command {
        Command::Help(help) => return help::help(help, arguments.global.colour()),
        Command::Completions(it) => return completions::completions(it),
        Command::Init(it) => return init::init(it, &arguments.global),
        _ => {}
    }
    let session = &Session::new(arguments.global)?;
    // Tests break the store on purpose; its complaints are no news.
    if session.global.verbose > 0 || !matches!(arguments.command, Command::Test(_)) {
        session.output.trace(session.global.verbose);
    }
    match arguments.command {
        Command::Check(it) => check::check(session, &it),
        Command::Graph(it) => graph::graph(session, &it),
        Command::Run(it) => run::run(session, &it),
        Command::Demo(it) => crate::demo::demo(session, &it),
        Command::Convert(it) => convert::convert(session, &it),
        Command::Test(it) => test::test(session, &it),
        Command::Dev(it) => dev::dev(session, &it),
        Command::Server(it) => server::server(session, &it),
        Command::Deploy(it) => deploy::deploy(session, &it),
        Command::Worker(it) => worker::worker(session, it),
        Command::Start(it) => start::start(session, &it),
        Command::Ls(it) => ls::ls(session, &it),
        Command::Show(it) => show::show(session, &it),
        Command::Logs(it) => logs::logs(session, &it),
        Command::Signal(it) => verbs::signal(session, &it),
        Command::Cancel(it) => verbs::verb(session, &it, Ask::Cancel),
        Command::Kill(it) => verbs::kill(session, &it),
        Command::Pause(it) => verbs::verb(session, &it, Ask::Pause),
        Command::Resume(it) => verbs::verb(session, &it, Ask::Resume),
        Command::Retry(it) => verbs::retry(session, &it),
        Command::Skip(it) => verbs::skip(session, it),
        Command::SetResult(it) => verbs::set_result(session, it),
        Command::Task(it) => task::task(session, it),
        Command::Schedule(it) => schedule::schedule(session, it),
        Command::Store(it) => store::store(session, it),
        Command::Token(it) => token::token(session, it),
        Command::Audit(it) => audit::audit(session, &it),
        Command::Secret(it) => secret::secret(session, it),
        Command::Config(it) => config::config(session, it),
        Command::Bench(it) => bench::bench(session, it),
        Command::Init(_) | Command::Completions(_) | Command::Help(_) => Ok(Exit::Ok),
    }
}
