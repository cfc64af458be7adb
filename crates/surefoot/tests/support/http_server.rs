//! A server on a real socket that answers by path, and as badly as asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
pub enum Answer {
    /// Writes these bytes and closes.
    Raw(String),
    /// Closes with a reset.
    Reset,
    /// Says nothing, for ever.
    Hang,
    /// Promises `length` bytes (or none: chunked) and writes until the peer has enough.
    Endless { length: Option<u64> },
}

/// An answer with a body, a content type and more header lines.
pub fn answer(status: &str, kind: &str, more: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Raw(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}\r\n{body}"
    ))
}

pub struct HttpServer {
    pub base: String,
    pub seen: Arc<Mutex<Vec<Request>>>,
}

impl HttpServer {
    pub async fn start(route: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (route, log) = (Arc::new(route), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&route), Arc::clone(&log)));
            }
        });
        HttpServer { base, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn last(&self) -> Request {
        self.seen.lock().unwrap().last().cloned().expect("a request came")
    }
}

async fn serve(
    mut stream: TcpStream,
    route: Arc<impl Fn(&Request) -> Answer>,
    log: Arc<Mutex<Vec<Request>>>,
) {
    let Some(request) = read_request(&mut stream).await else { return };
    log.lock().unwrap().push(request.clone());
    let answer = route(&request);
    match answer {
        Answer::Raw(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Answer::Reset => stream.set_zero_linger().unwrap(),
        Answer::Hang => std::future::pending().await,
        Answer::Endless { length } => {
            let length = length.map(|it| format!("content-length: {it}\r\n")).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{length}\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
        }
    }
}

/// Reads the head and as much body as its length says.
pub async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut start = lines.next()?.split(' ').map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|it| it.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Some(Request { method: start.next()?, target: start.next()?, headers, body })
}
