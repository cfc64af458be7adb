//! The `surefoot` command. Terminal output and the exit of the process belong here and nowhere
//! else; what is decided, kept and run is the library's.
//!
//! | folder | answers |
//! |---|---|
//! | `arguments` | what may be typed |
//! | `commands` | what each command does |
//! | `config` | which setting holds, and why |
//! | `output` | tables, JSON, colours, times |
//! | `live` | a run as it goes on |
//! | `spans` | what a collector is told of runs without a server |
//! | `demo` | an order that survives a crash, with its own shop |
//! | `failure`, `exit` | what went wrong, and the code that says so |

mod arguments;
mod commands;
mod config;
mod demo;
mod exit;
mod failure;
mod input;
mod live;
mod output;
mod project;
mod remote;
mod session;
mod spans;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use exit::Exit;

/// A step is many small allocations, and two threads share them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let colour = arguments.global.colour();
    match commands::dispatch(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(colour);
            failure.exit.into()
        }
    }
}

/// Help and version are answers; everything else is a mistake in what was typed.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done about a terminal that is gone.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}
