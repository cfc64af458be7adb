//! `surefoot completions`: scripts for shells.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::arguments::{Arguments, Completions};
use crate::exit::Exit;
use crate::failure::{Failure, Result};

pub fn completions(arguments: &Completions) -> Result<Exit> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Arguments::command(), "surefoot", &mut script);
    if !arguments.install {
        use std::io::Write as _;
        std::io::stdout().write_all(&script)?;
        return Ok(Exit::Ok);
    }
    let path = place(arguments.shell).ok_or_else(|| {
        let message = format!("where {} looks for completions is not known", arguments.shell);
        Failure::new(Exit::Usage, "SF5009", message)
            .hint("Write the script into its start-up file: `surefoot completions SHELL >> FILE`.")
    })?;
    let folder = path.parent().unwrap_or(&path);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, script)).map_err(
        |error| {
            let message = format!("{} cannot be written: {error}", path.display());
            Failure::new(Exit::Usage, "SF5009", message).hint("Check the directory's permissions.")
        },
    )?;
    let note = match arguments.shell {
        Shell::Zsh => " (its directory must be in `fpath` before `compinit`)",
        _ => "",
    };
    eprint_line(&format!("wrote {}; open a new shell to use it{note}", path.display()));
    Ok(Exit::Ok)
}

fn eprint_line(text: &str) {
    use std::io::Write as _;
    // Nothing can be done about a terminal that is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Where a shell looks without being told.
fn place(shell: Shell) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let home = folder("HOME");
    let data = folder("XDG_DATA_HOME").or_else(|| Some(home.clone()?.join(".local/share")));
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
    match shell {
        Shell::Bash => Some(data?.join("bash-completion/completions/surefoot")),
        Shell::Zsh => Some(data?.join("zsh/site-functions/_surefoot")),
        Shell::Fish => Some(config?.join("fish/completions/surefoot.fish")),
        _ => None,
    }
}
