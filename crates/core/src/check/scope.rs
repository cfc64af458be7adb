//! The variables, items and errors that are seen at each level, with all that is seen around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::known::Known;
use super::outline::{Outline, Role};
use super::site::Site;
use crate::expr::{FieldType, MapType, Type};
use crate::plan::{CompositeId, NodeId, ROOT};

pub(crate) struct Scopes<'a> {
    pub outline: &'a Outline<'a>,
    pub known: Known,
    views: Vec<View>,
    /// Name and type of the item of each `for_each` so far.
    items: HashMap<NodeId, (&'a str, Type)>,
}

#[derive(Clone)]
struct View {
    /// The level that declares each variable.
    declared: Arc<BTreeMap<String, CompositeId>>,
    vars: Type,
    /// Tasks with `for_each` around this level, innermost last.
    around: Vec<NodeId>,
    /// Within `on_failure` or `finally`.
    error: bool,
}

impl<'a> Scopes<'a> {
    pub fn new(outline: &'a Outline<'a>, known: Known) -> Scopes<'a> {
        let nothing = View {
            declared: Arc::default(),
            vars: Type::record([]),
            around: Vec::new(),
            error: false,
        };
        let views = vec![nothing; outline.levels.len()];
        Scopes { outline, known, views, items: HashMap::new() }
    }

    /// Opens a level, which sees all that is seen around it, and its own variables. Levels come
    /// from the outside in.
    pub fn open(&mut self, id: CompositeId, vars: Vec<(String, Type)>) {
        let mut view = match self.outline.level(id).role {
            Role::Body => self.view(ROOT).clone(),
            Role::OnFailure | Role::Finally => View { error: true, ..self.view(ROOT).clone() },
            Role::Undo(owner) => self.view(self.outline.node(owner).level).clone(),
            Role::Work(owner) => {
                let mut view = self.view(self.outline.node(owner).level).clone();
                view.around.extend(self.items.contains_key(&owner).then_some(owner));
                view
            }
        };
        if !vars.is_empty() {
            let declared = Arc::make_mut(&mut view.declared);
            declared.extend(vars.iter().map(|(name, _)| (name.clone(), id)));
            view.vars = with_fields(&view.vars, vars);
        }
        self.views[id.0 as usize] = view;
    }

    pub fn add_item(&mut self, id: NodeId, name: &'a str, ty: Type) {
        self.items.insert(id, (name, ty));
    }

    /// Says whether a name is the item of a `for_each` around a level.
    pub fn is_item(&self, level: CompositeId, name: &str) -> bool {
        self.view(level).around.iter().any(|it| self.items.get(it).is_some_and(|it| it.0 == name))
    }

    /// Returns the levels that declare the variables seen at a level.
    pub fn declared(&self, level: CompositeId) -> &BTreeMap<String, CompositeId> {
        &self.view(level).declared
    }

    /// Returns the type of a name at a place, other than `tasks`; None if it is not seen there.
    pub fn type_of(&self, site: &Site, name: &str) -> Option<Type> {
        let view = self.view(site.level);
        let own = site.item.filter(|it| self.items.contains_key(it));
        let mut items = view.around.iter().chain(own.iter()).rev().map(|it| &self.items[it]);
        if let Some((_, ty)) = items.find(|it| it.0 == name) {
            return Some(ty.clone());
        }
        let seen = |is_seen: bool, ty: &Type| is_seen.then(|| ty.clone());
        match name {
            "input" => seen(!site.is_trigger, &self.known.input),
            "run" => seen(!site.is_trigger, &self.known.run),
            "vars" => seen(site.vars, &view.vars),
            "index" => seen(own.is_some() || !view.around.is_empty(), &Type::Number),
            "event" => seen(site.event, &Type::Any),
            "error" => seen(site.error || view.error, &self.known.error),
            "secrets" => seen(site.secrets, &self.known.secrets),
            "output" => site.output.map(|it| self.known.output(self.outline.node(it))),
            _ => None,
        }
    }

    /// Returns the names of the items that are seen at a place.
    pub fn item_names(&self, site: &Site) -> Vec<&'a str> {
        let ids = self.view(site.level).around.iter().chain(site.item.iter());
        ids.filter_map(|it| self.items.get(it)).map(|it| it.0).collect()
    }

    fn view(&self, id: CompositeId) -> &View {
        &self.views[id.0 as usize]
    }
}

fn with_fields(outer: &Type, vars: Vec<(String, Type)>) -> Type {
    let mut fields = match outer {
        Type::Map(map) => map.fields.clone(),
        _ => BTreeMap::new(),
    };
    fields.extend(vars.into_iter().map(|(name, ty)| (name, FieldType { ty, required: true })));
    Type::Map(Arc::new(MapType { fields, rest: None }))
}
