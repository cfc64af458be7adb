//! Opens paths that cannot leave a directory, whatever links someone puts in the way meanwhile.
//! Linux does this in one call (`openat2`); elsewhere, and on old kernels, the path is walked name
//! by name and every symbolic link is refused.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use libc::c_int;

const DIRECTORY: c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
/// Never waits for the other end of a FIFO, never becomes the process's terminal.
const PATIENT: c_int = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;

/// Opens the directory where a root is.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let path = c_text(path.as_os_str())?;
    // SAFETY: the path is a C string that lives through the call.
    owned(unsafe { libc::open(path.as_ptr(), DIRECTORY) })
}

/// Opens `path` below `root`. A path that leads outside gives `EXDEV` (or `ELOOP` in a walk).
pub(super) fn open(root: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    match open_in_one_call(root, path, flags | PATIENT) {
        // Sandboxes answer EPERM to system calls that they do not know.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            open_by_walking(root, path, flags | PATIENT)
        }
        result => result,
    }
}

#[cfg(target_os = "linux")]
fn open_in_one_call(root: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    /// A rename somewhere above may make the kernel unsure; it then asks to try again.
    const TRIES_MAX: usize = 16;
    let path =
        c_text(if path.as_os_str().is_empty() { OsStr::new(".") } else { path.as_os_str() })?;
    // SAFETY: `open_how` is plain data, for which zero is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags as u64;
    how.mode = if flags & libc::O_CREAT == 0 { 0 } else { 0o666 };
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    for _ in 0..TRIES_MAX {
        // SAFETY: path and `how` live through the call, and the size is that of `how`.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                root.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        };
        match owned(fd as c_int) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => return result,
        }
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

#[cfg(not(target_os = "linux"))]
fn open_in_one_call(_: BorrowedFd<'_>, _: &Path, _: c_int) -> io::Result<OwnedFd> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn open_by_walking(root: BorrowedFd<'_>, path: &Path, flags: c_int) -> io::Result<OwnedFd> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(io::Error::from_raw_os_error(libc::EXDEV));
            }
        }
    }
    let Some((last, parents)) = names.split_last() else {
        return open_at(root, OsStr::new("."), flags);
    };
    let mut directory = root.try_clone_to_owned()?;
    for name in parents {
        directory = open_at(directory.as_fd(), name, DIRECTORY)?;
    }
    open_at(directory.as_fd(), last, flags)
}

/// Opens one name in a directory; a symbolic link gives `ELOOP` (or `ENOTDIR`).
pub(super) fn open_at(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    flags: c_int,
) -> io::Result<OwnedFd> {
    let name = c_text(name)?;
    let flags = flags | libc::O_NOFOLLOW | PATIENT;
    // SAFETY: the name is a C string that lives through the call.
    owned(unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, 0o666) })
}

pub(super) fn make_directory(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = c_text(name)?;
    // SAFETY: the name is a C string that lives through the call.
    checked(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o777) })
}

pub(super) fn unlink(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let name = c_text(name)?;
    // SAFETY: the name is a C string that lives through the call.
    checked(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), 0) })
}

/// Gives the file a new name, which replaces what is there.
pub(super) fn rename(
    from: (BorrowedFd<'_>, &OsStr),
    to: (BorrowedFd<'_>, &OsStr),
) -> io::Result<()> {
    let (source, target) = (c_text(from.1)?, c_text(to.1)?);
    let (from, to) = (from.0.as_raw_fd(), to.0.as_raw_fd());
    // SAFETY: both names are C strings that live through the call.
    checked(unsafe { libc::renameat(from, source.as_ptr(), to, target.as_ptr()) })
}

/// Gives the file a second name; `EEXIST` if that one is taken.
pub(super) fn link(from: (BorrowedFd<'_>, &OsStr), to: (BorrowedFd<'_>, &OsStr)) -> io::Result<()> {
    let (source, target) = (c_text(from.1)?, c_text(to.1)?);
    let (from, to) = (from.0.as_raw_fd(), to.0.as_raw_fd());
    // SAFETY: both names are C strings that live through the call.
    checked(unsafe { libc::linkat(from, source.as_ptr(), to, target.as_ptr(), 0) })
}

/// What stands behind a name, links not followed.
pub(super) fn stat(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<libc::stat> {
    let name = c_text(name)?;
    // SAFETY: `stat` is plain data, for which zero is a valid value.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    let parent = parent.as_raw_fd();
    // SAFETY: the name is a C string and `found` is writable; both live through the call.
    checked(unsafe {
        libc::fstatat(parent, name.as_ptr(), &raw mut found, libc::AT_SYMLINK_NOFOLLOW)
    })?;
    Ok(found)
}

/// Names in an open directory, without `.` and `..`, in no order; at most `entries_max` and one.
pub(super) fn names(directory: OwnedFd, entries_max: usize) -> io::Result<Vec<std::ffi::OsString>> {
    let raw = std::os::fd::IntoRawFd::into_raw_fd(directory);
    // SAFETY: the descriptor is open and ours; on success the stream owns it.
    let stream = unsafe { libc::fdopendir(raw) };
    if stream.is_null() {
        let error = io::Error::last_os_error();
        // SAFETY: the stream did not take the descriptor, so it is still ours to close.
        drop(unsafe { OwnedFd::from_raw_fd(raw) });
        return Err(error);
    }
    let mut names = Vec::new();
    while names.len() <= entries_max {
        // SAFETY: the stream is open; the entry is read before the next call.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            break;
        }
        // SAFETY: the kernel ends `d_name` with a zero.
        let name = unsafe { std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()) };
        if name != c"." && name != c".." {
            names.push(OsStr::from_bytes(name.to_bytes()).to_owned());
        }
    }
    // SAFETY: the stream is open and not used again.
    unsafe { libc::closedir(stream) };
    Ok(names)
}

/// Makes a change of a directory's entries durable.
pub(super) fn sync_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    File::from(directory.try_clone_to_owned()?).sync_all()
}

fn c_text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn owned(fd: c_int) -> io::Result<OwnedFd> {
    checked(fd.min(0))?;
    // SAFETY: the call that gave a descriptor made us its only owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn checked(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    type Open = fn(BorrowedFd<'_>, &Path, c_int) -> io::Result<OwnedFd>;

    /// Both ways must refuse the same escapes; only the walk refuses links that stay inside.
    #[test]
    fn neither_way_leaves_the_root() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let inside = outside.path().join("root");
        std::fs::create_dir_all(inside.join("sub")).unwrap();
        std::fs::write(inside.join("sub/file"), "f").unwrap();
        symlink("../secret", inside.join("up")).unwrap();
        symlink(outside.path(), inside.join("far")).unwrap();
        symlink("sub", inside.join("near")).unwrap();
        let root = open_root(&inside).unwrap();
        for open in [open as Open, open_by_walking as Open] {
            let check = |path: &str| open(root.as_fd(), Path::new(path), libc::O_RDONLY).is_ok();
            assert!(check("sub/file") && check("./sub/file") && check(""));
            for path in ["up", "far/secret", "../secret", "sub/../../secret", "/etc/passwd"] {
                assert!(!check(path), "{path}");
            }
        }
        assert!(open_by_walking(root.as_fd(), Path::new("near/file"), libc::O_RDONLY).is_err());
    }

    /// A directory that becomes a link, and a directory again, while its files are opened.
    #[test]
    fn a_link_that_is_swapped_in_meanwhile_leads_nowhere() {
        use std::io::Read as _;
        const TRIES: usize = 10_000;
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("root");
        for (directory, text) in [(outside.path().join("far"), "out"), (inside.join("a"), "in")] {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("file"), text).unwrap();
        }
        let (at, away, link) = (inside.join("a"), inside.join("b"), inside.join("c"));
        symlink(outside.path().join("far"), &link).unwrap();
        let root = open_root(&inside).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let (mut read, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    for (from, to) in [(&at, &away), (&link, &at), (&at, &link), (&away, &at)] {
                        std::fs::rename(from, to).unwrap();
                    }
                }
            });
            // Until both have been met, so that it is the race that is tried.
            for number in 0.. {
                let open = if number % 2 == 0 { open as Open } else { open_by_walking as Open };
                match open(root.as_fd(), Path::new("a/file"), libc::O_RDONLY) {
                    Ok(file) => {
                        let mut text = String::new();
                        File::from(file).read_to_string(&mut text).unwrap();
                        assert_eq!(text, "in");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
                if number >= TRIES && read > 0 && refused > 0 {
                    break;
                }
                assert!(number < 1_000 * TRIES, "only {read} were read and {refused} refused");
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
