//! `surefoot help`: pages of codes, and the help of commands.

use std::io::Write as _;

use anstream::{AutoStream, ColorChoice};
use clap::CommandFactory as _;
use surefoot::core::source::codes;

use crate::arguments::{Arguments, Help};
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};

pub fn help(arguments: &Help, colour: ColorChoice) -> Result<Exit> {
    let mut out = AutoStream::new(std::io::stdout(), colour);
    let mut root = Arguments::command();
    let Some(topic) = &arguments.topic else {
        write!(out, "{}", root.render_help().ansi())?;
        return Ok(Exit::Ok);
    };
    if let Some(page) = codes::page(topic) {
        writeln!(out, "{}", page.trim_end())?;
        return Ok(Exit::Ok);
    }
    root.build();
    if let Some(command) = root.find_subcommand_mut(topic) {
        write!(out, "{}", command.render_long_help().ansi())?;
        return Ok(Exit::Ok);
    }
    let codes = codes::ENTRIES.iter().map(|it| it.code.to_owned());
    let commands = root.get_subcommands().map(|it| it.get_name().to_owned());
    let known: Vec<String> = commands.chain(codes).collect();
    Err(Failure::new(Exit::NotFound, "SF5008", format!("there is no page `{topic}`"))
        .hint(suggestion(topic, &known, "there are").unwrap_or_default()))
}
