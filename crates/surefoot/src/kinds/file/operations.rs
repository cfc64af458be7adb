//! What each `op` of a file task does.

use std::fs::File;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::os::fd::AsFd;
use surefoot_core::task_error::TaskError;
use tokio_util::sync::CancellationToken;

use super::roots::{Place, Roots};
use super::write::{self, Attempt, Mode, pump};
use super::{FileConfig, beneath, walk};
use crate::kinds::parameters::{bad, present};

/// `with` of a `file` task. Its schema is `surefoot_core::kind_schema::file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    op: Operation,
    #[serde(default)]
    path: Option<String>,
    root: Option<String>,
    to: Option<String>,
    to_root: Option<String>,
    #[serde(default, rename = "as")]
    reading: Reading,
    max_bytes: Option<u64>,
    text: Option<String>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
    base64: Option<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    make_dirs: bool,
    #[serde(default)]
    missing_ok: bool,
    pattern: Option<String>,
    #[serde(default)]
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    Read,
    Write,
    Append,
    Copy,
    Move,
    Delete,
    List,
    Glob,
    Checksum,
    Stat,
    Exists,
    Mkdir,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reading {
    #[default]
    Text,
    Json,
    Base64,
    Lines,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Algorithm {
    #[default]
    Sha256,
    Blake3,
}

/// Does what the task says, on a thread that may block.
pub(super) fn run(
    config: &FileConfig,
    roots: &Roots<'_>,
    with: With,
    attempt: &Attempt,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    let place = roots.place(with.root.as_deref(), path(&with)?)?;
    let mut output = match with.op {
        Operation::Read => read(&place, &with, config.max_read_bytes, abort)?,
        Operation::Write => write(&place, &with, attempt)?,
        Operation::Append => append(&place, &with)?,
        Operation::Copy => {
            copy(&place, &destination(roots, &with)?, &with, config, attempt, abort)?
        }
        Operation::Move => rename(&place, &destination(roots, &with)?, &with, attempt)?,
        Operation::Delete => delete(&place, with.missing_ok || attempt.is_repeated())?,
        Operation::List => json!({"entries": walk::list(&place, config.max_entries)?}),
        Operation::Glob => {
            let pattern = with.pattern.as_deref().ok_or_else(|| missing("glob", "pattern"))?;
            json!({"paths": walk::glob(&place, pattern, config.max_entries, abort)?})
        }
        Operation::Checksum => checksum(&place, with.algorithm, config.max_file_bytes, abort)?,
        Operation::Stat => stat(&place)?,
        Operation::Exists => json!({"exists": walk::stat(&place)?.is_some()}),
        Operation::Mkdir => {
            place.check_writable()?;
            json!({"created": place.make_directories(&place.path)?.1})
        }
    };
    output["path"] = place.shown().into();
    Ok(output)
}

/// `list` and `glob` may leave out the path: they then look at the root.
fn path(with: &With) -> Result<&str, TaskError> {
    match (&with.path, with.op) {
        (Some(path), _) => Ok(path),
        (None, Operation::List | Operation::Glob) => Ok(""),
        (None, _) => Err(bad("file: `with` needs the key `path`")),
    }
}

fn destination(roots: &Roots<'_>, with: &With) -> Result<Place, TaskError> {
    let to = with.to.as_deref().ok_or_else(|| missing("copy and move", "to"))?;
    roots.place(with.to_root.as_deref().or(with.root.as_deref()), to)
}

fn read(
    place: &Place,
    with: &With,
    bytes_max: u64,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    let bytes_max = with.max_bytes.unwrap_or(bytes_max);
    let mut file = place.open_file()?;
    let mut content = Vec::new();
    pump(place, &mut file, bytes_max, abort, |chunk| {
        content.extend_from_slice(chunk);
        Ok(())
    })?;
    let bytes = content.len();
    if let Reading::Base64 = with.reading {
        return Ok(json!({"bytes": bytes, "base64": STANDARD.encode(&content)}));
    }
    let text = String::from_utf8(content).map_err(|_| {
        let message = format!("`{}` is not UTF-8 text; read it `as: base64`", place.shown());
        TaskError::fatal("file_not_text", message)
    })?;
    match with.reading {
        Reading::Lines => Ok(json!({"bytes": bytes, "lines": text.lines().collect::<Vec<_>>()})),
        Reading::Json => match serde_json::from_str::<Value>(&text) {
            Ok(value) => Ok(json!({"bytes": bytes, "json": value})),
            Err(error) => {
                let message = format!("`{}` is not JSON: {error}", place.shown());
                Err(TaskError::fatal("invalid_json", message))
            }
        },
        Reading::Text | Reading::Base64 => Ok(json!({"bytes": bytes, "text": text})),
    }
}

fn write(place: &Place, with: &With, attempt: &Attempt) -> Result<Value, TaskError> {
    let content = content(with)?;
    let fill = |file: &mut File| file.write_all(&content).map_err(|it| place.failure(&it));
    let written = write::replace(place, with.make_dirs, with.mode, attempt, fill)?;
    Ok(json!({"written": written, "bytes": content.len()}))
}

/// A repeated attempt appends again: a file has no place to remember that it was done.
fn append(place: &Place, with: &With) -> Result<Value, TaskError> {
    let mut content = content(with)?;
    if with.json.is_some() {
        content.push(b'\n');
    }
    write::append(place, with.make_dirs, &content)?;
    Ok(json!({"bytes": content.len()}))
}

fn copy(
    from: &Place,
    to: &Place,
    with: &With,
    config: &FileConfig,
    attempt: &Attempt,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    let mut source = from.open_file()?;
    let mut bytes = 0;
    let written = write::replace(to, with.make_dirs, with.mode, attempt, |file| {
        bytes =
            pump(from, &mut source, config.max_file_bytes, abort, |chunk| file.write_all(chunk))?;
        Ok(())
    })?;
    Ok(json!({"written": written, "bytes": bytes}))
}

fn rename(from: &Place, to: &Place, with: &With, attempt: &Attempt) -> Result<Value, TaskError> {
    from.check_writable()?;
    to.check_writable()?;
    let (source, target) = (from.entry(false)?, to.entry(with.make_dirs)?);
    let (directory, name) = source.at();
    match beneath::stat(directory, name) {
        Ok(found) if found.st_mode & libc::S_IFMT == libc::S_IFREG => {}
        Ok(_) => return Err(from.not_regular()),
        // The attempt before may have moved it and crashed before it could say so.
        Err(_) if attempt.is_repeated() && to.open_file().is_ok() => {
            return Ok(json!({"written": true}));
        }
        Err(error) => return Err(from.failure(&error)),
    }
    let there = beneath::stat(target.at().0, target.at().1).ok();
    if there.is_some_and(|it| it.st_mode & libc::S_IFMT != libc::S_IFREG) {
        return Err(to.not_regular());
    }
    let moved = match (with.mode, there) {
        (Mode::Overwrite, _) => beneath::rename(source.at(), target.at()),
        (Mode::Create, Some(_)) => return Ok(json!({"written": false})),
        (Mode::Create | Mode::FailIfExists, _) => {
            beneath::link(source.at(), target.at()).and_then(|()| beneath::unlink(directory, name))
        }
    };
    moved.map_err(|it| moving(from, to, &it))?;
    for entry in [&source, &target] {
        beneath::sync_directory(entry.directory.as_fd()).map_err(|it| to.failure(&it))?;
    }
    Ok(json!({"written": true}))
}

/// `EXDEV` means another file system here, not a way out of the root.
fn moving(from: &Place, to: &Place, error: &std::io::Error) -> TaskError {
    if error.raw_os_error() == Some(libc::EXDEV) {
        let message = format!(
            "`{}` and `{}` are on different file systems: use copy, then delete",
            from.shown(),
            to.shown()
        );
        return TaskError::fatal("file_cross_device", message);
    }
    to.failure(error)
}

fn delete(place: &Place, missing_ok: bool) -> Result<Value, TaskError> {
    place.check_writable()?;
    let removed = place.entry(false).and_then(|entry| {
        let (directory, name) = entry.at();
        let found = beneath::stat(directory, name).map_err(|it| place.failure(&it))?;
        // A link is removed itself, not what it points to.
        if !matches!(found.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFLNK) {
            return Err(place.not_regular());
        }
        let gone =
            beneath::unlink(directory, name).and_then(|()| beneath::sync_directory(directory));
        gone.map_err(|it| place.failure(&it))
    });
    match removed {
        Ok(()) => Ok(json!({"deleted": true})),
        Err(error) if missing_ok && error.kind == "file_missing" => Ok(json!({"deleted": false})),
        Err(error) => Err(error),
    }
}

fn checksum(
    place: &Place,
    algorithm: Algorithm,
    bytes_max: u64,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    let mut file = place.open_file()?;
    let (mut sha256, mut blake3) = (sha2::Sha256::new(), blake3::Hasher::new());
    let bytes = pump(place, &mut file, bytes_max, abort, |chunk| {
        match algorithm {
            Algorithm::Sha256 => sha256.update(chunk),
            Algorithm::Blake3 => {
                blake3.update(chunk);
            }
        }
        Ok(())
    })?;
    let (name, text) = match algorithm {
        Algorithm::Sha256 => ("sha256", HEXLOWER.encode(&sha256.finalize())),
        Algorithm::Blake3 => ("blake3", blake3.finalize().to_hex().to_string()),
    };
    Ok(json!({"algorithm": name, "checksum": text, "bytes": bytes}))
}

fn stat(place: &Place) -> Result<Value, TaskError> {
    Ok(match walk::stat(place)? {
        Some(mut found) => {
            found["exists"] = true.into();
            found
        }
        None => json!({"exists": false}),
    })
}

/// What `write` and `append` put into the file.
fn content(with: &With) -> Result<Vec<u8>, TaskError> {
    match (&with.text, &with.json, &with.base64) {
        (Some(text), None, None) => Ok(text.clone().into_bytes()),
        (None, Some(value), None) => Ok(value.to_string().into_bytes()),
        (None, None, Some(text)) => {
            STANDARD.decode(text).map_err(|it| bad(format!("file: `base64` is not base64: {it}")))
        }
        _ => Err(bad("file: give one of `text`, `json` and `base64`")),
    }
}

fn missing(op: &str, key: &str) -> TaskError {
    bad(format!("file: {op} needs the key `{key}`"))
}
