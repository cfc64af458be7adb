//! Just enough of an HTTP server for the built-in shop: one JSON request a connection, then close.

use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::shop::Shop;

/// Bytes of a request, head and body together.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

pub struct Request {
    pub path: String,
    /// The header `Idempotency-Key`.
    pub key: String,
    pub body: Value,
}

/// Answers requests for ever. Connections are served side by side.
pub async fn serve(listener: TcpListener, shop: Arc<Shop>) {
    loop {
        // What cannot be accepted now is refused by the system; the next one may fare better.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, shop.clone()));
        }
    }
}

/// A connection that breaks is the client's to notice: it asks again with the same key.
async fn talk(mut stream: TcpStream, shop: Arc<Shop>) {
    let (status, body) = match read(&mut stream).await {
        Ok(request) => shop.answer(request).await,
        Err(error) => (400, serde_json::json!({"error": error.to_string()})),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        reason(status),
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        _ => "Internal Server Error",
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        read_more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
    let length = header(&head, "content-length").unwrap_or("0").parse().map_err(invalid)?;
    let end = usize::saturating_add(head_len, length);
    while bytes.len() < end {
        read_more(stream, &mut bytes).await?;
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let key = header(&head, "idempotency-key").unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&bytes[head_len..end]).map_err(invalid)?;
    Ok(Request { path, key, body })
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.len() > REQUEST_BYTES_MAX {
        return Err(invalid("the request is too large"));
    }
    match stream.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|it| it.split_once(':'));
    lines.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
