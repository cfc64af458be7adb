//! One test that lets secrets of every source loose in a real server, and then looks for them in
//! everything that it left: answers, streams, files, logs, deliveries.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::Project;

/// Names and values. What is looked for is the middle, so that a part is found too.
const SECRETS: [(&str, &str); 3] = [
    ("of_env", "K4n4ryEnvironmentQ7/+ x&1="),
    ("of_file", "K4n4ryFileOfSecretsZ3/+ y&2="),
    ("of_store", "K4n4ryKeptInTheStoreW5/+ z&3="),
];
/// In the URL of a database.
const PASSWORD: &str = "K4n4ryPasswordOfUrl";
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of others: repeats what it is sent, in several forms, and keeps deliveries.
struct Outside {
    address: SocketAddr,
    delivered: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    fn open() -> Outside {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let delivered: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = delivered.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || answer(socket.unwrap(), &kept));
            }
        });
        Outside { address, delivered }
    }
}

fn answer(mut socket: TcpStream, delivered: &Mutex<Vec<String>>) {
    let request = read_request(&mut socket);
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let bytes: String = request.bytes().map(|it| format!("{it:02x}")).collect();
    let repeated = format!("{request}\n{}\n{bytes}\n", STANDARD.encode(&request));
    let (head, body) = match path.split('?').next().unwrap_or_default() {
        "/in" => {
            delivered.lock().unwrap().push(request);
            ("204 No Content", String::new())
        }
        "/fail" => ("500 Internal Server Error", repeated),
        // What is kept of an error's body ends in the middle of the secret.
        "/cut" => {
            let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
            ("500 Internal Server Error", format!("{}{body}", "x".repeat(4096 - 20)))
        }
        "/json" => {
            ("200 OK\r\ncontent-type: application/json", json!({"got": request}).to_string())
        }
        _ => ("200 OK\r\ncontent-type: text/plain", repeated),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    let _ = socket.write_all(format!("{head}{body}").as_bytes());
}

fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| {
                let (name, value) = it.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match socket.read(&mut part) {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend(&part[..count]),
        }
    }
}

/// The real server, with its log in a file.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn open(project: &Project, environment: &[(&str, &str)]) -> Server {
        let log = std::fs::File::create(project.path().join("server.log")).unwrap();
        let mut command = project.command(&["server", "--listen", "127.0.0.1:0", "-vvv"]);
        command.envs(environment.iter().copied());
        let child = command.stdout(log.try_clone().unwrap()).stderr(Stdio::from(log)).spawn();
        let mut child = child.unwrap();
        loop {
            let text = std::fs::read_to_string(project.path().join("server.log")).unwrap();
            let address = text.split("serves on http://").nth(1).and_then(|it| it.split_once(','));
            if let Some((address, _)) = address {
                return Server { child, address: address.parse().unwrap() };
            }
            assert!(child.try_wait().unwrap().is_none(), "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request and returns the whole answer, with its head.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let kind =
            if path.starts_with("/v1/workflows/") && method == "PUT" { "yaml" } else { "json" };
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-type: application/{kind}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn json(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, path, &body);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {answer}"))
    }

    /// Reads a stream of events until it has said something.
    fn events(&self, path: &str, until: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        socket.write_all(head.as_bytes()).unwrap();
        let (mut text, mut part) = (String::new(), [0; 4096]);
        while !text.contains(until) {
            let count = socket.read(&mut part).unwrap();
            assert_ne!(count, 0, "{path} ended without {until}: {text}");
            text.push_str(&String::from_utf8_lossy(&part[..count]));
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(project: &Project, outside: SocketAddr) {
    project.write("secrets.env", &format!("{}={}\n", SECRETS[1].0, SECRETS[1].1));
    project.write(
        "surefoot.toml",
        &format!(
            r#"
[shell]
enabled = true
[http]
allow_private = true
[secrets]
file = "secrets.env"
key_file = "secrets.key"
[databases.shop]
url = "sqlite::memory:"
[databases.away]
url = "postgres://ada:{PASSWORD}@127.0.0.1:1/shop"
[[server.notify]]
name = "oncall"
on = ["failed", "completed"]
webhook = "http://{outside}/in"
secret = "of_file"
"#
        ),
    );
}

/// Tasks that use a secret in every way that there is; some fail.
fn tasks(secret: &str, outside: SocketAddr) -> Vec<(&'static str, Value)> {
    let it = format!("${{{{ secrets.{secret} }}}}");
    let http = |path: &str, more: Value| {
        let mut with = json!({"url": format!("http://{outside}{path}"), "method": "POST"});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("http", with)
    };
    let shell = |script: &str| ("shell", json!({"script": script, "env": {"TOKEN": it}}));
    let sql = |database: &str, query: &str| {
        ("sql", json!({"database": database, "query": query, "params": [it]}))
    };
    vec![
        http("/echo", json!({"headers": {"X-Api-Key": it}})),
        http("/echo", json!({"auth": {"bearer": it}})),
        http("/echo", json!({"auth": {"basic": {"user": "ada", "password": it}}})),
        http("/json", json!({"json": {"key": it}})),
        http("/echo", json!({"form": {"key": it}})),
        http("/echo", json!({"query": {"key": it}})),
        http("/fail", json!({"auth": {"basic": {"user": "bob", "password": it}}})),
        http("/fail", json!({"body": it})),
        http("/cut", json!({"body": it})),
        ("http", json!({"url": "http://127.0.0.1:1/", "headers": {"X-Api-Key": it}})),
        ("http", json!({"url": format!("{it}://nowhere/"), "headers": {"X-Api-Key": it}})),
        shell(
            "echo \"it is $TOKEN\"; printf %s \"$TOKEN\" | base64; printf %s \"$TOKEN\" | od -An -tx1 | tr -d ' \\n'",
        ),
        shell("echo \"no $TOKEN\" >&2; printf 'x%s' \"$TOKEN\" | base64 >&2; exit 3"),
        shell("cat \"/$TOKEN\""),
        sql("shop", "select ? as it"),
        sql("shop", "select json_extract(?, '$.a')"),
        sql("away", "select $1"),
        (
            "emit",
            json!({"type": "test", "to": format!("http://{outside}/echo"), "data": {"key": it}}),
        ),
        ("charge", json!({"card": it})),
        ("charge", json!({"card": it, "fail": true})),
    ]
}

/// Works off one task of a worker: says the secret in every place where a worker can say something.
fn work(server: &Server, worker: &str) {
    let ask = json!({"slots": 1, "wait_seconds": 20});
    let path = format!("/v1/workers/{worker}/poll");
    let task = server.json("POST", &path, ask)["tasks"][0].clone();
    let card = task["input"]["card"].as_str().unwrap();
    let encoded = STANDARD.encode(format!("id:{card}"));
    let lease = format!("/v1/leases/{}", task["lease"].as_str().unwrap());
    let said = json!({"message": format!("charging {card}"),
        "logs": [{"level": "info", "text": format!("{card} {encoded}")}]});
    server.ask("POST", &format!("{lease}/heartbeat"), &said.to_string());
    let workers = server.ask("GET", "/v1/workers", "");
    no_secret("workers", workers.as_bytes());
    let (end, body) = match task["input"]["fail"].is_boolean() {
        true => (
            "fail",
            json!({"error": {"type": "declined", "message": format!("{card} is declined"),
            "retryable": false, "details": {"card": card, "encoded": encoded}}}),
        ),
        false => ("complete", json!({"output": {"card": card, "encoded": encoded, card: 1}})),
    };
    let answer = server.ask("POST", &format!("{lease}/{end}"), &body.to_string());
    assert!(answer.contains(" 200 "), "{answer}");
}

/// Looks for the middle of every secret, as it is and encoded.
#[track_caller]
fn no_secret(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for value in SECRETS.map(|it| it.1).into_iter().chain([PASSWORD]) {
        let middle = &value[2..18];
        let hex: String = middle.bytes().map(|it| format!("{it:02x}")).collect();
        let mut forms = vec![middle.to_owned(), hex.to_uppercase(), hex];
        for before in 0..3 {
            let text = STANDARD.encode([&vec![b'x'; before], middle.as_bytes()].concat());
            // Letters at both ends share bits with what is around.
            forms.push(text[4..20].to_owned());
        }
        for form in forms {
            let line = text.lines().find(|it| it.contains(&form));
            assert!(line.is_none(), "{place} has {form} of {value}: {line:?}");
        }
    }
}

/// Looks through every file below a directory, but for those that hold secrets by intention.
fn no_secret_in_files(directory: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            count += no_secret_in_files(&path);
        } else if !["surefoot.toml", "secrets.env", "secrets.key"].contains(&name.as_str()) {
            no_secret(&name, &std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    count
}

/// What was left, by its place.
type Left = Vec<(String, String)>;

/// Executes every task with every secret, and collects what is said of the runs. Returns how many.
fn let_loose(project: &Project, server: &Server, outside: SocketAddr, left: &mut Left) -> usize {
    let worker = json!({"name": "till", "capabilities": ["charge"], "labels": {}, "slots": 1,
        "protocol": 1, "sdk": "test/0"});
    let worker = server.json("POST", "/v1/workers", worker)["worker"].clone();
    let mut runs = 0;
    for (secret, _) in SECRETS {
        for (number, (uses, with)) in tasks(secret, outside).into_iter().enumerate() {
            let id = format!("{secret}_{number}");
            let task = json!({"uses": uses, "with": with, "effect": "none"});
            let output = json!("${{ tasks.use.output }}");
            let source = json!({"id": id, "tasks": {"use": task}, "output": output});
            let put = server.ask("PUT", &format!("/v1/workflows/{id}"), &source.to_string());
            assert!(put.contains(" 201 "), "{put}");
            let path = format!("/v1/workflows/{id}/runs");
            let run = server.json("POST", &path, json!({}))["id"].as_str().unwrap().to_owned();
            if uses == "charge" {
                work(server, worker.as_str().unwrap());
            }
            let result = server.ask("GET", &format!("/v1/runs/{run}/result?wait=60"), "");
            let is_good = with["url"].as_str().is_some_and(|it| it.ends_with("/echo"));
            assert!(result.contains("completed") || result.contains("failed"), "{result}");
            assert!(!is_good || result.contains("completed"), "{result}");
            left.push((format!("result of {id}"), result));
            said_of_run(server, &run, left);
            // Once is enough: a command shows what the server answers.
            for command in ["show", "logs"].into_iter().filter(|_| secret == SECRETS[2].0) {
                let done = project.run(&["--server", &server.url(), command, &run]);
                left.push((format!("{command} of {id}"), format!("{}{}", done.out, done.err)));
            }
            runs += 1;
        }
    }
    runs
}

fn said_of_run(server: &Server, run: &str, left: &mut Left) {
    for part in [
        "",
        "/history",
        "/tasks",
        "/tasks/use",
        "/tasks/use/attempts",
        "/tasks/use/logs",
        "/tasks/use/why",
        "/transitions",
        "/graph",
        "/records",
        "/trace",
        "/export",
    ] {
        let path = format!("/v1/runs/{run}{part}");
        left.push((path.clone(), server.ask("GET", &path, "")));
    }
    let topics = format!("/v1/events?after=0-0&topics=run:{run},logs:{run}/*");
    left.push((topics.clone(), server.events(&topics, "\"status\":\"")));
}

/// Collects what is said of everything at once, and of what is refused.
fn look_around(project: &Project, server: &Server, left: &mut Left) {
    for path in [
        "/v1/runs",
        "/v1/workflows",
        "/v1/audit",
        "/v1/secrets",
        "/metrics",
        "/v1/workers",
        "/v1/capabilities",
        "/v1/subscriptions",
        "/v1/subscriptions/all/deliveries",
        "/v1/subscriptions/notify.oncall/deliveries",
        "/openapi.json",
        "/healthz",
        "/readyz",
    ] {
        left.push((path.to_owned(), server.ask("GET", path, "")));
    }
    let last = format!("{}_{}", SECRETS[2].0, tasks("x", server.address).len() - 1);
    let events = server.events("/v1/events?after=0-0&topics=runs:*", &last);
    left.push(("all events".to_owned(), events));
    for (name, value) in [("a-b", json!(SECRETS[2].1)), ("a", json!([SECRETS[2].1]))] {
        let body = json!({"value": value}).to_string();
        left.push(("refused".to_owned(), server.ask("PUT", &format!("/v1/secrets/{name}"), &body)));
    }
    for arguments in [["config", "show"], ["secret", "list"]] {
        let url = server.url();
        let done = project.run(&["--server", &url, arguments[0], arguments[1]]);
        left.push((arguments.join(" "), format!("{}{}", done.out, done.err)));
    }
}

#[test]
fn no_secret_is_left_anywhere() {
    let (project, outside) = (Project::new(&[]), Outside::open());
    let key = project.path().join("secrets.key").display().to_string();
    assert_eq!(project.run(&["secret", "rotate-key", &key]).code, 0);
    settings(&project, outside.address);
    // Nothing listens there: whoever dials a proxy of the environment does not get through.
    let proxy = "http://127.0.0.1:1";
    let environment = [
        ("SUREFOOT_SECRET_OF_ENV", SECRETS[0].1),
        ("http_proxy", proxy),
        ("HTTP_PROXY", proxy),
        ("ALL_PROXY", proxy),
    ];
    let server = Server::open(&project, &environment);
    let set = ["--server", &server.url(), "secret", "set", SECRETS[2].0];
    assert_eq!(project.run_with_input(&set, SECRETS[2].1).code, 0);
    let subscription = json!({"url": format!("http://{}/in", outside.address)});
    server.json("PUT", "/v1/subscriptions/all", subscription);

    let mut left = Vec::new();
    let runs = let_loose(&project, &server, outside.address, &mut left);
    // Every run is told of twice: to the subscriber and to who is on call.
    while outside.delivered.lock().unwrap().len() < 2 * runs {
        std::thread::sleep(Duration::from_millis(20));
    }
    let delivered = outside.delivered.lock().unwrap().clone();
    left.extend(delivered.into_iter().map(|it| ("a delivery".to_owned(), it)));
    look_around(&project, &server, &mut left);
    let blots = left.iter().filter(|it| it.1.contains("«secret»")).count();
    assert!(blots > 100, "the secrets were really there: {blots}");
    // While the server runs there is a log of the database beside it; afterwards it is merged.
    let while_running = no_secret_in_files(project.path());
    drop(server);
    assert!(while_running >= 3, "{while_running} files: the store, its log, the server's log");
    no_secret_in_files(project.path());
    for (place, text) in &left {
        no_secret(place, text.as_bytes());
    }
}
