//! What there is to look at: the files of the repository and what cargo knows of its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// A text file of the repository.
pub struct File {
    /// Relative to the root, with slashes.
    pub path: String,
    pub text: String,
}

impl File {
    /// Whether it is a part of what is shipped, not a test or an example.
    pub fn is_product(&self) -> bool {
        self.path.contains("/src/")
    }

    /// Returns the numbered lines of code: without comments, and without the tests at the end.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("\n#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().enumerate();
        lines.filter_map(|(number, line)| {
            let code = line.split(" // ").next().unwrap_or_default().trim();
            (!code.starts_with("//")).then_some((number + 1, code))
        })
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file with one of these extensions, in order.
pub fn files(extensions: &[&str]) -> Vec<&'static File> {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let mut paths = Vec::new();
        walk(&root(), &mut paths);
        paths.sort();
        paths.into_iter().filter_map(|path| read(&path)).collect()
    });
    let wanted = |file: &&File| {
        extensions
            .iter()
            .any(|it| file.path.rsplit_once('.').is_some_and(|(_, found)| found == *it))
    };
    FILES.iter().filter(wanted).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !matches!(&*name, ".ci" | ".cargo");
        // Cargo marks its target folders, wherever they are.
        if hidden || name == "node_modules" || path.join("CACHEDIR.TAG").exists() {
            continue;
        }
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// Files that are not text have no extension that is asked for, save for test data.
fn read(path: &Path) -> Option<File> {
    let text = fs::read_to_string(path).ok()?;
    let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    Some(File { path: relative, text })
}

/// What `cargo metadata` says for this machine.
pub fn metadata() -> &'static Value {
    static METADATA: LazyLock<Value> = LazyLock::new(|| {
        let about = Command::new("rustc").arg("-vV").output().unwrap();
        let about = String::from_utf8(about.stdout).unwrap();
        let host = about.lines().find_map(|it| it.strip_prefix("host: ")).unwrap();
        let found = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        serde_json::from_slice(&found.stdout).unwrap()
    });
    &METADATA
}
