//! `surefoot init`: a workflow to start from.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anstream::AutoStream;
use surefoot::core::source::{nearest, oxford};

use crate::arguments::{Global, Init};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::style;

/// Where editors find the schema, from the definition's place.
const SCHEMA: &str = ".surefoot/workflow.schema.json";

pub struct Template {
    pub name: &'static str,
    pub about: &'static str,
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! template {
    ($name:literal, $about:literal, $($file:literal),+) => {
        Template {
            name: $name,
            about: $about,
            files: &[$(($file, include_str!(concat!("../../templates/", $name, "/", $file)))),+],
        }
    };
}

pub const TEMPLATES: &[Template] = &[
    template!(
        "hello",
        "two tasks, the second uses the first one's output",
        "hello.surefoot.yaml",
        "hello.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "order",
        "validate, take payment, reserve, tell: retries, compensation, a branch",
        "order.surefoot.yaml",
        "order.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "approval",
        "a document that people approve: states, events, a deadline",
        "approval.surefoot.yaml",
        "approval.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "etl",
        "read a file, transform it, write it",
        "etl.surefoot.yaml",
        "etl.surefoot-test.yaml",
        "data/people.json",
        "surefoot.toml",
        "README.md"
    ),
    template!(
        "fanout",
        "a hundred items, ten at a time, and their sum",
        "fanout.surefoot.yaml",
        "fanout.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "saga",
        "three bookings; when the last fails, the others are undone",
        "saga.surefoot.yaml",
        "saga.surefoot-test.yaml",
        "surefoot.toml",
        "README.md"
    ),
    template!(
        "http",
        "call a service with retries, and decide by its answer",
        "http.surefoot.yaml",
        "http.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "schedule",
        "every working day at nine, in a time zone",
        "schedule.surefoot.yaml",
        "schedule.surefoot-test.yaml",
        "README.md"
    ),
    template!(
        "rust-embedded",
        "a Rust program with handlers of its own",
        "greet.surefoot.yaml",
        "greet.surefoot-test.yaml",
        "Cargo.toml",
        "src/main.rs",
        "README.md"
    ),
];

pub fn init(arguments: &Init, global: &Global) -> Result<Exit> {
    let mut out = AutoStream::new(std::io::stdout(), global.colour());
    if arguments.list {
        for template in TEMPLATES {
            let name = style::paint(style::NAME, format!("{:<14}", template.name));
            writeln!(out, "{name} {}", template.about)?;
        }
        return Ok(Exit::Ok);
    }
    let names = || TEMPLATES.iter().map(|it| it.name);
    let template = TEMPLATES.iter().find(|it| it.name == arguments.template).ok_or_else(|| {
        let message = format!("there is no template `{}`", arguments.template);
        let hint = match nearest(&arguments.template, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", oxford(&names().collect::<Vec<_>>(), "and")),
        };
        Failure::new(Exit::NotFound, "SF5051", message).hint(hint)
    })?;
    let directory = arguments.directory.clone().unwrap_or_else(|| PathBuf::from(template.name));
    write(template, &directory)?;
    for (file, _) in template.files {
        writeln!(out, "{}", directory.join(file).display())?;
    }
    if !global.quiet {
        let err = std::io::stderr();
        let place = directory.display();
        // Nothing can be done about a terminal that is gone.
        let _ = writeln!(
            AutoStream::new(err, global.colour()),
            "next: cd {place} && surefoot check && surefoot test && surefoot run"
        );
    }
    Ok(Exit::Ok)
}

/// Writes all files or none: what exists is never overwritten.
fn write(template: &Template, directory: &Path) -> Result<()> {
    for (file, _) in template.files {
        let path = directory.join(file);
        if path.exists() {
            return Err(Failure::new(
                Exit::Conflict,
                "SF5052",
                format!("`{}` exists already", path.display()),
            )
            .hint("Name another directory: surefoot init TEMPLATE DIRECTORY"));
        }
    }
    let schema = serde_json::to_string_pretty(&surefoot::core::editor_schema::editor_schema())
        .unwrap_or_default();
    let all =
        template.files.iter().map(|(file, text)| (*file, *text)).chain([(SCHEMA, schema.as_str())]);
    for (file, text) in all {
        let path = directory.join(file);
        let folder = path.parent().unwrap_or(directory);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| {
            Failure::new(
                Exit::Usage,
                "SF5053",
                format!("`{}` cannot be written: {error}", path.display()),
            )
            .hint("Check that the directory can be written and the disk has room.")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use surefoot::core::check::{CheckContext, check_source};

    use super::*;

    #[test]
    fn every_template_passes_the_check_and_names_its_schema() {
        for template in TEMPLATES {
            let definitions = template.files.iter().filter(|it| it.0.ends_with(".surefoot.yaml"));
            for (file, text) in definitions {
                assert!(
                    text.starts_with(&format!("# yaml-language-server: $schema={SCHEMA}\n")),
                    "{file}"
                );
                let mut documents = check_source(text.as_bytes(), &CheckContext::default());
                let problems = documents.remove(0).problems;
                assert_eq!(problems, [], "{file}");
            }
        }
    }
}
