//! What may be called how. Ids go into file names, paths, expressions and logs, so they hold
//! nothing that any of these would read as something else.

use super::Parser;
use crate::limits::ID_LEN_MAX;
use crate::source::{Problem, Span, oxford};

/// The names that expressions start with; an item of `for_each` may not hide them.
const ROOTS: &[&str] =
    &["input", "vars", "tasks", "index", "event", "error", "output", "run", "secrets"];

/// Which characters an id may go on with after its first letter or `_`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Letters, digits and `_`: what an expression can name.
    Word,
    /// Also `-` and `.`: ids of workflows, names of events.
    Dotted,
}

impl Parser {
    /// Reports an id that is none. The definition goes on with it, so that what refers to it is
    /// not reported as well.
    pub fn check_id(&mut self, id: &str, what: &str, alphabet: Alphabet, span: Span) {
        let length = id.chars().count();
        let wrong = |message: String| Problem::error("SF1028", span, message);
        let is_dotted = alphabet == Alphabet::Dotted;
        let first_ok = |it: char| it.is_ascii_alphabetic() || it == '_';
        let rest_ok = |it: char| {
            first_ok(it) || it.is_ascii_digit() || (is_dotted && matches!(it, '-' | '.'))
        };
        let problem = if length > ID_LEN_MAX {
            wrong(format!("this {what} has {length} characters; the limit is {ID_LEN_MAX}"))
                .help("shorten it, and say the rest in `description`")
        } else if id.is_empty() {
            wrong(format!("this {what} is empty")).help("write a name")
        } else if let Some(bad) = id.chars().find(|it| !rest_ok(*it)) {
            wrong(format!("`{id}` is not a {what}: it holds `{}`", bad.escape_debug()))
                .help(rule(id, alphabet))
        } else if !id.starts_with(first_ok) {
            wrong(format!("`{id}` is not a {what}: it starts with neither a letter nor `_`"))
                .help(rule(id, alphabet))
        } else {
            return;
        };
        self.report(problem);
    }

    pub fn check_item_name(&mut self, name: &str, span: Span) {
        self.check_id(name, "name", Alphabet::Word, span);
        if ROOTS.contains(&name) {
            let message = format!("`{name}` would hide what expressions call `{name}`");
            let help = format!("choose another name than {}", oxford(ROOTS, "or"));
            self.report(Problem::error("SF1028", span, message).help(help));
        }
    }
}

fn rule(id: &str, alphabet: Alphabet) -> String {
    let also = if alphabet == Alphabet::Dotted { ", `-`, `.`" } else { "" };
    let legal = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
    let mut proposal: String = id.chars().map(legal).collect();
    if proposal.starts_with(|it: char| it.is_ascii_digit()) {
        proposal.insert(0, '_');
    }
    format!("use letters, digits{also} and `_`, and start with a letter; for example `{proposal}`")
}
