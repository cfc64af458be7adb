//! A real PostgreSQL of the tests' own: its data in a temporary directory, on a free port of the
//! loopback, stopped when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::skipped;

pub const PASSWORD: &str = "hunter2";
/// A port that looked free may be taken before the server binds it.
const STARTS_MAX: usize = 5;

pub struct PostgresServer {
    pub port: u16,
    /// The certificate of the server, if openssl could make one.
    pub certificate: Option<PathBuf>,
    server: Child,
    /// Removed after the server has ended.
    directory: tempfile::TempDir,
}

impl PostgresServer {
    /// Starts a server; nothing, and a loud line, where PostgreSQL is not installed.
    pub fn start() -> Option<PostgresServer> {
        let Some(bin) = binaries() else {
            skipped("PostgreSQL", "initdb and postgres were not found");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let user = user();
        give(directory.path(), user);
        let data = directory.path().join("data");
        let password_file = directory.path().join("password");
        fs::write(&password_file, PASSWORD).unwrap();
        give(&password_file, user);
        let made = command(&bin.join("initdb"), user)
            .args(["--no-sync", "--username=surefoot", "--auth=scram-sha-256", "--encoding=UTF8"])
            .arg("--locale=C")
            .arg(format!("--pwfile={}", password_file.display()))
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let certificate = certificate(directory.path(), user);
        for _ in 0..STARTS_MAX {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut server = launch(&bin, directory.path(), port, certificate.is_some(), user);
            if is_ready(&mut server, &data) {
                return Some(PostgresServer { port, certificate, server, directory });
            }
        }
        let log = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start: {log}");
    }

    pub fn url(&self) -> String {
        self.url_with("127.0.0.1", PASSWORD, "")
    }

    pub fn url_with(&self, host: &str, password: &str, options: &str) -> String {
        format!("postgres://surefoot:{password}@{host}:{}/postgres{options}", self.port)
    }

    /// The directory of the Unix socket.
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // SIGQUIT is an immediate shutdown: the data goes away anyway.
        // SAFETY: a plain system call on a process that this owns and has not waited for.
        unsafe { libc::kill(self.server.id() as i32, libc::SIGQUIT) };
        let _ = self.server.wait();
    }
}

fn launch(bin: &Path, directory: &Path, port: u16, tls: bool, user: Option<(u32, u32)>) -> Child {
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut server = command(&bin.join("postgres"), user);
    server.arg("-D").arg(directory.join("data")).args(["-p", &port.to_string()]);
    let mut set = |name: &str, value: &str| {
        server.arg("-c").arg(format!("{name}={value}"));
    };
    set("listen_addresses", "127.0.0.1");
    set("unix_socket_directories", directory.to_str().unwrap());
    set("fsync", "off");
    set("max_connections", "50");
    if tls {
        set("ssl", "on");
        set("ssl_cert_file", directory.join("cert.pem").to_str().unwrap());
        set("ssl_key_file", directory.join("key.pem").to_str().unwrap());
    }
    server.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Waits for the line that the server writes when it takes connections; false if it ended.
fn is_ready(server: &mut Child, data: &Path) -> bool {
    loop {
        let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|it| it.trim() == "ready") {
            return true;
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
}

fn binaries() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.map(|it| PathBuf::from(String::from_utf8_lossy(&it.stdout).trim()));
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|it| it.path().join("bin")).collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all =
        told.into_iter().chain(versions.into_iter().rev()).chain(std::env::split_paths(&path));
    all.find(|it| it.join("postgres").exists() && it.join("initdb").exists())
}

/// PostgreSQL refuses to run as root, so root lends it another user.
fn user() -> Option<(u32, u32)> {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|it| it.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("PGDATA").current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn give(path: &Path, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Makes a certificate for `localhost`.
fn certificate(directory: &Path, user: Option<(u32, u32)>) -> Option<PathBuf> {
    let (key, cert) = (directory.join("key.pem"), directory.join("cert.pem"));
    super::self_signed(&key, &cert)?;
    give(&key, user);
    give(&cert, user);
    Some(cert)
}
