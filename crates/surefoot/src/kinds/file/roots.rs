//! From the path that a task names to a place below a root, and the errors on the way.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use libc::c_int;
use surefoot_core::task_error::TaskError;

use super::{Root, beneath};

pub(super) struct Roots<'c>(&'c [Root]);

/// A path below an open root.
pub(super) struct Place {
    root: OwnedFd,
    /// Relative to the root; empty for the root itself.
    pub(super) path: PathBuf,
    root_path: PathBuf,
    read_only: bool,
}

/// The open directory of a file and its name there: what atomic changes need.
pub(super) struct Entry {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
}

impl<'c> Roots<'c> {
    pub(super) fn new(roots: &'c [Root]) -> Roots<'c> {
        Roots(roots)
    }

    /// Finds the place of `path`: below the named root, below the root that an absolute path
    /// starts with, or else below the first root.
    pub(super) fn place(&self, root: Option<&str>, path: &str) -> Result<Place, TaskError> {
        let path = Path::new(path);
        let first = self.0.first().ok_or_else(|| {
            TaskError::fatal(
                "file_outside_root",
                "no file may be used: list directories under `roots` in [files] of surefoot.toml",
            )
        })?;
        let chosen = match root {
            Some(name) => {
                self.0.iter().find(|it| it.name.as_deref() == Some(name)).ok_or_else(|| {
                    TaskError::fatal(
                        "file_outside_root",
                        format!("there is no root named `{name}` under [files]"),
                    )
                })?
            }
            None if path.is_absolute() => {
                let holds = |it: &&Root| path.starts_with(absolute(&it.path));
                self.0.iter().find(holds).ok_or_else(|| outside(path))?
            }
            None => first,
        };
        let root_path = absolute(&chosen.path);
        let relative = path.strip_prefix(&root_path).unwrap_or(path).to_owned();
        if relative.is_absolute() {
            return Err(outside(path));
        }
        let opened = beneath::open_root(&root_path).map_err(|it| failure(&root_path, &it))?;
        Ok(Place { root: opened, path: relative, root_path, read_only: chosen.read_only })
    }
}

impl Place {
    /// Opens a regular file for reading.
    pub(super) fn open_file(&self) -> Result<File, TaskError> {
        let file = File::from(self.open(libc::O_RDONLY)?);
        self.check_regular(&file)?;
        Ok(file)
    }

    /// Opens what is there with these flags.
    pub(super) fn open(&self, flags: c_int) -> Result<OwnedFd, TaskError> {
        beneath::open(self.root.as_fd(), &self.path, flags).map_err(|it| self.failure(&it))
    }

    /// Opens the directory that holds the place.
    pub(super) fn entry(&self, make_dirs: bool) -> Result<Entry, TaskError> {
        let Some(name) = self.path.file_name() else {
            return Err(outside(&self.path));
        };
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let directory =
            if make_dirs { self.make_directories(parent)?.0 } else { self.directory(parent)? };
        Ok(Entry { directory, name: name.to_owned() })
    }

    /// Opens `path`, makes what is missing of it, and says whether anything was.
    pub(super) fn make_directories(&self, path: &Path) -> Result<(OwnedFd, bool), TaskError> {
        let mut made = false;
        let mut reached = PathBuf::new();
        for part in path.components() {
            let Component::Normal(name) = part else {
                if part == Component::CurDir {
                    continue;
                }
                return Err(outside(path));
            };
            let parent = self.directory(&reached)?;
            match beneath::make_directory(parent.as_fd(), name) {
                Ok(()) => made = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.failure(&error)),
            }
            reached.push(name);
        }
        Ok((self.directory(&reached)?, made))
    }

    fn directory(&self, path: &Path) -> Result<OwnedFd, TaskError> {
        let opened = beneath::open(self.root.as_fd(), path, libc::O_RDONLY | libc::O_DIRECTORY);
        opened.map_err(|it| self.failure(&it))
    }

    /// Refuses a change below a root that is only for reading.
    pub(super) fn check_writable(&self) -> Result<(), TaskError> {
        if self.read_only {
            let root = self.root_path.display();
            return Err(TaskError::fatal(
                "file_denied",
                format!("the root {root} is read_only in [files]"),
            ));
        }
        Ok(())
    }

    pub(super) fn check_regular(&self, file: &File) -> Result<(), TaskError> {
        let metadata = file.metadata().map_err(|it| self.failure(&it))?;
        if metadata.is_file() { Ok(()) } else { Err(self.not_regular()) }
    }

    pub(super) fn not_regular(&self) -> TaskError {
        not_regular(&self.path)
    }

    pub(super) fn failure(&self, error: &io::Error) -> TaskError {
        failure(&self.path, error)
    }

    /// How outputs name the place: relative to its root.
    pub(super) fn shown(&self) -> String {
        let text = self.path.to_string_lossy().into_owned();
        if text.is_empty() { ".".to_owned() } else { text }
    }
}

impl Entry {
    pub(super) fn at(&self) -> (BorrowedFd<'_>, &OsStr) {
        (self.directory.as_fd(), &self.name)
    }
}

/// A root as an absolute path without links, so that absolute paths of tasks can be compared.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn outside(path: &Path) -> TaskError {
    TaskError::fatal(
        "file_outside_root",
        format!("`{}` leads outside the roots of [files]", path.display()),
    )
}

fn not_regular(path: &Path) -> TaskError {
    let path = path.display();
    TaskError::fatal("file_not_regular", format!("`{path}` is not a regular file"))
}

/// Names why the system refused. Only faults of the machine are worth another attempt.
pub(super) fn failure(path: &Path, error: &io::Error) -> TaskError {
    let shown = path.display();
    match error.raw_os_error().unwrap_or(0) {
        libc::EXDEV | libc::ELOOP => outside(path),
        libc::ENOENT => TaskError::fatal("file_missing", format!("`{shown}` does not exist")),
        libc::EACCES | libc::EPERM | libc::EROFS => {
            TaskError::fatal("file_denied", format!("`{shown}`: {error}"))
        }
        libc::EEXIST => TaskError::fatal("file_exists", format!("`{shown}` exists already")),
        // ENXIO: a FIFO or a socket opened for writing.
        libc::EISDIR | libc::ENOTDIR | libc::ENXIO | libc::ENODEV => not_regular(path),
        libc::ENAMETOOLONG | libc::EINVAL => {
            TaskError::fatal("bad_parameters", format!("`{shown}` is not a usable path: {error}"))
        }
        libc::EFBIG => TaskError::fatal("file_limit", format!("`{shown}`: {error}")),
        _ => TaskError::new("file_io", format!("`{shown}`: {error}")),
    }
}
