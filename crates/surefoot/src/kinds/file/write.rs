//! Changes that are there whole or not at all, also after a crash: a temporary file, its sync, a
//! rename, and the sync of the directory. Each attempt has its own temporary name, so that one
//! that was given up cannot publish half of another's content.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde::Deserialize;
use surefoot_core::task_error::TaskError;
use tokio_util::sync::CancellationToken;

use super::beneath;
use super::roots::{Entry, Place, failure};
use crate::kinds::bounded::cancelled;

const CHUNK_BYTES: usize = 256 * 1024;

/// What to do with a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// Leave it.
    Create,
    #[default]
    Overwrite,
    FailIfExists,
}

/// Which attempt writes.
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) idempotency_key: String,
}

impl Attempt {
    /// Attempts after the first may find their own work done.
    pub(super) fn is_repeated(&self) -> bool {
        self.number > 1
    }

    fn temporary_name(&self, name: &std::ffi::OsStr, number: u32) -> OsString {
        let hash = blake3::hash(self.idempotency_key.as_bytes()).to_hex();
        let name = blake3::hash(name.as_encoded_bytes()).to_hex();
        format!(".surefoot-{}-{}-{number}.tmp", &name[..16], &hash[..16]).into()
    }
}

/// Replaces the file at `place` by what `content` gives, and says whether it wrote.
pub(super) fn replace(
    place: &Place,
    make_dirs: bool,
    mode: Mode,
    attempt: &Attempt,
    content: impl FnOnce(&mut File) -> Result<(), TaskError>,
) -> Result<bool, TaskError> {
    place.check_writable()?;
    let entry = place.entry(make_dirs)?;
    let fail = |it: io::Error| place.failure(&it);
    let there = existing(place, &entry)?;
    if there.is_some() && mode == Mode::Create {
        return Ok(false);
    }
    // A crash may have left the temporary file of the attempt before.
    let _ = beneath::unlink(
        entry.directory.as_fd(),
        &attempt.temporary_name(&entry.name, attempt.number - 1),
    );
    let name = attempt.temporary_name(&entry.name, attempt.number);
    let temporary = Temporary { entry: &entry, name };
    let mut file = temporary.create().map_err(fail)?;
    content(&mut file)?;
    if let Some(there) = there.as_ref().and_then(|it| it.metadata().ok()) {
        let permissions = PermissionsExt::from_mode(there.mode() & 0o7777);
        file.set_permissions(permissions).map_err(fail)?;
    }
    file.sync_all().map_err(fail)?;
    match mode {
        Mode::Overwrite => temporary.rename().map_err(fail)?,
        Mode::Create | Mode::FailIfExists => match temporary.link() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_ours = attempt.is_repeated() && same_content(place, &temporary)?;
                if mode == Mode::FailIfExists && !is_ours {
                    return Err(fail(error));
                }
                return Ok(false);
            }
            Err(error) => return Err(fail(error)),
        },
    }
    drop(temporary);
    beneath::sync_directory(entry.directory.as_fd()).map_err(fail)?;
    Ok(true)
}

/// Opens the file that is about to be replaced. A directory or device must not be.
fn existing(place: &Place, entry: &Entry) -> Result<Option<File>, TaskError> {
    let (directory, name) = entry.at();
    match beneath::stat(directory, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(place.failure(&error)),
        Ok(found) if found.st_mode & libc::S_IFMT == libc::S_IFREG => {}
        Ok(_) => return Err(place.not_regular()),
    }
    match beneath::open_at(directory, name, libc::O_RDONLY) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(error) => Err(place.failure(&error)),
    }
}

/// A file that vanishes unless it is renamed.
struct Temporary<'e> {
    entry: &'e Entry,
    name: OsString,
}

impl Temporary<'_> {
    fn create(&self) -> io::Result<File> {
        let directory = self.entry.directory.as_fd();
        // This attempt may have been started twice by a process that crashed in between.
        let _ = beneath::unlink(directory, &self.name);
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        beneath::open_at(directory, &self.name, flags).map(File::from)
    }

    fn rename(&self) -> io::Result<()> {
        beneath::rename((self.entry.directory.as_fd(), &self.name), self.entry.at())
    }

    fn link(&self) -> io::Result<()> {
        beneath::link((self.entry.directory.as_fd(), &self.name), self.entry.at())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // After a rename the name is gone, which is what this wants.
        let _ = beneath::unlink(self.entry.directory.as_fd(), &self.name);
    }
}

fn same_content(place: &Place, temporary: &Temporary<'_>) -> Result<bool, TaskError> {
    let fail = |it: io::Error| place.failure(&it);
    let open = |name: &std::ffi::OsStr| {
        let directory = temporary.entry.directory.as_fd();
        beneath::open_at(directory, name, libc::O_RDONLY).map(File::from).map_err(fail)
    };
    let (mut ours, mut theirs) = (blake3::Hasher::new(), blake3::Hasher::new());
    ours.update_reader(open(&temporary.name)?).map_err(fail)?;
    theirs.update_reader(open(&temporary.entry.name)?).map_err(fail)?;
    Ok(ours.finalize() == theirs.finalize())
}

/// Feeds `file` to `sink` in pieces, no more than `bytes_max`, until told to stop.
pub(super) fn pump(
    place: &Place,
    file: &mut File,
    bytes_max: u64,
    abort: &CancellationToken,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, TaskError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        if abort.is_cancelled() {
            return Err(cancelled());
        }
        let count = file.read(&mut buffer).map_err(|it| place.failure(&it))?;
        if count == 0 {
            return Ok(total);
        }
        total += count as u64;
        if total > bytes_max {
            return Err(too_large(place, bytes_max));
        }
        sink(&buffer[..count]).map_err(|it| failure(&place.path, &it))?;
    }
}

pub(super) fn too_large(place: &Place, bytes_max: u64) -> TaskError {
    TaskError::fatal(
        "file_limit",
        format!(
            "`{}` has more than {bytes_max} bytes; raise the limit under [files] or `max_bytes`",
            place.shown()
        ),
    )
}

/// Adds `content` to the end of the file, which is made if missing.
pub(super) fn append(place: &Place, make_dirs: bool, content: &[u8]) -> Result<(), TaskError> {
    place.check_writable()?;
    let entry = place.entry(make_dirs)?;
    let fail = |it: io::Error| place.failure(&it);
    let file = place.open(libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT)?;
    let mut file = File::from(file);
    place.check_regular(&file)?;
    file.write_all(content).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    beneath::sync_directory(entry.directory.as_fd()).map_err(fail)
}
