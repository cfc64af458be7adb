//! Runs a test without the rights of root, so that permissions mean something.

use std::future::Future;

/// The user that owns nothing.
#[cfg(target_os = "linux")]
const NOBODY: libc::uid_t = 65_534;

/// Runs a test on a thread of its own. Started by root, that thread and all that it starts use
/// files as nobody: on Linux the user for files belongs to the thread, and leaving root behind
/// takes away the right to pass over permissions. The rest of the process stays as it is.
pub fn as_ordinary_user<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        #[cfg(target_os = "linux")]
        // SAFETY: plain system calls that change the calling thread alone.
        unsafe {
            if libc::geteuid() == 0 {
                libc::setfsgid(NOBODY);
                libc::setfsuid(NOBODY);
            }
        }
        // One thread, so that its helpers for blocking work are started by this one.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
