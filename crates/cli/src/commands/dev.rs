//! `surefoot dev`: the service over the definitions of a directory, deployed whenever they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher as _};
use surefoot::core::check::CheckContext;
use surefoot::{Deployed, Engine, EngineBuilder};
use tokio::sync::mpsc;

use super::server::{Served, engine};
use crate::arguments::Dev;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::time::{clock, now};
use crate::output::{problem, style};
use crate::project::{self, Source};
use crate::session::{PROGRAM, Session, wait_on_all_cores};

/// Editors write a file in several steps; what comes within this time is one change.
const SETTLING: Duration = Duration::from_millis(60);

pub fn dev(session: &Session, arguments: &Dev) -> Result<Exit> {
    let started = Instant::now();
    wait_on_all_cores(async {
        let builder = match arguments.fresh {
            true => fresh(session),
            false => session.builder(false),
        };
        let (engine, metrics) = engine(session, builder).await?;
        let mut config = session.settings.server.clone();
        config.listen = format!("127.0.0.1:{}", arguments.port);
        let served = Served::open(engine.clone(), config, metrics).await?;
        let mut deployed = BTreeMap::new();
        deploy_all(session, &engine, &arguments.directory, &mut deployed, true).await?;
        greet(session, arguments, &served, &deployed, started)?;
        if arguments.no_reload {
            return served.until_stopped(session).await;
        }
        let (_watcher, changes) = watch(&arguments.directory)?;
        tokio::select! {
            ended = served.until_stopped(session) => ended,
            failure = redeploy(session, &engine, &arguments.directory, deployed, changes) => failure,
        }
    })
}

fn fresh(session: &Session) -> EngineBuilder {
    let config = session.settings.engine.clone();
    Engine::builder().store("memory:").program(PROGRAM).config(config)
}

fn greet(
    session: &Session,
    arguments: &Dev,
    served: &Served,
    deployed: &BTreeMap<PathBuf, Vec<Deployed>>,
    started: Instant,
) -> Result<()> {
    let names: Vec<String> =
        deployed.values().flatten().map(|it| format!("{} {}", it.workflow, it.version)).collect();
    let line = |name: &str, text: &str| {
        session
            .output
            .say(format!("  {} {text}", style::paint(style::SOFT, format!("{name:<10}"))));
    };
    session.output.say(format!(
        "surefoot {} dev    ready in {} ms",
        env!("CARGO_PKG_VERSION"),
        started.elapsed().as_millis()
    ));
    line("API", &format!("http://{}", served.address()?));
    match arguments.fresh {
        true => line("store", "in memory, forgotten at the end"),
        false => line(
            "store",
            &format!("{}   kept between restarts (--fresh to begin anew)", session.settings.store),
        ),
    }
    let verb = if arguments.no_reload { "deployed" } else { "watching" };
    match names.is_empty() {
        true => line(verb, "no *.surefoot.yaml yet; `surefoot init` makes one"),
        false => line(verb, &names.join(", ")),
    }
    Ok(())
}

/// Deploys every file that is new or has changed. A file that is rejected changes nothing.
async fn deploy_all(
    session: &Session,
    engine: &Engine,
    directory: &Path,
    deployed: &mut BTreeMap<PathBuf, Vec<Deployed>>,
    is_first: bool,
) -> Result<()> {
    let files = project::find(directory)?;
    deployed.retain(|path, _| files.contains(path));
    for path in files {
        let context = CheckContext { proved_before: true, ..CheckContext::default() };
        let source = match Source::read(&path, &context) {
            Ok(source) => source,
            Err(failure) => {
                failure.print(session.global.colour());
                continue;
            }
        };
        match deploy(engine, &source).await {
            Ok(done) => {
                let before = deployed.insert(path.clone(), done.clone()).unwrap_or_default();
                let hashes = |all: &[Deployed]| all.iter().map(|it| it.hash).collect::<Vec<_>>();
                if !is_first && hashes(&before) != hashes(&done) {
                    for it in done {
                        say(
                            session,
                            '✓',
                            &path,
                            &format!("{} {} deployed", it.workflow, it.version),
                        );
                    }
                }
            }
            Err(surefoot::DeployError::Store(error)) => return Err(error.into()),
            Err(error) => {
                say(session, '✗', &path, &format!("rejected, the version before stays: {error}"));
                let checked = Source::read(&path, &CheckContext::default())?;
                session.output.say(problem::draw(&checked, session.output.width).trim_end());
            }
        }
    }
    Ok(())
}

async fn deploy(
    engine: &Engine,
    source: &Source,
) -> std::result::Result<Vec<Deployed>, surefoot::DeployError> {
    let mut all = Vec::new();
    for text in source.texts() {
        all.push(engine.deploy_draft(&text).await?);
    }
    Ok(all)
}

fn say(session: &Session, sign: char, path: &Path, what: &str) {
    let at = clock(now(), session.output.time);
    let at = at.split('.').next().unwrap_or(&at);
    session.output.say(format!("{at} {sign} {}: {what}", path.display()));
}

/// Deploys what is saved from now on. Ends only when nothing is watched any more.
async fn redeploy(
    session: &Session,
    engine: &Engine,
    directory: &Path,
    mut deployed: BTreeMap<PathBuf, Vec<Deployed>>,
    mut changes: mpsc::Receiver<()>,
) -> Result<Exit> {
    while changes.recv().await.is_some() {
        tokio::time::sleep(SETTLING).await;
        while changes.try_recv().is_ok() {}
        if let Err(failure) = deploy_all(session, engine, directory, &mut deployed, false).await {
            failure.print(session.global.colour());
        }
    }
    std::future::pending().await
}

/// Tells of every change of a definition, for as long as the watcher is kept.
fn watch(directory: &Path) -> Result<(notify::RecommendedWatcher, mpsc::Receiver<()>)> {
    let (changed, changes) = mpsc::channel(1);
    let told = |error: notify::Error| {
        let message = format!("`{}` cannot be watched: {error}", directory.display());
        Failure::new(Exit::Usage, "SF5092", message)
            .hint("Start it with --no-reload, and again after a change.")
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_ours = |it: &PathBuf| it.to_string_lossy().contains(".surefoot.");
        if event.is_ok_and(|it| !it.kind.is_access() && it.paths.iter().any(is_ours)) {
            // A change that is not taken yet covers this one too.
            let _ = changed.try_send(());
        }
    })
    .map_err(told)?;
    watcher.watch(directory, RecursiveMode::Recursive).map_err(told)?;
    Ok((watcher, changes))
}
