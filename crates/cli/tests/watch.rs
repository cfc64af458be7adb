//! `surefoot ls --watch`: on a real terminal, and in a pipe.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use support::{ASK, HELLO, Project};

const PATIENCE: Duration = Duration::from_secs(60);
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Both ends of a terminal with a command on it.
struct Terminal {
    child: Child,
    master: File,
    slave: OwnedFd,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(project: &Project, arguments: &[&str], columns: u16, rows: u16) -> Terminal {
        let (mut master, mut slave) = (0, 0);
        let mut size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let none = std::ptr::null_mut();
        // SAFETY: the arguments outlive the call, which fills the two descriptors or fails.
        let opened = unsafe {
            libc::openpty(&raw mut master, &raw mut slave, none, none.cast(), &raw mut size)
        };
        assert_eq!(opened, 0);
        // SAFETY: both were opened above and belong to nobody else.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut command = project.command(arguments);
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (sender, screen) = channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, master, slave, screen, seen: String::new() }
    }

    /// Reads until the terminal has shown a text since the last time.
    fn shows(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("`{text}` does not come: {:?}", self.seen),
            }
        }
        std::mem::take(&mut self.seen)
    }

    fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCSWINSZ reads the structure that it is given.
        unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        self.signal(libc::SIGWINCH);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child was started here and was not waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Whether typed letters come at once and unseen.
    fn is_raw(&self) -> bool {
        // SAFETY: all zeroes is a value of this plain structure, which tcgetattr fills.
        let mut mode: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and the structure outlives the call.
        assert_eq!(unsafe { libc::tcgetattr(self.slave.as_raw_fd(), &raw mut mode) }, 0);
        mode.c_lflag & (libc::ICANON | libc::ECHO) == 0
    }
}

fn asking() -> Project {
    let project = Project::new(&[("ask.surefoot.yaml", ASK), ("hello.surefoot.yaml", HELLO)]);
    project.out(&["run", "hello.surefoot.yaml"]);
    project.run(&["run", "ask.surefoot.yaml", "--until-idle"]);
    project
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let project = asking();
    for (how, code) in [("q", 0), ("ctrl-c", 130)] {
        let mut terminal = Terminal::open(&project, &["ls", "-w"], 100, 24);
        let picture = terminal.shows("hello@1.0.0");
        assert!(picture.contains(ENTER), "{picture:?}");
        assert!(picture.contains("1 running · 1 waiting"), "{picture:?}");
        assert!(terminal.is_raw());
        // Narrow and low: what does not fit is left out, and nothing runs on below.
        terminal.resize(44, 3);
        let narrow = terminal.shows("\x1b[J");
        let last = narrow.rsplit("\x1b[H").next().unwrap();
        assert_eq!(last.matches("\r\n").count(), 2, "{last:?}");
        match how {
            "q" => terminal.types("xq"),
            _ => terminal.signal(libc::SIGINT),
        }
        terminal.shows(LEAVE);
        assert_eq!(terminal.child.wait().unwrap().code(), Some(code), "{how}");
        assert!(!terminal.is_raw(), "{how}");
    }
}

#[test]
fn a_pipe_gets_a_line_for_each_change() {
    let project = asking();
    let mut child = project.command(&["ls", "-w"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("running 1  waiting 1  "), "{first}");
    assert!(!first.contains('\x1b'), "{first}");
    project.out(&["run", "hello.surefoot.yaml"]);
    let later = lines.find(|it| it.as_ref().is_ok_and(|it| it != &first)).unwrap().unwrap();
    assert!(later.contains("ended "), "{later}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_wrong_from_the_start_is_told_as_ever() {
    let project = Project::new(&[]);
    project.fails(&["ls", "-w"], 5, &["SF5010"]);
}
