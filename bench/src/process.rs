//! What this process costs, as the kernel counts it. Zero where the kernel does not tell.

use std::time::{Duration, Instant};

/// Processor time from here on.
pub struct Meter {
    start: Instant,
    used: Duration,
}

impl Meter {
    pub fn start() -> Meter {
        Meter { start: Instant::now(), used: processor_time() }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the share of one processor, in percent.
    pub fn cpu_percent(&self) -> f64 {
        let used = processor_time().saturating_sub(self.used);
        used.as_secs_f64() / self.elapsed().as_secs_f64().max(1e-9) * 100.0
    }
}

#[cfg(unix)]
fn processor_time() -> Duration {
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `rusage` that the call fills in.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return Duration::ZERO;
    }
    let length = |time: libc::timeval| {
        // The types of both fields differ between systems; neither is negative.
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    length(usage.ru_utime) + length(usage.ru_stime)
}

#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}

/// Returns the resident memory in bytes.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
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
