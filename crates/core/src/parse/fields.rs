//! Reading typed values out of the tree. Each method returns nothing and notes a problem if the
//! value is not what it must be.

use std::ops::RangeInclusive;

use super::{Parser, keys};
use crate::definition::Spanned;
use crate::source::{Content, Key, Node, PROBLEMS_MAX, Problem, Span, nearest, oxford};
use crate::time::{Duration, InvalidDuration};

/// A value and the name that messages call it by: its key, or the key of the list it is in.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    pub name: &'n str,
    pub node: &'n Node,
}

/// The entries of a mapping whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    pub span: Span,
}

impl<'n> Fields<'n> {
    pub fn get(&self, name: &str) -> Option<Field<'n>> {
        let (key, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Field { name: &key.name, node })
    }

    pub fn key(&self, name: &str) -> Option<&'n Key> {
        self.entries.iter().map(|(key, _)| key).find(|key| key.name == name)
    }

    /// Returns the first of `names` that is there.
    pub fn first_of(&self, names: &[&str]) -> Option<&'n Key> {
        self.entries.iter().map(|(key, _)| key).find(|key| names.contains(&key.name.as_str()))
    }
}

impl Parser {
    pub fn report(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    pub fn entries<'n>(&mut self, field: Field<'n>, expected: &str) -> &'n [(Key, Node)] {
        match &field.node.content {
            Content::Map(entries) => entries,
            _ => {
                self.wrong_type(field, expected);
                &[]
            }
        }
    }

    /// Reads a mapping whose keys are `known`, and reports every other key.
    pub fn fields<'n>(
        &mut self,
        field: Field<'n>,
        known: &[&str],
        expected: &str,
    ) -> Option<Fields<'n>> {
        let Content::Map(entries) = &field.node.content else {
            self.wrong_type(field, expected);
            return None;
        };
        for (key, _) in entries {
            let is_known = known.contains(&key.name.as_str());
            if !is_known && self.problems.len() < PROBLEMS_MAX {
                self.report(unknown_key(key, field.name, known));
            }
        }
        Some(Fields { entries, span: field.node.span })
    }

    /// Reads a list; anything else is a list of one.
    pub fn list_or_one<'n>(&mut self, field: Field<'n>) -> Vec<Field<'n>> {
        let nodes = match &field.node.content {
            Content::List(items) => items.as_slice(),
            _ => std::slice::from_ref(field.node),
        };
        nodes.iter().map(|node| Field { name: field.name, node }).collect()
    }

    pub fn string(&mut self, field: Field<'_>) -> Option<Spanned<String>> {
        match &field.node.content {
            Content::String(text) => Some(Spanned::new(text.clone(), field.node.span)),
            Content::Number(_) | Content::Bool(_) => {
                let found = self.describe(field.node);
                let message = format!("`{}`: got {found}, expected a string", field.name);
                self.report(
                    Problem::error("SF1030", field.node.span, message)
                        .label("without quotes this is not text")
                        .help("put the value in quotes, so that it stays as it is written"),
                );
                None
            }
            _ => {
                self.wrong_type(field, "a string");
                None
            }
        }
    }

    /// Reads a string that must say something.
    pub fn name(&mut self, field: Field<'_>) -> Option<Spanned<String>> {
        let text = self.string(field)?;
        if text.value.trim().is_empty() {
            let message = format!("`{}` is empty", field.name);
            self.report(Problem::error("SF1022", text.span, message).help("write a name"));
            return None;
        }
        Some(text)
    }

    /// Reads a list of strings, or one string.
    pub fn names(&mut self, field: Field<'_>) -> Vec<Spanned<String>> {
        let items = self.list_or_one(field);
        items.into_iter().filter_map(|it| self.name(it)).collect()
    }

    pub fn boolean(&mut self, field: Field<'_>) -> Option<Spanned<bool>> {
        if let Content::Bool(value) = field.node.content {
            return Some(Spanned::new(value, field.node.span));
        }
        let problem = self.type_problem(field, "true or false");
        let is_yaml_1_1 = matches!(&field.node.content, Content::String(it)
            if matches!(it.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off"));
        self.report(match is_yaml_1_1 {
            true => problem
                .help("in YAML 1.2 `yes`, `no`, `on` and `off` are text: write `true` or `false`"),
            false => problem,
        });
        None
    }

    pub fn integer(
        &mut self,
        field: Field<'_>,
        range: RangeInclusive<i64>,
    ) -> Option<Spanned<i64>> {
        let Content::Number(number) = &field.node.content else {
            self.wrong_type(field, "a whole number");
            return None;
        };
        match number.as_i64() {
            Some(value) if range.contains(&value) => Some(Spanned::new(value, field.node.span)),
            Some(value) => {
                self.out_of_range(field, &value.to_string(), range.start(), range.end());
                None
            }
            None => {
                self.wrong_type(field, "a whole number");
                None
            }
        }
    }

    pub fn small(&mut self, field: Field<'_>, range: RangeInclusive<u32>) -> Option<Spanned<u32>> {
        let wide = i64::from(*range.start())..=i64::from(*range.end());
        self.integer(field, wide).map(|it| Spanned::new(it.value as u32, it.span))
    }

    pub fn decimal(&mut self, field: Field<'_>, range: RangeInclusive<f64>) -> Option<f64> {
        let Content::Number(number) = &field.node.content else {
            self.wrong_type(field, "a number");
            return None;
        };
        let value = number.as_f64().unwrap_or(f64::NAN);
        if !range.contains(&value) {
            self.out_of_range(field, &number.to_string(), range.start(), range.end());
            return None;
        }
        Some(value)
    }

    /// Reads a duration of at least `least`.
    pub fn duration(&mut self, field: Field<'_>, least: Duration) -> Option<Spanned<Duration>> {
        let text = match &field.node.content {
            Content::String(text) => text.clone(),
            // A number is a duration without a unit, and gets the message of one.
            Content::Number(number) => number.to_string(),
            _ => {
                self.wrong_type(field, "a duration such as `30s`");
                return None;
            }
        };
        self.duration_text(&text, field.name, field.node.span, least)
    }

    pub fn duration_text(
        &mut self,
        text: &str,
        name: &str,
        span: Span,
        least: Duration,
    ) -> Option<Spanned<Duration>> {
        match text.parse::<Duration>() {
            Ok(value) if value >= least => Some(Spanned::new(value, span)),
            Ok(value) => {
                let message = format!("`{name}`: {value} is too short");
                let help = format!("the shortest that makes sense here is {least}");
                self.report(Problem::error("SF1024", span, message).help(help));
                None
            }
            Err(error) => {
                self.report(invalid_duration(&error, name, span));
                None
            }
        }
    }

    /// Reads one of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        field: Field<'_>,
        choices: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = oxford(&words, "or");
        let Content::String(text) = &field.node.content else {
            self.wrong_type(field, &expected);
            return None;
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| word == text) {
            return Some(Spanned::new(*value, field.node.span));
        }
        let message = format!("`{}`: `{text}` is not one of {expected}", field.name);
        let problem = Problem::error("SF1027", field.node.span, message);
        self.report(match nearest(text, words.iter().copied()) {
            Some(word) => problem.help(format!("did you mean `{word}`?")),
            None => problem.help(format!("write {expected}")),
        });
        None
    }

    pub fn wrong_type(&mut self, field: Field<'_>, expected: &str) {
        let problem = self.type_problem(field, expected);
        self.report(problem);
    }

    fn type_problem(&self, field: Field<'_>, expected: &str) -> Problem {
        let found = self.describe(field.node);
        let message = format!("`{}`: got {found}, expected {expected}", field.name);
        let problem = Problem::error("SF1021", field.node.span, message);
        match field.node.content {
            Content::Null => problem.help("write a value, or remove the key"),
            _ => problem.help(format!("write {expected}")),
        }
    }

    /// Says what a node is, in words.
    pub fn describe(&self, node: &Node) -> String {
        match &node.content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(it) => format!("`{it}`"),
            Content::Number(it) => format!("the number {it}"),
            Content::String(_) => "a string".to_owned(),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
        }
    }

    fn out_of_range(
        &mut self,
        field: Field<'_>,
        value: &str,
        least: &dyn std::fmt::Display,
        most: &dyn std::fmt::Display,
    ) {
        let message = format!("`{}`: {value} is not between {least} and {most}", field.name);
        self.report(
            Problem::error("SF1024", field.node.span, message)
                .help(format!("write a number from {least} to {most}")),
        );
    }

    /// Reports that two keys exclude each other.
    pub fn exclusive(&mut self, one: &Key, other: &Key, help: &str) {
        let message = format!("`{}` and `{}` exclude each other", one.name, other.name);
        self.report(
            Problem::error("SF1023", other.span, message)
                .related(one.span, format!("`{}` is here", one.name))
                .help(help),
        );
    }

    pub fn missing(&mut self, span: Span, message: String, help: &str) {
        self.report(Problem::error("SF1022", span, message).help(help));
    }
}

fn unknown_key(key: &Key, place: &str, known: &[&str]) -> Problem {
    let name = key.name.as_str();
    let place = match known == keys::TOP {
        true => "at the top level".to_owned(),
        false => format!("in `{place}`"),
    };
    let problem = Problem::error("SF1020", key.span, format!("unknown key `{name}` {place}"));
    let is_of_task = keys::TASK.contains(&name) && !keys::STATE.contains(&name);
    let is_of_state = keys::STATE.contains(&name) && !keys::TASK.contains(&name);
    if known == keys::TASK && is_of_state {
        return problem.help(format!("`{name}` belongs to states; tasks are ordered by `needs`"));
    }
    if known == keys::STATE && is_of_task {
        return problem
            .help(format!("`{name}` belongs to tasks; states are linked by `next` and `on`"));
    }
    let mut elsewhere = keys::ELSEWHERE.iter();
    if let Some((_, ours)) = elsewhere.find(|(word, ours)| *word == name && known.contains(ours)) {
        return problem.help(format!("this is called `{ours}` here"));
    }
    match nearest(name, known.iter().copied()) {
        Some(found) => problem.help(format!("did you mean `{found}`?")),
        None => problem.help(format!("known keys are {}", oxford(known, "and"))),
    }
}

fn invalid_duration(error: &InvalidDuration, name: &str, span: Span) -> Problem {
    let (message, help) = match error {
        InvalidDuration::Syntax(text) => (
            format!("`{name}`: `{text}` is not a duration"),
            "write numbers with units from large to small, such as 500ms, 30s, 5m, 1h30m or 7d"
                .to_owned(),
        ),
        InvalidDuration::NoUnit(text) => (
            format!("`{name}`: `{text}` has no unit"),
            format!("write {text}s for seconds, or {text}ms for milliseconds"),
        ),
        InvalidDuration::TooLong(text) => (
            format!("`{name}`: `{text}` is longer than ten years"),
            "the longest duration is 3650d".to_owned(),
        ),
    };
    Problem::error("SF1025", span, message).help(help)
}
