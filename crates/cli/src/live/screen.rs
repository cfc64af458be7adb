//! The whole terminal, taken for a picture that changes, and given back as it was.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsRawFd as _;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::failure::Result;

/// The other page of the terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Keys that wait to be taken.
const KEYS_MAX: usize = 16;
/// What a terminal is taken for that does not say.
const SIZE: (usize, usize) = (80, 24);

/// While it lives, the terminal is in its hands.
pub struct Screen {
    before: libc::termios,
    keys: mpsc::Receiver<u8>,
    resized: Signal,
}

impl Screen {
    /// Takes the terminal; nothing if there is none, from keys to picture.
    pub fn take() -> Result<Option<Screen>> {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        if !input.is_terminal() || !output.is_terminal() {
            return Ok(None);
        }
        let resized = signal(SignalKind::window_change())?;
        // SAFETY: all zeroes is a value of this plain structure, which tcgetattr fills.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open, and the structure outlives the call.
        if unsafe { libc::tcgetattr(input.as_raw_fd(), &raw mut before) } != 0 {
            return Ok(None);
        }
        let mut quiet = before;
        // Keys come at once and are not shown; signals stay signals, but for the one that stops.
        quiet.c_lflag &= !(libc::ICANON | libc::ECHO);
        quiet.c_cc[libc::VSUSP] = 0;
        set(&quiet);
        print(ENTER)?;
        Ok(Some(Screen { before, keys: keys(), resized }))
    }

    /// Returns columns and rows.
    pub fn size(&self) -> (usize, usize) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCGWINSZ fills the structure that it is given, or fails and leaves it.
        let asked = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
        match (asked, size.ws_col, size.ws_row) {
            (0, 1.., 1..) => (size.ws_col.into(), size.ws_row.into()),
            _ => SIZE,
        }
    }

    /// Shows a picture over the one before. What is below the last row is left out.
    pub fn show(&self, picture: &str) -> Result<()> {
        let (_, rows) = self.size();
        let lines: Vec<String> =
            picture.lines().take(rows).map(|it| format!("{it}\x1b[K")).collect();
        print(&format!("\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    /// Returns when the picture is to be drawn anew, and whether the user wants no more of it.
    pub async fn wants_to_leave(&mut self) -> bool {
        tokio::select! {
            key = self.keys.recv() => matches!(key, None | Some(b'q' | b'Q')),
            _ = self.resized.recv() => false,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = print(LEAVE);
        set(&self.before);
    }
}

fn set(mode: &libc::termios) {
    // SAFETY: the structure was filled by tcgetattr. A terminal that is gone needs no mode.
    unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, mode) };
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Reads keys on a thread of its own, for nothing else can wait for them; it ends with the process.
fn keys() -> mpsc::Receiver<u8> {
    use std::io::Read as _;
    let (sender, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        for key in std::io::stdin().bytes() {
            let Ok(key) = key else { return };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}
