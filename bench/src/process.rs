//! What a process costs, as the kernel counts it. Zero where the kernel does not tell.

use std::time::{Duration, Instant};

/// Where the user's time stands among the fields after the name; the system's is next.
const USER_TIME_FIELD: usize = 11;
/// What Linux counts in, on every architecture, where it tells programs.
const TICK_MS: u64 = 10;

/// Processor time of a process from here on.
pub struct Meter {
    process: String,
    start: Instant,
    used: Duration,
}

impl Meter {
    /// Of this process.
    pub fn start() -> Meter {
        Meter::named("self".to_owned())
    }

    /// Of another one.
    pub fn of(process: u32) -> Meter {
        Meter::named(process.to_string())
    }

    fn named(process: String) -> Meter {
        let used = processor_time(&process);
        Meter { process, start: Instant::now(), used }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the share of one processor, in percent.
    pub fn cpu_percent(&self) -> f64 {
        let used = processor_time(&self.process).saturating_sub(self.used);
        used.as_secs_f64() / self.elapsed().as_secs_f64().max(1e-9) * 100.0
    }
}

/// Returns what all threads have used, those that have ended included: the user's and the system's
/// time of `proc_pid_stat(5)`, which counts in hundredths of a second.
fn processor_time(process: &str) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything.
    let after_name = text.rsplit_once(')').map_or("", |(_, it)| it);
    let fields = after_name.split_whitespace().skip(USER_TIME_FIELD).take(2);
    let ticks: u64 = fields.filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * TICK_MS)
}

/// Returns the resident memory of this process in bytes.
pub fn resident_bytes() -> u64 {
    resident("self")
}

/// Returns the resident memory of another process in bytes.
pub fn resident_bytes_of(process: u32) -> u64 {
    resident(&process.to_string())
}

fn resident(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Lets this process, and those that it starts, open as many files as it may. Returns how many.
#[cfg(unix)]
pub fn open_more_files() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live `rlimit` that the call fills in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live `rlimit`. A refusal leaves the limit as it was, which the
    // caller notices when it opens too many.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
pub fn open_more_files() -> usize {
    usize::MAX
}

/// Gives memory that was freed back to the kernel, so that what is measured next does not count
/// what was measured before.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
