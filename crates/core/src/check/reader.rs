//! Checks one expression at a time against what its place lets it see.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::order::Read;
use super::outline::Role;
use super::scope::Scopes;
use super::site::{ROOTS, Seen, Site, only};
use crate::definition::{ExprSource, TemplateSource};
use crate::expr::{Expr, FieldType, MapType, Reference, Type, TypeError, TypeErrorKind, TypeScope};
use crate::plan::{CompositeId, ROOT};
use crate::source::{Problem, Span, nearest, oxford};

const UNKNOWN_NAME: &str = "SF1120";
const NOT_HERE: &str = "SF1122";
const WRONG_TYPE: &str = "SF1123";

/// Names that a hint lists.
const NAMES_MAX: usize = 8;
/// Problems that get a hint at the nearest task: looking for it takes time for each known task.
const HINTS_MAX: usize = 100;

pub(super) struct Reader<'a> {
    pub scopes: Scopes<'a>,
    pub problems: Vec<Problem>,
    /// Reads of tasks whose order is still to be shown.
    pub reads: Vec<Read>,
    /// The variables that are read, by the level that declares them.
    pub used: HashSet<(CompositeId, String)>,
}

impl<'a> Reader<'a> {
    pub fn new(scopes: Scopes<'a>) -> Reader<'a> {
        Reader { scopes, problems: Vec::new(), reads: Vec::new(), used: HashSet::new() }
    }

    /// Reads a condition, which must be true or false.
    pub fn condition(&mut self, site: &Site, source: &ExprSource) {
        let place = |range: &Range<usize>| place(source.text_start, range, source.span);
        let ty = self.expression(site, &source.expr, &place);
        if !may_be(&ty, |it| *it == Type::Bool) {
            self.problems.push(
                Problem::error(WRONG_TYPE, source.span, format!("this condition is a {ty}"))
                    .label("must be true or false")
                    .help("compare it with something, such as `… == 0` or `… != \"\"`"),
            );
        }
    }

    /// Reads a template and returns the type of its value.
    pub fn template(&mut self, site: &Site, source: &TemplateSource) -> Type {
        let mut tasks = BTreeMap::new();
        for hole in source.template.expressions() {
            let node = source.node.pointer(&hole.pointer).unwrap_or(&source.node);
            for reference in hole.expr.references() {
                let span = place(node.text_start, &hole.span_in_string(&reference.span), node.span);
                self.reference(site, &reference, span, &mut tasks);
            }
        }
        let scope = Visible { scopes: &self.scopes, site, tasks: tasks_type(tasks) };
        let (ty, errors) = source.template.check(&scope);
        for (hole, error) in errors {
            let node = source.node.pointer(&hole.pointer).unwrap_or(&source.node);
            let span = place(node.text_start, &hole.span_in_string(&error.span), node.span);
            self.problems.push(type_problem(error, span));
        }
        ty
    }

    /// Reads what must be a list, and returns the type of its items.
    pub fn list(&mut self, site: &Site, source: &TemplateSource) -> Type {
        let ty = self.template(site, source);
        match &ty {
            Type::List(item) => return Type::clone(item),
            ty if may_be(ty, |it| matches!(it, Type::List(_))) => {}
            ty => self.problems.push(
                Problem::error(
                    WRONG_TYPE,
                    source.node.span,
                    format!("`for_each` runs over a {ty}"),
                )
                .label("must be a list")
                .help("write a list, or an expression that gives one"),
            ),
        }
        Type::Any
    }

    fn expression(
        &mut self,
        site: &Site,
        expr: &Expr,
        place: &dyn Fn(&Range<usize>) -> Span,
    ) -> Type {
        let mut tasks = BTreeMap::new();
        for reference in expr.references() {
            self.reference(site, &reference, place(&reference.span), &mut tasks);
        }
        let scope = Visible { scopes: &self.scopes, site, tasks: tasks_type(tasks) };
        let (ty, errors) = expr.check(&scope);
        for error in errors {
            let span = place(&error.span);
            self.problems.push(type_problem(error, span));
        }
        ty
    }

    fn reference(
        &mut self,
        site: &Site,
        reference: &Reference,
        span: Span,
        tasks: &mut BTreeMap<String, FieldType>,
    ) {
        let root = reference.root.as_str();
        match root {
            "tasks" if site.tasks != Seen::None => {
                if let Some(id) = reference.segments.first() {
                    let ty = self.task(site, id, span);
                    tasks.insert(id.clone(), FieldType { ty, required: true });
                }
                return;
            }
            "vars" if site.vars => self.note_use(site, reference.segments.first()),
            _ => {}
        }
        if self.scopes.type_of(site, root).is_some() {
            return;
        }
        self.problems.push(if ROOTS.contains(&root) {
            Problem::error(NOT_HERE, span, format!("`{root}` cannot be used here")).help(only(root))
        } else {
            self.unknown_root(site, root, span)
        });
    }

    fn unknown_root(&self, site: &Site, root: &str, span: Span) -> Problem {
        let problem = Problem::error(UNKNOWN_NAME, span, format!("there is no `{root}`"));
        if self.find(site, root).is_some() {
            return problem.help(format!("for the output of the task write `tasks.{root}.output`"));
        }
        if self.scopes.declared(site.level).contains_key(root) {
            return problem.help(format!("for the variable write `vars.{root}`"));
        }
        let seen = |it: &&str| *it == "tasks" || self.scopes.type_of(site, it).is_some();
        let roots = ROOTS.iter().copied().filter(seen).collect::<Vec<_>>();
        let names = self.scopes.item_names(site).into_iter().chain(roots.iter().copied());
        match nearest(root, names) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!(
                "an expression starts with {}; write text in quotes: \"{root}\"",
                oxford(&roots, "or")
            )),
        }
    }

    fn note_use(&mut self, site: &Site, name: Option<&String>) {
        let declared = self.scopes.declared(site.level);
        let used = declared.iter().filter(|(it, _)| name.is_none_or(|name| name == *it));
        self.used.extend(used.map(|(name, level)| (*level, name.clone())));
    }

    /// Notes that a task is read, and returns the type of what is known of it.
    fn task(&mut self, site: &Site, id: &str, span: Span) -> Type {
        let Some((level, read, reader)) = self.find(site, id) else {
            let problem = self.unknown_task(site, id, span);
            self.problems.push(problem);
            return Type::Any;
        };
        let outline = self.scopes.outline;
        let target = outline.child(level, read);
        if let Some(reader) = reader
            && site.tasks != Seen::Through(target)
        {
            self.reads.push(Read { level, read, reader, span });
        }
        self.scopes.known.task(outline.node(target))
    }

    /// Looks for a task from the inside out: its level, its place there, and the sibling that
    /// contains this expression; no sibling where all have ended.
    fn find(&self, site: &Site, id: &str) -> Option<(CompositeId, u32, Option<u32>)> {
        let outline = self.scopes.outline;
        let (mut level, mut reader) = match site.tasks {
            Seen::None => return None,
            Seen::All => (site.level, None),
            Seen::Before(it) | Seen::Through(it) => (outline.node(it).level, Some(it)),
        };
        loop {
            if let Some(read) = outline.level(level).ids.get(id) {
                return Some((level, *read, reader.map(|it| outline.index(it))));
            }
            (level, reader) = match outline.level(level).role {
                Role::Body => return None,
                Role::OnFailure | Role::Finally => (ROOT, None),
                Role::Work(owner) | Role::Undo(owner) => {
                    (outline.node(owner).level, reader.and(Some(owner)))
                }
            };
        }
    }

    fn unknown_task(&self, site: &Site, id: &str, span: Span) -> Problem {
        let problem = Problem::error(UNKNOWN_NAME, span, format!("there is no task `{id}`"))
            .label("not defined here or around here");
        if self.problems.len() >= HINTS_MAX {
            return problem;
        }
        let outline = self.scopes.outline;
        let from = match site.tasks {
            Seen::None | Seen::All => site.level,
            Seen::Before(it) | Seen::Through(it) => outline.node(it).level,
        };
        let levels = std::iter::once(from).chain(outline.enclosing(from));
        let mut known: Vec<&str> =
            levels.flat_map(|it| outline.level(it).ids.keys().copied()).collect();
        known.sort_unstable();
        if let Some(near) = nearest(id, known.iter().copied()) {
            return problem.help(format!("did you mean `{near}`?"));
        }
        let inner = outline.nodes.iter().find(|it| it.task.id.value == id);
        match inner.map(|it| outline.level(it.level).role) {
            Some(Role::Work(owner)) => {
                let around = &outline.node(owner).task.id.value;
                problem.help(format!("it stands inside `{around}`: read `tasks.{around}.output`"))
            }
            _ if known.len() <= NAMES_MAX => {
                problem.help(format!("known are {}", oxford(&known, "and")))
            }
            _ => problem.help("name a task of the same `tasks`, or of one around it"),
        }
    }
}

/// The types that one expression sees.
struct Visible<'r, 'a> {
    scopes: &'r Scopes<'a>,
    site: &'r Site,
    /// The tasks that this expression reads; others do not matter to it.
    tasks: Type,
}

impl TypeScope for Visible<'_, '_> {
    /// A name that is not seen has been reported, and is anything from here on.
    fn type_of(&self, name: &str) -> Option<Type> {
        if name == "tasks" {
            return Some(self.tasks.clone());
        }
        Some(self.scopes.type_of(self.site, name).unwrap_or(Type::Any))
    }
}

fn tasks_type(fields: BTreeMap<String, FieldType>) -> Type {
    Type::Map(Arc::new(MapType { fields, rest: Some(Type::Any) }))
}

fn type_problem(error: TypeError, span: Span) -> Problem {
    let (code, help) = match &error.kind {
        TypeErrorKind::UnknownField { field, known } => (UNKNOWN_NAME, field_help(field, known)),
        TypeErrorKind::UnknownName { .. } => (UNKNOWN_NAME, None),
        TypeErrorKind::UnknownFunction { .. }
        | TypeErrorKind::WrongType
        | TypeErrorKind::WrongCount
        | TypeErrorKind::AlwaysFails(_) => (WRONG_TYPE, None),
    };
    let problem = Problem::error(code, span, error.message);
    match help.or(error.hint) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn field_help(field: &str, known: &[String]) -> Option<String> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match nearest(field, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() || known.len() > NAMES_MAX => None,
        None => Some(format!("known are {}", oxford(&known, "and"))),
    }
}

fn may_be(ty: &Type, test: impl Fn(&Type) -> bool + Copy) -> bool {
    match ty {
        Type::Any => true,
        Type::Union(members) => members.iter().any(|it| may_be(it, test)),
        ty => test(ty),
    }
}

/// Returns the place of a part of a string, or that of the whole string if it cannot be told.
pub(crate) fn place(text_start: Option<u32>, range: &Range<usize>, whole: Span) -> Span {
    match text_start {
        Some(start) => Span::new(start as usize + range.start, start as usize + range.end),
        None => whole,
    }
}
