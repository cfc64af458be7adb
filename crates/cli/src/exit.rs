//! Every exit code of the command, in one place. Scripts depend on them.

use std::process::ExitCode;

use surefoot::RunStatus;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    /// The run failed; a test or a verification found something.
    Failed = 1,
    /// What was typed, or a file that it names, is wrong.
    Usage = 2,
    /// The definition was rejected.
    Rejected = 3,
    /// The server does not know the caller, or does not let them.
    Auth = 4,
    NotFound = 5,
    /// The state does not allow it, or the key was used for something else.
    Conflict = 6,
    /// The store, or the process that owns it, cannot be reached.
    Unreachable = 7,
    /// Still running when `--timeout` ended.
    StillRunning = 8,
    Cancelled = 9,
    /// A bug of ours.
    Bug = 70,
    Interrupted = 130,
}

impl Exit {
    /// The code that tells how a run ended.
    pub fn of_run(status: RunStatus) -> Exit {
        match status {
            RunStatus::Completed => Exit::Ok,
            RunStatus::Failed => Exit::Failed,
            RunStatus::Cancelled => Exit::Cancelled,
            RunStatus::Pending | RunStatus::Running | RunStatus::Paused | RunStatus::Cancelling => {
                Exit::StillRunning
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
