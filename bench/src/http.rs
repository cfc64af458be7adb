//! HTTP/1.1 as one caller speaks it who wants nothing but speed: one request at a time over a
//! connection that stays open. What the callers cost, the server cannot have on the same machine.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What separates the head of an answer from its body.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Bytes that are read in one go.
const READ_BYTES: usize = 4096;

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// Writes a request once, to be sent many times. `headers` are lines with their ends.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, received: Vec::with_capacity(READ_BYTES) })
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let (status, head, length) = self.begin(request).await?;
        let length = length.ok_or_else(|| broken("an answer does not say its length"))?;
        while self.received.len() < head + length {
            self.read().await?;
        }
        Ok(Answer { status, body: &self.received[head..head + length] })
    }

    /// Sends a request whose answer does not end, and returns its status. What comes is read with
    /// [`Connection::hear`].
    pub async fn listen(&mut self, request: &[u8]) -> io::Result<u16> {
        let (status, head, _) = self.begin(request).await?;
        self.received.drain(..head);
        Ok(status)
    }

    /// Reads on until a text has come, and forgets everything up to it.
    pub async fn hear(&mut self, text: &[u8]) -> io::Result<()> {
        loop {
            if let Some(at) = find(&self.received, text) {
                self.received.drain(..at + text.len());
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Sends a request and reads the head of its answer: its status, where its body begins, and
    /// how long that is if it says so.
    async fn begin(&mut self, request: &[u8]) -> io::Result<(u16, usize, Option<usize>)> {
        self.received.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            if let Some(at) = find(&self.received, HEAD_END) {
                break at + HEAD_END.len();
            }
            self.read().await?;
        };
        let text = std::str::from_utf8(&self.received[..head]).map_err(broken)?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|it| it.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| broken("an answer does not begin with its status"))?;
        let length = lines.find_map(|it| {
            let (name, value) = it.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        Ok((status, head, length))
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up")),
            _ => Ok(()),
        }
    }
}

/// Whether bytes hold a text.
pub fn holds(bytes: &[u8], text: &[u8]) -> bool {
    find(bytes, text).is_some()
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|it| it == text)
}

fn broken(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answers_are_told_apart_on_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; READ_BYTES];
            for answer in
                ["201 Created\r\nContent-Length: 2\r\n\r\nok", "200 OK\r\n\r\nevent: one\n"]
            {
                assert!(stream.read(&mut seen).await.unwrap() > 0);
                // In two parts, as a network may bring it.
                let whole = format!("HTTP/1.1 {answer}");
                let (one, other) = whole.split_at(20);
                stream.write_all(one.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(other.as_bytes()).await.unwrap();
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        let asked = request("POST", "/v1/runs", "", "{}");
        assert!(holds(&asked, b"content-length: 2\r\n\r\n{}"));
        let answer = connection.ask(&asked).await.unwrap();
        assert_eq!((answer.status, answer.body), (201, &b"ok"[..]));
        assert_eq!(connection.listen(&asked).await.unwrap(), 200);
        connection.hear(b"event: ").await.unwrap();
        assert_eq!(connection.received, b"one\n");
        server.await.unwrap();
        assert!(connection.hear(b"more").await.is_err(), "the server hung up");
    }
}
