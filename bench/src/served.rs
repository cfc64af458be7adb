//! Processes beside this one: the server that is measured, and the workers that execute for it.
//! They end with the measurement.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use surefoot_client::wire::{CapabilityState, Page, Records};

use crate::http::{Connection, request};
use crate::{Error, Options, Scratch};

/// How long a worker's process may take to begin.
const BEGIN_MAX: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// What a server says before its address.
const SAYS: &str = "http://";

/// A program that executes the handler [`HANDLER`]; SUREFOOT_SERVER says where the server is.
#[derive(Clone, Debug)]
pub struct WorkerProgram {
    /// What the rows call it.
    pub name: String,
    pub argv: Vec<OsString>,
}

/// What workers execute: all of them have it for the conformance run.
pub const HANDLER: &str = "conformance.echo";

/// A process that ends with the measurement.
pub struct Process(Child);

impl Process {
    fn start(argv: &[OsString], adapt: impl FnOnce(&mut Command)) -> Result<Process, Error> {
        let missing = || Error::Remote("no command is known; use `surefoot bench`".to_owned());
        let (program, arguments) = argv.split_first().ok_or_else(missing)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        adapt(&mut command);
        let failed =
            |error| Error::Remote(format!("{} does not start: {error}", program.display()));
        Ok(Process(command.spawn().map_err(failed)?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server in a process of its own.
pub struct Served {
    process: Process,
    pub address: SocketAddr,
}

impl Served {
    pub fn start(options: &Options, scratch: &Scratch) -> Result<Served, Error> {
        let mut argv = options.server.clone();
        argv.push(scratch.path.clone().into_os_string());
        let mut process = Process::start(&argv, |command| {
            command.stderr(Stdio::piped());
        })?;
        let said = process.0.stderr.take().map(BufReader::new);
        let mut lines = said.into_iter().flat_map(BufReader::lines).map_while(Result::ok);
        let address = lines.find_map(|it| {
            let (_, after) = it.split_once(SAYS)?;
            after.split([',', ' ']).next()?.parse().ok()
        });
        let address =
            address.ok_or_else(|| Error::Remote("the server does not start".to_owned()))?;
        // Its later words are read, so that it never waits for somebody to read them.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Served { process, address })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub async fn connect(&self) -> Result<Connection, Error> {
        Connection::open(self.address).await.map_err(Error::remote)
    }

    /// Brings a definition to the server.
    pub async fn deploy(&self, definition: &str) -> Result<(), Error> {
        let asked = request("PUT", "/v1/workflows/bench", "", definition);
        let mut connection = self.connect().await?;
        let answer = connection.ask(&asked).await.map_err(Error::remote)?;
        match answer.status {
            200 | 201 => Ok(()),
            _ => Err(Error::Remote(String::from_utf8_lossy(answer.body).into_owned())),
        }
    }

    /// Asks for something that is there.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let mut connection = self.connect().await?;
        let answer = connection.ask(&request("GET", path, "", "")).await.map_err(Error::remote)?;
        serde_json::from_slice(answer.body).map_err(Error::remote)
    }

    /// Returns how many records a run has, and their average size.
    pub async fn records(&self, run: &str) -> Result<(u64, usize), Error> {
        let records: Records = self.get(&format!("/v1/runs/{run}/records?limit=1000")).await?;
        let bytes: usize = records.items.iter().map(|it: &Value| it.to_string().len()).sum();
        let count = records.items.len().max(1);
        Ok((count as u64, bytes / count))
    }

    /// Starts a worker, and returns once it asks for tasks.
    pub async fn worker(&self, program: &WorkerProgram) -> Result<Process, Error> {
        let process = Process::start(&program.argv, |command| {
            command.env("SUREFOOT_SERVER", format!("http://{}", self.address));
        })?;
        self.asked_for(&program.name).await?;
        Ok(process)
    }

    /// Waits until somebody asks for tasks.
    pub async fn asked_for(&self, who: &str) -> Result<(), Error> {
        let (mut connection, begun) = (self.connect().await?, Instant::now());
        let asked = request("GET", "/v1/capabilities", "", "");
        loop {
            let answer = connection.ask(&asked).await.map_err(Error::remote)?;
            let page: Page<CapabilityState> =
                serde_json::from_slice(answer.body).map_err(Error::remote)?;
            if page.items.iter().any(|it| it.asked > 0) {
                return Ok(());
            }
            if begun.elapsed() > BEGIN_MAX {
                return Err(Error::Remote(format!("the worker `{who}` does not ask for tasks")));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}
