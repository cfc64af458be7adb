//! `surefoot convert`: definitions from elsewhere.

use serde_json::Value;
use surefoot::core::convert::{ConvertKind, ConvertOptions, wfcommons};

use super::nets;
use crate::arguments::{Convert, ConvertTo};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::session::Session;

pub fn convert(session: &Session, arguments: &Convert) -> Result<Exit> {
    if nets::is_net(&arguments.file) {
        let converted = nets::convert(&arguments.file)?;
        return write(session, arguments, &converted.definition_yaml, &converted.notes);
    }
    let bytes = input::read(&arguments.file)?;
    let shown = arguments.file.display();
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(Exit::Usage, "SF5061", format!("`{shown}` is not JSON: {error}"))
            .hint("WfCommons files are JSON; processes are read from *.bpmn.")
    })?;
    let kind = match arguments.kind {
        ConvertTo::Wait => ConvertKind::Wait,
        ConvertTo::Transform => ConvertKind::Transform,
    };
    let options = ConvertOptions { time_scale: arguments.time_scale, kind };
    let converted = wfcommons(&value, &options).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|it| format!("{}: {}", it.pointer, it.message)).collect();
        let help = problems.iter().find_map(|it| it.help.clone());
        Failure::new(
            Exit::Usage,
            "SF5061",
            format!("`{shown}` cannot be converted:\n  {}", lines.join("\n  ")),
        )
        .hint(help.unwrap_or_else(|| "Mend the file, or convert a part of it.".to_owned()))
    })?;
    write(session, arguments, &converted.definition_yaml, &converted.notes)
}

fn write(
    session: &Session,
    arguments: &Convert,
    definition_yaml: &str,
    notes: &[String],
) -> Result<Exit> {
    for note in notes {
        session.output.say(format!("note: {note}"));
    }
    match &arguments.to_file {
        None => session.output.text(definition_yaml)?,
        Some(path) => {
            std::fs::write(path, definition_yaml).map_err(|error| {
                Failure::new(
                    Exit::Usage,
                    "SF5053",
                    format!("`{}` cannot be written: {error}", path.display()),
                )
                .hint("Check the directory.")
            })?;
            session.output.say(format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::Ok)
}
