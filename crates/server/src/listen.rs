//! The socket: where the service listens, and how it stops.

use std::future::Future;
use std::net::SocketAddr;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

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
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ListenError> {
    let router = service.router();
    let kept = service.clone();
    let keeper = tokio::spawn(async move { kept.keep().await });
    let stopped = async move {
        stop.await;
        service.begin_to_stop();
    };
    // An answer is one write, and an event too: none of them waits for the one before to arrive.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends in larger parts");
        }
    });
    let served = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stopped)
        .await;
    keeper.abort();
    served.map_err(ListenError::Serve)
}
