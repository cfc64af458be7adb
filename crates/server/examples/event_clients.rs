//! How much memory streams of events take: `cargo run --release --example event_clients -- 10000`.
//! The clients are another process, so that only the server is measured. Both need as many open
//! files as there are clients: `ulimit -n 20000`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use surefoot::{Engine, StartRequest};
use surefoot_server::{ServerConfig, Service, serve};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

const RUNS: usize = 5;
const TICK: &str = "id: tick\nversion: 1.0.0\ntasks:\n  sum: {uses: transform, with: {value: 3}}\n";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [address, clients] => listen(address, clients.parse().unwrap()).await,
        [clients] => measure(clients.parse().unwrap()).await,
        _ => measure(10_000).await,
    }
}

async fn measure(clients: usize) {
    let engine = Engine::builder().open().await.unwrap();
    engine.deploy(TICK).await.unwrap();
    let listen = "127.0.0.1:0".to_owned();
    let config = ServerConfig { listen, event_clients: clients, ..ServerConfig::default() };
    let service = Service::open(engine.clone(), config).await.unwrap();
    let listener = service.bind().await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(service.clone(), listener, std::future::pending()));
    let before = resident_mib();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&address, &clients.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("open"));
    println!("{before:.1} MiB without clients");
    println!("{:.1} MiB with {}", resident_mib(), service.event_clients());
    let start = Instant::now();
    for _ in 0..RUNS {
        engine.execute(StartRequest::new("tick")).await.unwrap();
    }
    lines.next_line().await.unwrap();
    println!("{RUNS} runs were told to all within {:.2} s", start.elapsed().as_secs_f64());
    println!("{:.1} MiB afterwards", resident_mib());
}

/// Opens streams, says so, and says when each has heard of the end of every run.
async fn listen(address: &str, clients: usize) {
    let mut streams = Vec::new();
    for _ in 0..clients {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /v1/events?topics=runs:* HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        streams.push(stream);
    }
    // The heads are answered before all streams listen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("open");
    let listening: Vec<_> = streams.into_iter().map(|it| tokio::spawn(hear(it))).collect();
    for client in listening {
        client.await.unwrap();
    }
    println!("heard");
}

async fn hear(stream: TcpStream) {
    let mut lines = BufReader::new(stream).lines();
    let mut ended = 0;
    while ended < RUNS {
        let line = lines.next_line().await.unwrap().expect("the stream goes on");
        ended += usize::from(line.contains("\"status\":\"completed\""));
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}
