//! Looking at directories: one name, one level, or a whole tree by pattern. Links are shown and
//! never followed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Value, json};
use surefoot_core::task_error::TaskError;
use tokio_util::sync::CancellationToken;

use super::beneath;
use super::roots::{Place, failure};
use crate::kinds::bounded::cancelled;
use crate::kinds::parameters::bad;

/// Directories below each other that `glob` enters.
const DEPTH_MAX: usize = 64;

/// Describes what stands at `place`; nothing if nothing does.
pub(super) fn stat(place: &Place) -> Result<Option<Value>, TaskError> {
    let found = if place.path.file_name().is_none() {
        // The root itself, or `..`, which `open` refuses.
        place.open(libc::O_RDONLY).and_then(|it| {
            beneath::stat(it.as_fd(), ".".as_ref()).map_err(|error| place.failure(&error))
        })
    } else {
        place.entry(false).and_then(|entry| {
            let (directory, name) = entry.at();
            beneath::stat(directory, name).map_err(|error| place.failure(&error))
        })
    };
    match found {
        Ok(found) => Ok(Some(describe(&found))),
        Err(error) if error.kind == "file_missing" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The entries of one directory, by name.
pub(super) fn list(place: &Place, entries_max: usize) -> Result<Vec<Value>, TaskError> {
    let directory = place.open(libc::O_RDONLY | libc::O_DIRECTORY)?;
    let again = directory.try_clone().map_err(|it| place.failure(&it))?;
    let mut entries = Vec::new();
    for name in sorted_names(&place.path, again, entries_max)? {
        // An entry may vanish between the two calls; then it is not there.
        if let Ok(found) = beneath::stat(directory.as_fd(), name.as_os_str()) {
            let mut entry = describe(&found);
            entry["name"] = name.to_string_lossy().into();
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Paths below `place` that match `pattern`, relative to it, in order. Directories are not listed.
pub(super) fn glob(
    place: &Place,
    pattern: &str,
    entries_max: usize,
    abort: &CancellationToken,
) -> Result<Vec<String>, TaskError> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let matcher = glob.map_err(|it| bad(format!("file: `pattern` is not a pattern: {it}")))?;
    let mut walk = Walk {
        matcher: matcher.compile_matcher(),
        entries_max,
        found: Vec::new(),
        abort: abort.clone(),
    };
    walk.enter(place.open(libc::O_RDONLY | libc::O_DIRECTORY)?, Path::new(""), 0)?;
    walk.found.sort();
    Ok(walk.found)
}

struct Walk {
    matcher: GlobMatcher,
    entries_max: usize,
    found: Vec<String>,
    abort: CancellationToken,
}

impl Walk {
    fn enter(&mut self, directory: OwnedFd, path: &Path, depth: usize) -> Result<(), TaskError> {
        if depth > DEPTH_MAX {
            let message = format!("`{}` is more than {DEPTH_MAX} directories deep", path.display());
            return Err(TaskError::fatal("file_limit", message));
        }
        if self.abort.is_cancelled() {
            return Err(cancelled());
        }
        let again = directory.try_clone().map_err(|it| failure(path, &it))?;
        for name in sorted_names(path, again, self.entries_max)? {
            let inner = path.join(&name);
            let Ok(found) = beneath::stat(directory.as_fd(), name.as_os_str()) else { continue };
            match found.st_mode & libc::S_IFMT {
                libc::S_IFDIR => {
                    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
                    let opened = beneath::open_at(directory.as_fd(), name.as_os_str(), flags);
                    self.enter(opened.map_err(|it| failure(&inner, &it))?, &inner, depth + 1)?;
                }
                _ if self.matcher.is_match(&inner) => {
                    self.found.push(inner.to_string_lossy().into_owned());
                }
                _ => {}
            }
            if self.found.len() > self.entries_max {
                return Err(too_many(path, self.entries_max));
            }
        }
        Ok(())
    }
}

fn sorted_names(
    path: &Path,
    directory: OwnedFd,
    entries_max: usize,
) -> Result<Vec<PathBuf>, TaskError> {
    let names =
        beneath::names(directory, entries_max).map_err(|it: io::Error| failure(path, &it))?;
    if names.len() > entries_max {
        return Err(too_many(path, entries_max));
    }
    let mut names: Vec<PathBuf> = names.into_iter().map(PathBuf::from).collect();
    names.sort();
    Ok(names)
}

fn too_many(path: &Path, entries_max: usize) -> TaskError {
    TaskError::fatal(
        "file_limit",
        format!(
            "`{}` has more than {entries_max} entries; raise `max_entries` under [files]",
            path.display()
        ),
    )
}

fn describe(found: &libc::stat) -> Value {
    let kind = match found.st_mode & libc::S_IFMT {
        libc::S_IFREG => "file",
        libc::S_IFDIR => "directory",
        libc::S_IFLNK => "symlink",
        _ => "other",
    };
    let modified = jiff::Timestamp::new(found.st_mtime, found.st_mtime_nsec as i32);
    json!({"kind": kind, "size": found.st_size, "modified": modified.ok().map(|it| it.to_string())})
}
