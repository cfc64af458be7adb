//! A directory with definitions in it, and the real command run there.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub struct Project {
    pub directory: tempfile::TempDir,
}

/// What the command did.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub const HELLO: &str = "
id: hello
version: 1.0.0
tasks:
  compose: {uses: transform, with: {text: \"Hello, ${{ has(input.name) ? input.name : 'world' }}!\"}}
  say: {needs: [compose], uses: log, with: {message: '${{ tasks.compose.output.text }}'}}
output: {text: '${{ tasks.compose.output.text }}'}
";

pub const ASK: &str = "
id: ask
tasks:
  ask: {uses: approval, with: {prompt: 'Go on?'}}
  paid: {uses: signal, with: {name: paid}}
  end: {needs: [ask, paid], uses: log, with: {message: done}}
";

pub const FAILS: &str = "
id: fails
tasks:
  good: {uses: transform, with: {n: 1}}
  bad: {needs: [good], uses: fail, with: {message: no luck}}
";

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Project {
        let directory = tempfile::tempdir().unwrap();
        let project = Project { directory };
        files.iter().for_each(|(name, text)| project.write(name, text));
        project
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The command with nothing of the surroundings: no colours, no settings, no home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_surefoot"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command.env("HOME", self.path().join("home")).env("USER", "ada");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Done {
        done(self.command(arguments).output().unwrap())
    }

    #[track_caller]
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        done(child.wait_with_output().unwrap())
    }

    /// Runs what must succeed and returns what it wrote.
    #[track_caller]
    pub fn out(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        done.out
    }

    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let out = self.out(arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Checks the exit code and that the errors say all of this.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str], code: i32, said: &[&str]) -> Done {
        let done = self.run(arguments);
        done.failed(arguments, code, said);
        done
    }

    /// Starts a command that goes on, and waits until the store has a run in this status.
    pub fn background(&self, arguments: &[&str], status: &str) -> Background {
        let child = self.command(arguments).spawn().unwrap();
        let background = Background { child: Some(child) };
        let filter = format!("status:{status}");
        while !self.run(&["ls", "-f", &filter, "-o", "name"]).out.contains('0') {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        background
    }
}

impl Done {
    #[track_caller]
    pub fn failed(&self, what: &[&str], code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{what:?}: {}{}", self.out, self.err);
        for text in said {
            assert!(self.err.contains(text), "{what:?} should say {text:?}:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert!(!self.err.contains("\x1b["), "colours in a pipe: {}", self.err);
        assert_eq!(self.out, "", "{what:?}: errors do not go to standard output");
    }
}

/// A process that is ended with the test.
pub struct Background {
    child: Option<Child>,
}

impl Background {
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn wait(mut self) -> Done {
        done(self.child.take().unwrap().wait_with_output().unwrap())
    }

    pub fn signal(&self, signal: i32) {
        let sent =
            Command::new("kill").args([format!("-{signal}"), self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
