//! Values that stand for all values of a path that its comparisons cannot tell from them.
//!
//! Numbers: each constant, and one between, below and above. Texts: each constant, and one other;
//! or, where order or prefixes count, as numbers. Lists and maps: each constant, and one other of
//! each length that counts. Paths that are compared with each other share their values, and each
//! place between constants has one for every path, so that they can stand in any order there.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::LENGTH_MAX;
use super::domain::{Domain, Kinds, is_same};
use super::number::Num;
use super::number_places::{Place, places, shared_places};
use super::text_places;
use super::unknown::Reason;

/// What the parts of all guards ask of one path, or of the paths that are compared with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    pub numbers: BTreeSet<Num>,
    pub texts: BTreeSet<String>,
    /// Lists and maps.
    pub structures: Vec<Json>,
    pub by_order: bool,
    pub lengths: BTreeSet<usize>,
}

impl Demands {
    pub fn len(&self) -> usize {
        self.numbers.len() + self.texts.len() + self.structures.len() + self.lengths.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn add(&mut self, value: &Json) {
        match value {
            Json::Number(number) => self.numbers.extend(Num::of_json(number)),
            Json::String(text) => {
                self.texts.insert(text.clone());
            }
            Json::Array(_) | Json::Object(_) => {
                if !self.structures.iter().any(|it| is_same(it, value)) {
                    self.structures.push(value.clone());
                }
            }
            Json::Null | Json::Bool(_) => {}
        }
    }

    /// Adds the lengths around one that is compared with.
    pub fn add_length(&mut self, length: f64) {
        let whole = length.clamp(-1.0, LENGTH_MAX as f64).floor() as i64;
        let around = (whole - 1..=whole + 2).filter_map(|it| usize::try_from(it).ok());
        self.lengths.extend(around);
    }

    pub fn join(&mut self, other: &Demands) {
        self.numbers.extend(&other.numbers);
        self.texts.extend(other.texts.iter().cloned());
        for value in &other.structures {
            self.add(value);
        }
        self.by_order |= other.by_order;
        self.lengths.extend(&other.lengths);
    }
}

/// One value, or none, and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// None: the path is missing.
    pub value: Option<Json>,
    pub shape: Shape,
    /// How far it is from what a person would choose.
    pub cost: u32,
}

impl Candidate {
    /// Tells whether the guards use the path as something else than this.
    pub fn is_unexpected(&self) -> bool {
        self.value.is_some() && self.cost >= NULL_COST
    }
}

/// What a value stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Itself.
    Value,
    Number(Place),
    /// The text between two, a bound that is not there being open.
    Text {
        after: Option<String>,
        before: Option<String>,
    },
    /// A text that is not mentioned.
    OtherText,
    /// One of a length that counts.
    Length(usize),
    /// Any of its type.
    Kind,
}

/// What a path is to the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Value,
    /// It has fields that are read: the value of the object is that of its fields.
    Object,
}

pub(super) struct Request<'a> {
    pub domain: &'a Domain,
    pub demands: &'a Demands,
    /// Types that the guards use the path as; others are wrong types.
    pub mentions: Kinds,
    pub role: Role,
    /// Paths that are compared with each other, this one counted.
    pub copies: usize,
    /// Some of them are whole numbers by their domain, others are not.
    pub is_mixed: bool,
}

const UNUSUAL_COST: u32 = 10;
const MISSING_COST: u32 = 30;
const NULL_COST: u32 = 20;
const WRONG_TYPE_COST: u32 = 40;

impl Request<'_> {
    /// Returns the values that stand for all that the path can be.
    pub fn candidates(&self) -> Result<Vec<Candidate>, Reason> {
        let mut found = match &self.domain.values {
            Some(values) => values.iter().map(|it| self.listed(it)).collect(),
            None => self.of_all_kinds()?,
        };
        let is_allowed = |it: &Json| match self.role {
            Role::Object if it.is_object() => self.domain.kinds.has(Kinds::MAP),
            Role::Object | Role::Value => self.domain.allows(it),
        };
        found.retain(|it| it.value.as_ref().is_none_or(is_allowed));
        if self.role == Role::Object {
            self.keep_one_object(&mut found);
        }
        if self.domain.may_be_missing() {
            found.push(Candidate { value: None, shape: Shape::Value, cost: MISSING_COST });
        }
        Ok(found)
    }

    fn listed(&self, value: &Json) -> Candidate {
        self.candidate(value.clone(), Shape::Value)
    }

    fn candidate(&self, value: Json, shape: Shape) -> Candidate {
        let kind = Kinds::of(&value);
        let is_wrong = self.mentions != Kinds::NONE && !self.mentions.has(kind);
        let is_object = self.role == Role::Object && value.is_object();
        let cost = match kind {
            _ if is_object => 0,
            Kinds::NULL if !self.mentions.has(kind) => NULL_COST,
            _ if is_wrong || self.role == Role::Object => WRONG_TYPE_COST,
            // Any type fits: numbers and texts are what people compare.
            Kinds::BOOL | Kinds::LIST | Kinds::MAP if self.mentions == Kinds::NONE => UNUSUAL_COST,
            _ => 0,
        };
        Candidate { cost: cost + plainness(&value), value: Some(value), shape }
    }

    fn of_all_kinds(&self) -> Result<Vec<Candidate>, Reason> {
        let mut found = Vec::new();
        let kinds = self.domain.kinds;
        if kinds.has(Kinds::NULL) {
            found.push(self.candidate(Json::Null, Shape::Value));
        }
        if kinds.has(Kinds::BOOL) {
            found.push(self.candidate(Json::Bool(false), Shape::Value));
            found.push(self.candidate(Json::Bool(true), Shape::Value));
        }
        if kinds.has(Kinds::NUMBER) {
            self.add_numbers(&mut found)?;
        }
        if kinds.has(Kinds::STRING) {
            self.add_texts(&mut found);
        }
        if kinds.has(Kinds::LIST) {
            self.add_structures(&mut found, &list_of, Json::is_array);
        }
        if kinds.has(Kinds::MAP) {
            self.add_structures(&mut found, &map_of, Json::is_object);
        }
        Ok(found)
    }

    fn add_numbers(&self, found: &mut Vec<Candidate>) -> Result<(), Reason> {
        let numbers = &self.demands.numbers;
        let places = if self.copies > 1 {
            shared_places(numbers, self.copies, self.domain.whole, self.is_mixed)?
        } else {
            places(numbers, self.domain.whole)
        };
        found.extend(places.into_iter().map(|(number, place)| {
            let shape = if numbers.is_empty() { Shape::Kind } else { Shape::Number(place) };
            self.candidate(number.to_json(), shape)
        }));
        Ok(())
    }

    fn add_texts(&self, found: &mut Vec<Candidate>) {
        let texts = &self.demands.texts;
        if self.demands.by_order {
            for (text, after, before) in text_places::in_order(texts, self.copies) {
                let shape = match (&after, &before) {
                    (Some(after), Some(before)) if *after == text && *before == text => {
                        Shape::Value
                    }
                    (None, None) => Shape::Kind,
                    _ => Shape::Text { after, before },
                };
                found.push(self.candidate(Json::from(text), shape));
            }
            return;
        }
        found.extend(texts.iter().map(|it| self.candidate(Json::from(it.as_str()), Shape::Value)));
        let shape = if texts.is_empty() { Shape::Kind } else { Shape::OtherText };
        if self.demands.lengths.is_empty() {
            let others = text_places::others(texts, self.copies).into_iter();
            found.extend(others.map(|it| self.candidate(Json::from(it), shape.clone())));
        }
        for length in &self.demands.lengths {
            let text = text_places::of_length(texts, *length);
            found.extend(text.map(|it| self.candidate(Json::from(it), Shape::Length(*length))));
        }
    }

    fn add_structures(
        &self,
        found: &mut Vec<Candidate>,
        make: &dyn Fn(usize, usize) -> Json,
        is_of_kind: fn(&Json) -> bool,
    ) {
        let known: Vec<&Json> =
            self.demands.structures.iter().filter(|it| is_of_kind(it)).collect();
        let is_new = |it: &Json| !known.iter().any(|known| is_same(known, it));
        found.extend(known.iter().map(|it| self.listed(it)));
        // As many tries as there are constants, and one: one of them must be new.
        let fresh = |length: usize| (0..=known.len()).map(move |fill| make(length, fill));
        if self.demands.lengths.is_empty() {
            let any = fresh(0).take(1).chain((0..known.len() + self.copies).map(|it| make(1, it)));
            let others = any.filter(is_new).take(self.copies);
            found.extend(others.map(|it| self.candidate(it, Shape::Kind)));
        }
        for length in &self.demands.lengths {
            let other = fresh(*length).find(is_new);
            found.extend(other.map(|it| self.candidate(it, Shape::Length(*length))));
        }
    }

    /// The fields say what the object is; here it only has to be one.
    fn keep_one_object(&self, found: &mut Vec<Candidate>) {
        let has_object = found.iter().any(|it| it.value.as_ref().is_some_and(Json::is_object));
        found.retain(|it| !it.value.as_ref().is_some_and(Json::is_object));
        if has_object {
            found.insert(0, self.candidate(Json::Object(Map::new()), Shape::Kind));
        }
    }
}

fn list_of(length: usize, fill: usize) -> Json {
    Json::Array(vec![Json::from(fill); length])
}

fn map_of(length: usize, fill: usize) -> Json {
    Json::Object((0..length).map(|it| (format!("key{it}"), Json::from(fill))).collect())
}

/// Returns how far a value is from the plainest of its type.
fn plainness(value: &Json) -> u32 {
    match value {
        Json::Null | Json::Bool(_) => 0,
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(0), _) => 0,
            (Some(1), _) => 1,
            (Some(small), _) if small.unsigned_abs() <= 1_000_000 => 2 + u32::from(small < 0),
            (Some(_), _) => 5,
            (None, Some(double)) if (double * 2.0).fract() == 0.0 && double.abs() < 1e6 => 3,
            (None, _) => 6,
        },
        Json::String(text) => 2 + text.len().min(64) as u32 / 8,
        Json::Array(items) => 1 + items.len().min(64) as u32 / 8,
        Json::Object(fields) => 2 + fields.len().min(64) as u32 / 8,
    }
}
