//! Secrets in places that are kept or shown. The engine blots out of outputs and logs what it lent;
//! it cannot blot out what others write down.

use super::{finding, nodes, with_line};
use crate::definition::{TemplateSource, Work};
use crate::source::{Problem, Span};
use crate::verify::{Proofs, Property, Subject};

/// Parameters that a secret does not belong into: the kind, the start of the pointer, who sees it,
/// and where it belongs instead.
const SHOWN: [(&str, &str, &str, &str); 12] = [
    ("http", "/url", "servers and proxies log URLs", "send it in `headers` or `auth`"),
    ("http", "/query", "servers and proxies log URLs", "send it in `headers` or `auth`"),
    ("shell", "/argv", "every process of the machine sees it", "pass it in `env`"),
    ("shell", "/script", "it becomes part of the program", "pass it in `env`"),
    ("file", "/text", "the file keeps it in plain text", "read it where it is used"),
    ("file", "/json", "the file keeps it in plain text", "read it where it is used"),
    ("file", "/base64", "the file keeps it in plain text", "read it where it is used"),
    ("file", "/path", "names of files are seen by everybody", "name the file after something else"),
    ("file", "/to", "names of files are seen by everybody", "name the file after something else"),
    ("emit", "/data", "an event is kept and passed on", "let the receiver read it itself"),
    ("emit", "/subject", "an event is kept and passed on", "let the receiver read it itself"),
    ("emit", "/to", "servers and proxies log URLs", "configure the sink instead"),
];

pub(super) fn verify(subject: &Subject<'_>, proofs: &mut Proofs) {
    let (mut is_shown, mut is_lent) = (false, false);
    for id in nodes(subject) {
        let task = subject.outline.node(id).task;
        let Work::Uses { kind, with: Some(with) } = &task.work else { continue };
        for (secret, pointer, span) in secrets(with) {
            is_lent = true;
            let shown = |it: &&(&str, &str, &str, &str)| {
                let rest = pointer.strip_prefix(it.1);
                it.0 == kind.value && rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
            };
            let Some((_, place, why, help)) = SHOWN.iter().find(shown) else { continue };
            is_shown = true;
            let (name, key) = (subject.name(id), &place[1..]);
            let message = format!("the secret `{secret}` is shown by the `{key}` of `{name}`");
            let problem =
                Problem::warning(Property::Secrets.code(), span, message).label(*why).help(*help);
            let trace =
                vec![format!("{} puts `{secret}` into `{key}`: {why}", with_line(subject, id))];
            proofs.refute(name, finding(Property::Secrets, problem, trace));
        }
    }
    if is_shown {
        return;
    }
    let assumed = match is_lent {
        true => vec!["who is given a secret keeps it".to_owned()],
        false => Vec::new(),
    };
    proofs.prove_assuming(Property::Secrets, "", assumed, None);
}

/// Returns the secrets of a template: name, pointer to the text that reads it, and place.
fn secrets(with: &TemplateSource) -> Vec<(String, String, Span)> {
    let references = with.template.references();
    let read = references.into_iter().filter(|(_, it)| it.root == "secrets");
    read.map(|(hole, it)| {
        let node = with.node.pointer(&hole.pointer).unwrap_or(&with.node);
        let range = hole.span_in_string(&it.span);
        let span = node.text_start.map_or(node.span, |start| {
            Span::new(start as usize + range.start, start as usize + range.end)
        });
        let name = it.segments.first().map_or("secrets", String::as_str).to_owned();
        (name, hole.pointer.clone(), span)
    })
    .collect()
}
