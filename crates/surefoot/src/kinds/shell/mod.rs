//! The kind `shell`: runs a program or a script of its own process group, which never outlives the
//! attempt. Data reaches a script through its environment and its standard input only; nothing is
//! put into its text.

mod output;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use surefoot_core::task_error::TaskError;
use tokio::process::Command;

use self::output::{Captured, Parse};
use self::process::{Ended, Limits};
use super::parameters::{bad, parse, present, scalar_text};
use super::{Context, Kind};

/// Variables that a program inherits without being asked for.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// Lines of stderr that a failed attempt keeps as its details.
const ERROR_LINES_MAX: usize = 20;

/// `[shell]` in surefoot.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShellConfig {
    /// False refuses every shell task.
    pub enabled: bool,
    /// Names of variables that programs inherit besides PATH, HOME, LANG and TZ.
    pub inherit: Vec<String>,
    /// Where programs start, and where a relative `cwd` counts from.
    pub directory: PathBuf,
    /// Directories in which `cwd` must be; none: anywhere.
    pub roots: Vec<PathBuf>,
    /// Between SIGTERM and SIGKILL, when an attempt is cancelled. In milliseconds.
    pub kill_grace_ms: u64,
    /// Bytes kept of stdout and of stderr each, unless the task says otherwise.
    pub max_output_bytes: usize,
    /// Bytes that a program may print in all before it is killed; what is not kept counts too.
    pub max_printed_bytes: u64,
}

impl Default for ShellConfig {
    fn default() -> ShellConfig {
        ShellConfig {
            enabled: false,
            inherit: Vec::new(),
            directory: PathBuf::from("."),
            roots: Vec::new(),
            kill_grace_ms: 2_000,
            max_output_bytes: 1024 * 1024,
            max_printed_bytes: 64 * 1024 * 1024,
        }
    }
}

pub struct ShellKind {
    config: ShellConfig,
}

/// `with` of a `shell` task. Its schema is `surefoot_core::kind_schema::shell`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    argv: Option<Vec<String>>,
    script: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    cwd: Option<PathBuf>,
    #[serde(default, deserialize_with = "present")]
    stdin: Option<Value>,
    #[serde(default = "zero")]
    ok_exit_codes: Vec<i32>,
    #[serde(default)]
    output: OutputOptions,
    max_output_bytes: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OutputOptions {
    parse: Parse,
}

impl ShellKind {
    pub fn new(config: ShellConfig) -> ShellKind {
        ShellKind { config }
    }
}

#[async_trait]
impl Kind for ShellKind {
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        if !self.config.enabled {
            return Err(TaskError::fatal(
                "shell_denied",
                "shell tasks are off here: set `enabled = true` under [shell] in surefoot.toml",
            ));
        }
        let with: With = parse("shell", with)?;
        let command = self.command(context, &with)?;
        let stdin = with.stdin.as_ref().map(|it| scalar_text(it).into_bytes());
        let limits = Limits {
            kept_bytes: with.max_output_bytes.unwrap_or(self.config.max_output_bytes),
            printed_bytes: self.config.max_printed_bytes,
            grace: std::time::Duration::from_millis(self.config.kill_grace_ms),
        };
        let (ended, captured) = process::run(context, command, stdin, &limits).await?;
        report(&with, ended, captured)
    }
}

impl ShellKind {
    fn command(&self, context: &Context, with: &With) -> Result<Command, TaskError> {
        let mut command = match (&with.argv, &with.script) {
            (Some(argv), None) => {
                let (program, arguments) =
                    argv.split_first().ok_or_else(|| bad("shell: `argv` is empty"))?;
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            (None, Some(script)) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-e", "-u", "-c", script, "sh"]);
                command
            }
            _ => return Err(bad("shell: give one of `argv` and `script`")),
        };
        command.env_clear().current_dir(self.directory(with.cwd.as_deref())?);
        let inherited = INHERITED.into_iter().chain(self.config.inherit.iter().map(String::as_str));
        command.envs(inherited.filter_map(|name| Some((name, std::env::var_os(name)?))));
        // A task that names its own place in a trace tells its own state as well.
        if !with.env.contains_key("TRACEPARENT") && !context.traceparent.is_empty() {
            command.env("TRACEPARENT", &context.traceparent).env_remove("TRACESTATE");
            if !context.tracestate.is_empty() {
                command.env("TRACESTATE", &context.tracestate);
            }
        }
        for (name, value) in &with.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(bad(format!("shell: `{name}` in `env` is not the name of a variable")));
            }
            command.env(name, scalar_text(value));
        }
        command
            .env("SUREFOOT_RUN", context.run.to_string())
            .env("SUREFOOT_TASK", &context.task)
            .env("SUREFOOT_ATTEMPT", context.attempt.to_string())
            .env("SUREFOOT_IDEMPOTENCY_KEY", &context.idempotency_key)
            .stdin(if with.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Where the program starts, links resolved, inside the roots if there are any.
    fn directory(&self, asked: Option<&Path>) -> Result<PathBuf, TaskError> {
        let path = self.config.directory.join(asked.unwrap_or(Path::new("")));
        let missing = |it: std::io::Error| bad(format!("shell: `cwd` {}: {it}", path.display()));
        let real = path.canonicalize().map_err(missing)?;
        if !real.is_dir() {
            return Err(bad(format!("shell: `cwd` {} is not a directory", path.display())));
        }
        let roots = &self.config.roots;
        let holds = |it: &PathBuf| it.canonicalize().is_ok_and(|root| real.starts_with(root));
        if roots.is_empty() || roots.iter().any(holds) {
            return Ok(real);
        }
        Err(TaskError::fatal(
            "shell_denied",
            format!("`cwd` {} is outside the `roots` of [shell]", path.display()),
        ))
    }
}

/// Turns the end of a program into the result of the attempt.
fn report(with: &With, ended: Ended, captured: Captured) -> Result<Value, TaskError> {
    let name = match &with.argv {
        Some(argv) => argv[0].as_str(),
        None => "the script",
    };
    let details = json!({"stderr": captured.stderr.last_lines(ERROR_LINES_MAX)});
    let code = match ended {
        Ended::Exited(code) => code,
        Ended::Killed(signal) => {
            let message = format!("{name} was killed by signal {signal}");
            return Err(TaskError { details, ..TaskError::new("shell_killed", message) });
        }
    };
    if !with.ok_exit_codes.contains(&code) {
        let message = format!("{name} exited with {code}");
        let status = Some(i64::from(code));
        return Err(TaskError { status, details, ..TaskError::new("shell_exit", message) });
    }
    captured.into_output(name, code, with.output.parse)
}

fn zero() -> Vec<i32> {
    vec![0]
}
