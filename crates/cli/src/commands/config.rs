//! `surefoot config`: which setting holds, and why.

use serde_json::json;

use crate::arguments::{Config, ConfigAction};
use crate::config::{file_to_set, masked, unknown_key};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input::parse_or_text;
use crate::output::{Table, style};
use crate::session::Session;

pub fn config(session: &Session, arguments: Config) -> Result<Exit> {
    match arguments.action {
        ConfigAction::Get { key } => get(session, &key),
        ConfigAction::Set { key, value, user } => set(session, &key, &value, user),
        ConfigAction::Explain { key } => explain(session, &key),
        ConfigAction::Show => show(session),
    }?;
    Ok(Exit::Ok)
}

fn get(session: &Session, key: &str) -> Result<()> {
    let all = session.settings.origins.get(key).ok_or_else(|| unknown_key(key))?;
    let value = all.first().map_or(serde_json::Value::Null, |it| masked(key, &it.value));
    if !session.output.is_for_people() {
        return session.output.value(&value, &plain(&value));
    }
    session.output.text(&format!("{}\n", plain(&value)))
}

fn explain(session: &Session, key: &str) -> Result<()> {
    let all = session.settings.origins.get(key).ok_or_else(|| unknown_key(key))?;
    if !session.output.is_for_people() {
        let list: Vec<_> = all
            .iter()
            .map(|it| {
                (key.to_owned(), json!({"source": it.source, "value": masked(key, &it.value)}))
            })
            .collect();
        return session.output.list(&list);
    }
    let mut text = String::new();
    for (at, origin) in all.iter().enumerate() {
        let value = plain(&masked(key, &origin.value));
        let line = match at {
            0 => format!("{key} = {value}\n  from {}\n", origin.source),
            _ => format!("  over {value} from {}\n", origin.source),
        };
        text.push_str(&line);
    }
    session.output.text(&text)
}

fn show(session: &Session) -> Result<()> {
    let held = session.settings.origins.iter().filter_map(|(key, all)| Some((key, all.first()?)));
    if !session.output.is_for_people() {
        let value = held
            .map(|(key, it)| {
                (key.clone(), json!({"value": masked(key, &it.value), "source": it.source}))
            })
            .collect::<serde_json::Map<_, _>>();
        return session.output.value(&value.into(), "");
    }
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for (key, origin) in held {
        let value = plain(&masked(key, &origin.value));
        table.row(style::NAME, vec![key.clone(), value, origin.source.clone()]);
    }
    session.output.text(&table.print(None))
}

/// Rewrites the one line, or adds it, so that comments stay where they are.
fn set(session: &Session, key: &str, value: &str, user: bool) -> Result<()> {
    let known = session.settings.origins.contains_key(key);
    let is_open = ["kinds.", "databases.", "profile."].iter().any(|it| key.starts_with(it));
    if !known && !is_open {
        return Err(unknown_key(key));
    }
    let path =
        file_to_set(&session.settings.project, user, &session.variables).ok_or_else(|| {
            Failure::new(Exit::Usage, "SF5024", "there is no place for the user's configuration")
                .hint("Set HOME or XDG_CONFIG_HOME.")
        })?;
    let told = |error: std::io::Error| {
        let message = format!("{} cannot be written: {error}", path.display());
        Failure::new(Exit::Usage, "SF5024", message).hint("Check the permissions of its directory.")
    };
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(told(error)),
    };
    let parsed = parse_or_text(value);
    let shown =
        toml::Value::try_from(&parsed).map_or_else(|_| format!("{value:?}"), |it| it.to_string());
    let after = with_line(&before, key, &shown);
    if let Err(error) = after.parse::<toml::Table>() {
        let message =
            format!("{} would be broken by `{key} = {shown}`: {}", path.display(), error.message());
        return Err(Failure::new(Exit::Usage, "SF5024", message).hint("Edit the file by hand."));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(told)?;
    }
    std::fs::write(&path, after).map_err(told)?;
    session.output.say(format!("{key} = {shown} in {}", path.display()));
    Ok(())
}

/// Puts `name = value` under `[table]`.
fn with_line(text: &str, key: &str, value: &str) -> String {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header =
        |line: &str| Some(line.trim().strip_prefix('[')?.split(']').next()?.trim().to_owned());
    let start = match table {
        "" => Some(0),
        _ => lines.iter().position(|it| header(it).as_deref() == Some(table)).map(|it| it + 1),
    };
    let line = format!("{name} = {value}");
    let Some(start) = start else {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend([format!("[{table}]"), line]);
        return lines.join("\n") + "\n";
    };
    let rest = lines[start..].iter().position(|it| header(it).is_some());
    let end = rest.map_or(lines.len(), |it| start + it);
    let is_key = |line: &String| line.split('=').next().is_some_and(|it| it.trim() == name);
    match lines[start..end].iter().position(is_key) {
        Some(at) => lines[start + at] = line,
        None => lines.insert(start, line),
    }
    lines.join("\n") + "\n"
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_where_it_belongs() {
        assert_eq!(with_line("", "store", "\"a\""), "store = \"a\"\n");
        assert_eq!(
            with_line("# c\n[limits]\nslots = 1 # x\n", "limits.slots", "2"),
            "# c\n[limits]\nslots = 2\n"
        );
        assert_eq!(with_line("[http]\n", "limits.slots", "2"), "[http]\n\n[limits]\nslots = 2\n");
        assert_eq!(
            with_line("[limits]\na = 1\n", "store", "\"x\""),
            "store = \"x\"\n[limits]\na = 1\n"
        );
    }
}
