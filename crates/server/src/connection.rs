//! One connection: HTTP/1.1, within bounds on the time and the size of what is sent before a handler
//! can look at it. Without them a thousand silent sockets would keep everybody else out.
//!
//! HTTP/2 is not served: over plain TCP no browser speaks it, and each of its floods (resets,
//! continuations, streams) would need a bound of its own.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::problem::Problem;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 100;

/// Adds to a router what connections need: a request whose end two readers may see in two places
/// ends its connection, so that nothing behind it is taken for another request.
pub fn framed(router: Router) -> Router {
    router.layer(from_fn(frame))
}

async fn frame(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return next.run(request).await;
    }
    // Hyper has dropped a length that came after the coding, and kept one that came before.
    let mut response = match headers.contains_key(header::CONTENT_LENGTH) {
        true => two_lengths().into_response(),
        false => next.run(request).await,
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn two_lengths() -> Problem {
    let title = "the body has two lengths";
    Problem::new(StatusCode::BAD_REQUEST, "SF4001", title)
        .detail("the request has a Content-Length and a Transfer-Encoding")
        .hint("Send one of them.")
}

/// Answers the requests of a connection until it ends. After `stopping` no further one is taken.
pub async fn serve(
    router: Router,
    (socket, address): (TcpStream, SocketAddr),
    head_time: Duration,
    stopping: CancellationToken,
) {
    // A small answer is not held back to be sent with the next one.
    let _ = socket.set_nodelay(true);
    let service = router.map_request(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection broke off");
    }
}
