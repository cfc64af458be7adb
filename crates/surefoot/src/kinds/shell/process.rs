//! One process group from start to end. Whatever ends the attempt (the program's exit, a cancel,
//! the future being dropped, too much output), no member of the group is left running; and if this
//! process is killed, the kernel kills the program too. A program that leaves its session on
//! purpose (a daemon) is beyond reach.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use surefoot_core::task_error::TaskError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Handle;

use super::output::{Captured, Stream};
use crate::kinds::Context;
use crate::kinds::bounded::cancelled;
use crate::kinds::parameters::bad;

/// Once the group is killed its pipes end, unless a daemon that left it holds them.
const DRAIN: Duration = Duration::from_secs(1);

pub(super) struct Limits {
    /// Bytes kept of each stream.
    pub(super) kept_bytes: usize,
    /// Bytes printed on both before the program is killed.
    pub(super) printed_bytes: u64,
    pub(super) grace: Duration,
}

pub(super) enum Ended {
    Exited(i32),
    Killed(i32),
}

/// Runs the program to its end, or kills it when the attempt is cancelled.
pub(super) async fn run(
    context: &Context,
    command: Command,
    stdin: Option<Vec<u8>>,
    limits: &Limits,
) -> Result<(Ended, Captured), TaskError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let (mut child, mut group) = spawn(command).await.map_err(|it| not_started(&program, &it))?;
    let mut captured = Captured {
        stdout: Stream::new("stdout", limits.kept_bytes),
        stderr: Stream::new("stderr", limits.kept_bytes),
    };
    let stdin = stdin.unwrap_or_default();
    let status = attend(context, &mut child, &mut group, stdin, &mut captured, limits).await?;
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Killed(signal.unwrap_or(0)),
    };
    Ok((ended, captured))
}

/// Talks to the program until it ends.
async fn attend(
    context: &Context,
    child: &mut Child,
    group: &mut Group,
    stdin: Vec<u8>,
    captured: &mut Captured,
    limits: &Limits,
) -> Result<ExitStatus, TaskError> {
    let input = feed(child.stdin.take(), stdin);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let printed = capture(context, out, err, captured, limits.printed_bytes);
    let mut talk = std::pin::pin!(async { tokio::join!(input, printed).1 });
    let mut is_silent = false;
    let status = loop {
        tokio::select! {
            biased;
            status = child.wait() => break status.map_err(|it| lost(&it))?,
            () = context.cancelled() => {
                let ending = group.end(child, limits.grace);
                // Last words are still logged.
                let last_words = async {
                    if !is_silent {
                        let _ = (&mut talk).await;
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! { () = ending => {} () = last_words => {} }
                return Err(cancelled());
            }
            outcome = &mut talk, if !is_silent => {
                outcome?;
                is_silent = true;
            }
        }
    };
    // What the program left in the background would hold the pipes open and outlive the attempt.
    group.kill();
    if !is_silent && let Ok(outcome) = tokio::time::timeout(DRAIN, &mut talk).await {
        outcome?;
    }
    Ok(status)
}

/// A process group that is killed when this is dropped.
struct Group(Option<i32>);

impl Group {
    /// Asks the group to end, waits for the program, and kills what is left.
    async fn end(&mut self, child: &mut Child, grace: Duration) {
        self.signal(libc::SIGTERM);
        // Either way the group is killed next, and the program reaped.
        let _ = tokio::time::timeout(grace, child.wait()).await;
        self.kill();
        let _ = child.wait().await;
    }

    /// Kills the group, once: later its number may belong to somebody else.
    fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.0 = None;
    }

    fn signal(&self, signal: i32) {
        if let Some(group) = self.0 {
            // SAFETY: a plain system call. An error means that nobody is left, which is the aim.
            unsafe { libc::kill(-group, signal) };
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the program as the leader of a session of its own. If the caller goes away meanwhile, the
/// group goes with it.
async fn spawn(mut command: Command) -> io::Result<(Child, Group)> {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made, and nothing allocates.
    unsafe { command.pre_exec(move || prepare(parent)) };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runtime = Handle::current();
    let job: Job = Box::new(move || {
        let _inside = runtime.enter();
        let started = command.spawn().map(|child| {
            let group = Group(child.id().and_then(|it| i32::try_from(it).ok()));
            (child, group)
        });
        // If nobody waits any more, dropping the group kills it.
        drop(sender.send(started));
    });
    let gone = || io::Error::other("the thread that starts programs is gone");
    spawner().send(job).map_err(|_| gone())?;
    receiver.await.map_err(|_| gone())?
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread that lives as long as this process. The kernel kills a program when the *thread* that
/// started it ends, and threads of the async runtime come and go.
fn spawner() -> &'static Sender<Job> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        let thread = std::thread::Builder::new().name("spawner".to_owned());
        let started = thread.spawn(move || jobs.into_iter().for_each(|job| job()));
        drop(started.expect("the system can start one thread"));
        sender
    })
}

/// Runs in the new process, before the program.
fn prepare(parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        #[cfg(target_os = "linux")]
        {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above.
            if libc::getppid() as u32 != parent {
                libc::_exit(libc::EXIT_FAILURE);
            }
        }
    }
    Ok(())
}

/// Writes stdin and closes it. A program may end without reading all of it.
async fn feed(pipe: Option<ChildStdin>, bytes: Vec<u8>) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(&bytes).await;
    }
}

/// Reads both streams until they end, or until too much was printed.
async fn capture(
    context: &Context,
    mut out: Option<impl AsyncRead + Unpin>,
    mut err: Option<impl AsyncRead + Unpin>,
    captured: &mut Captured,
    printed_bytes_max: u64,
) -> Result<(), TaskError> {
    let (mut out_bytes, mut err_bytes) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut printed = 0;
    while out.is_some() || err.is_some() {
        let count = tokio::select! {
            count = read(&mut out, &mut out_bytes) => {
                captured.stdout.take(&out_bytes[..count], context);
                count
            }
            count = read(&mut err, &mut err_bytes) => {
                captured.stderr.take(&err_bytes[..count], context);
                count
            }
        };
        printed += count as u64;
        if printed > printed_bytes_max {
            return Err(TaskError::fatal(
                "shell_output_limit",
                format!(
                    "killed after printing more than {printed_bytes_max} bytes; raise `max_printed_bytes` under [shell]"
                ),
            ));
        }
    }
    captured.stdout.finish(context);
    captured.stderr.finish(context);
    Ok(())
}

/// Reads once; at the end takes the stream away, after which this waits for ever.
async fn read(stream: &mut Option<impl AsyncRead + Unpin>, bytes: &mut [u8]) -> usize {
    let Some(open) = stream else { return std::future::pending().await };
    let count = open.read(bytes).await.unwrap_or(0);
    if count == 0 {
        *stream = None;
    }
    count
}

fn lost(error: &io::Error) -> TaskError {
    TaskError::new("shell_lost", format!("the program's end cannot be awaited: {error}"))
}

fn not_started(program: &str, error: &io::Error) -> TaskError {
    let message = format!("`{program}` cannot be started: {error}");
    if error.kind() == io::ErrorKind::InvalidInput {
        return bad("shell: an argument or variable holds a NUL character");
    }
    match error.raw_os_error().unwrap_or(0) {
        libc::ENOENT => TaskError::fatal("shell_not_found", message),
        libc::EACCES | libc::EPERM | libc::ENOEXEC => TaskError::fatal("shell_denied", message),
        libc::E2BIG => bad(format!("shell: {message}")),
        _ => TaskError::new("shell_not_started", message),
    }
}
