//! The life of a run and of a task, as tables. Everything else in this module moves along them.

use serde::{Deserialize, Serialize};

/// Every legal change of a run's status. `retry` and `rewind` reopen an ended run.
pub const RUN_TRANSITIONS: &[(RunStatus, RunStatus)] = {
    use RunStatus::*;
    &[
        (Pending, Running),
        (Pending, Paused),
        (Pending, Cancelled),
        (Running, Paused),
        (Running, Cancelling),
        (Running, Completed),
        (Running, Failed),
        (Running, Cancelled),
        (Paused, Pending),
        (Paused, Running),
        (Paused, Cancelling),
        (Paused, Cancelled),
        (Cancelling, Cancelled),
        (Completed, Running),
        (Failed, Running),
        (Cancelled, Running),
    ]
};

/// Every legal change of a task's status. Those that leave a terminal status are made by `retry`,
/// `rewind`, a state's next visit, or by hand; see [`TaskStatus::is_ended`].
pub const TASK_TRANSITIONS: &[(TaskStatus, TaskStatus)] = {
    use TaskStatus::*;
    &[
        (Pending, Ready),
        (Pending, Running),
        (Pending, Retrying),
        (Pending, Waiting),
        (Pending, Completed),
        (Pending, Failed),
        (Pending, Skipped),
        (Pending, Cancelled),
        (Ready, Running),
        (Ready, Completed),
        (Ready, Failed),
        (Ready, Skipped),
        (Ready, Cancelled),
        (Ready, Pending),
        (Running, Retrying),
        (Running, Waiting),
        (Running, Ready),
        (Running, Completed),
        (Running, Failed),
        (Running, Skipped),
        (Running, Cancelled),
        (Running, Pending),
        (Retrying, Ready),
        (Retrying, Running),
        (Retrying, Completed),
        (Retrying, Failed),
        (Retrying, Skipped),
        (Retrying, Cancelled),
        (Retrying, Pending),
        (Waiting, Retrying),
        (Waiting, Completed),
        (Waiting, Failed),
        (Waiting, Skipped),
        (Waiting, Cancelled),
        (Waiting, Pending),
        (Completed, Compensated),
        (Completed, Pending),
        (Completed, Running),
        (Failed, Pending),
        (Failed, Running),
        (Failed, Skipped),
        (Failed, Completed),
        (Skipped, Pending),
        (Skipped, Running),
        (Cancelled, Pending),
        (Cancelled, Running),
        (Cancelled, Skipped),
        (Cancelled, Completed),
        (Compensated, Pending),
        (Compensated, Running),
    ]
};

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Created; waits for its turn under a concurrency limit.
    #[default]
    Pending,
    Running,
    /// Nothing new starts; what runs, ends.
    Paused,
    /// Cancelled by somebody; compensation and `finally` still run.
    Cancelling,
    Completed,
    Failed,
    Cancelled,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for its needs, or for a place in its graph.
    #[default]
    Pending,
    /// Waits for a slot.
    Ready,
    /// An attempt is being made, or tasks inside it run.
    Running,
    /// An attempt failed, the next one has a time.
    Retrying,
    /// Waits for a time, a signal, a person, an event or a sub-run.
    Waiting,
    Completed,
    Failed,
    Skipped,
    Cancelled,
    /// Completed, and undone since.
    Compensated,
}

impl RunStatus {
    pub const ALL: [RunStatus; 7] = {
        use RunStatus::*;
        [Pending, Running, Paused, Cancelling, Completed, Failed, Cancelled]
    };

    pub fn is_terminal(self) -> bool {
        matches!(self, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled)
    }

    pub fn may_become(self, next: RunStatus) -> bool {
        self == next || RUN_TRANSITIONS.contains(&(self, next))
    }

    pub const fn name(self) -> &'static str {
        match self {
            RunStatus::Pending => "pending",
            RunStatus::Running => "running",
            RunStatus::Paused => "paused",
            RunStatus::Cancelling => "cancelling",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
        }
    }
}

impl TaskStatus {
    pub const ALL: [TaskStatus; 10] = {
        use TaskStatus::*;
        [
            Pending,
            Ready,
            Running,
            Retrying,
            Waiting,
            Completed,
            Failed,
            Skipped,
            Cancelled,
            Compensated,
        ]
    };

    /// True once nothing but a deliberate act changes the task again.
    pub fn is_ended(self) -> bool {
        use TaskStatus::*;
        matches!(self, Completed | Failed | Skipped | Cancelled | Compensated)
    }

    pub fn may_become(self, next: TaskStatus) -> bool {
        self == next || TASK_TRANSITIONS.contains(&(self, next))
    }

    pub const fn name(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Ready => "ready",
            TaskStatus::Running => "running",
            TaskStatus::Retrying => "retrying",
            TaskStatus::Waiting => "waiting",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Skipped => "skipped",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::Compensated => "compensated",
        }
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_reachable_and_can_end() {
        let mut run = vec![RunStatus::Pending];
        let mut task = vec![TaskStatus::Pending];
        for _ in 0..10 {
            run.extend(
                RUN_TRANSITIONS
                    .iter()
                    .filter(|it| run.contains(&it.0))
                    .map(|it| it.1)
                    .collect::<Vec<_>>(),
            );
            task.extend(
                TASK_TRANSITIONS
                    .iter()
                    .filter(|it| task.contains(&it.0))
                    .map(|it| it.1)
                    .collect::<Vec<_>>(),
            );
            run.sort_unstable();
            run.dedup();
            task.sort_unstable();
            task.dedup();
        }
        assert_eq!(run, RunStatus::ALL);
        assert_eq!(task, TaskStatus::ALL);
        for status in RunStatus::ALL.iter().filter(|it| !it.is_terminal()) {
            assert!(
                RunStatus::ALL.iter().any(|end| end.is_terminal() && leads(*status, *end)),
                "{status}"
            );
        }
    }

    /// Whether `from` reaches `to` over the table.
    fn leads(from: RunStatus, to: RunStatus) -> bool {
        let mut seen = vec![from];
        let mut at = 0;
        while at < seen.len() {
            let here = seen[at];
            at += 1;
            for (_, next) in RUN_TRANSITIONS.iter().filter(|it| it.0 == here) {
                if !seen.contains(next) {
                    seen.push(*next);
                }
            }
        }
        seen.contains(&to)
    }

    #[test]
    fn names_are_what_is_stored() {
        for status in TaskStatus::ALL {
            assert_eq!(serde_json::json!(status), serde_json::json!(status.name()));
        }
        for status in RunStatus::ALL {
            assert_eq!(serde_json::json!(status), serde_json::json!(status.name()));
        }
    }
}
