//! The socket: where the service listens, and how it stops. What one connection may do is in
//! `connection`.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::service::Service;

/// Why the service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("server.listen: `{0}` is not an address: write it like 127.0.0.1:7070")]
    Address(String),
    #[error(
        "it will not listen on {0} without authentication: everybody who reaches it could do everything"
    )]
    Open(SocketAddr),
    #[error("it cannot listen on {address}: {reason}")]
    Bind { address: SocketAddr, reason: std::io::Error },
    #[error("it stopped listening: {0}")]
    Serve(std::io::Error),
}

impl Service {
    /// Takes the address that the configuration names. Anything but loopback is refused while
    /// callers are not authenticated.
    pub async fn bind(&self) -> Result<TcpListener, ListenError> {
        let address = self.may_listen()?;
        TcpListener::bind(address).await.map_err(|reason| ListenError::Bind { address, reason })
    }

    /// Returns the address that the configuration names, if the service may listen there.
    pub fn may_listen(&self) -> Result<SocketAddr, ListenError> {
        let text = &self.config().listen;
        let address: SocketAddr = text
            .replace("localhost", "127.0.0.1")
            .parse()
            .map_err(|_| ListenError::Address(text.clone()))?;
        if self.is_open() && !address.ip().is_loopback() {
            return Err(ListenError::Open(address));
        }
        Ok(address)
    }
}

/// Serves until `stop` resolves: then nothing new is taken, and what is under way ends.
pub async fn serve(
    service: Service,
    mut listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ListenError> {
    // An address that cannot be asked for is a socket that cannot be served.
    listener.local_addr().map_err(ListenError::Serve)?;
    let (router, head_time) = (connection::framed(service.router()), service.config().head_time());
    let kept = service.clone();
    let keeper = tokio::spawn(async move { kept.keep().await });
    let places = Arc::new(Semaphore::new(service.config().connections));
    let (stopping, connections) = (CancellationToken::new(), TaskTracker::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        let (socket, address) = tokio::select! {
            () = &mut stop => break,
            // It waits by itself while the process has no file descriptor left.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        // Beyond the bound a connection is closed unanswered: an answer would cost a place.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let served =
            connection::serve(router.clone(), (socket, address), head_time, stopping.clone());
        connections.spawn(async move {
            served.await;
            drop(place);
        });
    }
    drop(listener);
    service.begin_to_stop();
    stopping.cancel();
    connections.close();
    connections.wait().await;
    keeper.abort();
    Ok(())
}
