//! `surefoot server`: the service over the project's store, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use surefoot::{Engine, EngineBuilder, RemoteConfig};
use surefoot_server::{ListenError, Metrics, OpenError, ServerConfig, Service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::arguments::Server;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::live::Signals;
use crate::session::{Session, wait_on_all_cores};

/// What `--print-config` prints: every setting of the service with its default, commented.
const SAMPLE: &str = include_str!("../../templates/surefoot.toml");

pub fn server(session: &Session, arguments: &Server) -> Result<Exit> {
    if arguments.print_config {
        session.output.text(SAMPLE)?;
        return Ok(Exit::Ok);
    }
    let mut config = session.settings.server.clone();
    if let Some(listen) = &arguments.listen {
        config.listen.clone_from(listen);
    }
    if arguments.check_config {
        return wait_on_all_cores(check_config(session, config));
    }
    wait_on_all_cores(async {
        let (engine, metrics) = engine(session, session.builder(false)).await?;
        let served = Served::open(engine, config, metrics).await?;
        let address = served.address()?;
        session.output.say(format!(
            "surefoot {} serves on http://{address}, store {}",
            env!("CARGO_PKG_VERSION"),
            session.settings.store
        ));
        served.until_stopped(session).await
    })
}

/// The settings were read and are of the right shape; what is left is what they mean together.
async fn check_config(session: &Session, config: ServerConfig) -> Result<Exit> {
    let engine = Engine::builder().store("memory:").config(session.settings.engine.clone());
    let engine = engine.open().await?;
    let service = Service::open(engine.clone(), config).await.map_err(unusable)?;
    let checked = service.may_listen().map_err(not_listening);
    engine.stop(Duration::ZERO).await?;
    checked?;
    session.output.say("the configuration is valid");
    Ok(Exit::Ok)
}

/// Opens the engine of a server: tasks whose handlers are not here wait for workers, and what it
/// does is counted.
pub async fn engine(session: &Session, builder: EngineBuilder) -> Result<(Engine, Arc<Metrics>)> {
    let metrics = Arc::new(Metrics::default());
    let kinds = session.settings.server.worker_kinds.clone();
    let remote = RemoteConfig { kinds, ..RemoteConfig::default() };
    let builder = builder.remote_workers(remote).observer(metrics.clone());
    Ok((builder.open().await?, metrics))
}

/// A service that listens.
pub struct Served {
    pub engine: Engine,
    pub service: Service,
    listener: TcpListener,
}

impl Served {
    pub async fn open(
        engine: Engine,
        config: ServerConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Served> {
        keep_to_oneself();
        let opened = async {
            let service = Service::with_metrics(engine.clone(), config, metrics);
            let service = service.await.map_err(unusable)?;
            let listener = service.bind().await.map_err(not_listening)?;
            Ok((service, listener))
        };
        match opened.await {
            Ok((service, listener)) => Ok(Served { engine, service, listener }),
            Err(failure) => {
                engine.stop(Duration::ZERO).await?;
                Err(failure)
            }
        }
    }

    pub fn address(&self) -> Result<std::net::SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until the first signal, then lets attempts end; a second signal stops at once.
    pub async fn until_stopped(self, session: &Session) -> Result<Exit> {
        let Served { engine, service, listener } = self;
        let mut signals = Signals::new()?;
        let drain = service.config().drain_time();
        let stop = CancellationToken::new();
        let serving =
            tokio::spawn(surefoot_server::serve(service, listener, stop.clone().cancelled_owned()));
        notify("READY=1");
        signals.next().await;
        notify("STOPPING=1");
        session.output.say("stopping: attempts under way may end (again to stop at once)");
        stop.cancel();
        let end = async {
            engine.stop(drain).await?;
            match tokio::time::timeout(drain, serving).await {
                Ok(Ok(served)) => served.map_err(not_listening),
                // Connections that do not end are cut with the process.
                Ok(Err(_)) | Err(_) => Ok(()),
            }
        };
        tokio::select! {
            ended = end => ended.map(|()| Exit::Ok),
            () = signals.next() => Ok(Exit::Interrupted),
        }
    }
}

fn unusable(error: OpenError) -> Failure {
    match error {
        OpenError::Store(error) => error.into(),
        OpenError::Schedules(_) | OpenError::Triggers(_) => {
            Failure::new(Exit::Unreachable, "SF5013", error.to_string())
                .hint("`surefoot store verify` says what is wrong with the store.")
        }
        OpenError::Config(reason) => Failure::new(Exit::Usage, "SF5022", reason)
            .hint("`surefoot server --print-config` shows what may stand there."),
    }
}

fn not_listening(error: ListenError) -> Failure {
    let hint = match &error {
        ListenError::Address(_) => "Example: server.listen = \"127.0.0.1:7070\"",
        ListenError::Open(_) => {
            "Add tokens (`surefoot server --print-config` shows how), or listen on 127.0.0.1."
        }
        ListenError::Bind { .. } => "Another program may use the port: choose one with --listen.",
        ListenError::Serve(_) => "Start it again; nothing that was answered is lost.",
    };
    Failure::new(Exit::Unreachable, "SF5091", error.to_string()).hint(hint)
}

/// Closes the memory and the environment of this process, where secrets and their key are, to other
/// processes of the same user: programs of `shell` tasks are such. It leaves no core dump either.
fn keep_to_oneself() {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_DUMPABLE takes a number and touches no memory of ours.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "other processes of this user can read the server's memory");
    }
}

/// Tells the service manager how it goes (`sd_notify(3)`), if one started this process.
fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound()
        .and_then(|socket| socket.send_to(state.as_bytes(), path));
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
