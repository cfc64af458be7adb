//! Random choices against a grid of data: what the evaluator does on the grid must be in the
//! report, and the data that the report shows must do what it says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use surefoot_core::expr::{Budget, Expr};
use surefoot_core::schema::Schema;
use surefoot_core::verify::guard::{
    ChoiceReport, Content, Domain, Limits, Outcome, Path, Regions, Witness,
};

use super::random::{Dice, Vocabulary};
use super::{Schemas, cases, parse, report, seed};

/// Points of the grid that are tried for one choice.
const POINTS: usize = 50;

fn outcome(guard: &Expr, scope: &Map<String, Value>) -> Outcome {
    match guard.eval_bool(scope, &Budget::default()) {
        Ok(true) => Outcome::True,
        Ok(false) => Outcome::False,
        Err(_) => Outcome::Error,
    }
}

fn vocabulary(dice: &mut Dice) -> Vocabulary {
    let all = [
        vec![json!(0), json!(2), json!(3)],
        vec![json!(1), json!(1.5), json!(-1), json!(null)],
        vec![json!("a"), json!("b"), json!("ab"), json!("")],
        vec![json!(2), json!("a"), json!(true), json!(null), json!([]), json!({})],
        vec![
            json!(9_007_199_254_740_992_i64),
            json!(9_007_199_254_740_993_i64),
            json!(9007199254740992.0),
        ],
        vec![json!(u64::MAX), json!(i64::MAX), json!(i64::MIN), json!(1.8446744073709552e19)],
    ];
    let paths = [
        vec!["input.a"],
        vec!["input.a", "input.b"],
        vec!["input.a", "input.o.c"],
        vec!["input.a", "input.o", "input.o.c"],
        vec!["input.a", "input.b", "input.o.c"],
    ];
    // Large numbers must stand as written: 1.8446744073709552e19 is a double in an expression too.
    let values = dice.pick(&all);
    let (sizes, pairs) = (dice.one_in(3), dice.one_in(2));
    Vocabulary { paths: dice.pick(&paths), values, sizes, pairs, strict: false }
}

fn field_schema(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!({}),
        json!({}),
        json!({"type": "number"}),
        json!({"type": "integer", "minimum": 0, "maximum": 4}),
        json!({"type": ["number", "null"], "exclusiveMinimum": 1}),
        json!({"type": "string"}),
        json!({"type": ["boolean", "string"]}),
        json!({"enum": ["a", "b", "c"]}),
        json!({"enum": [1, 2, null, "a"], "maximum": 1}),
        json!({"const": 2}),
        json!({"type": ["array", "object", "string"]}),
    ])
}

/// A schema of `input`: `a`, `b` and `o.c`, each required or not.
fn schema(dice: &mut Dice) -> Value {
    let mut required = vec!["a", "b", "o"];
    required.retain(|_| dice.one_in(2));
    let mut inner = json!({"properties": {"c": field_schema(dice)}});
    if dice.one_in(2) {
        inner["type"] = json!("object");
    }
    if dice.one_in(2) {
        inner["required"] = json!(["c"]);
    }
    let properties = json!({"a": field_schema(dice), "b": field_schema(dice), "o": inner});
    let mut schema = json!({"properties": properties, "required": required});
    if !dice.one_in(6) {
        schema["type"] = json!("object");
    }
    schema
}

/// Values that are tried for each field; none is missing.
fn grid(vocabulary: &Vocabulary) -> Vec<Option<Value>> {
    let mut grid: Vec<Option<Value>> = vec![
        None,
        Some(json!(null)),
        Some(json!(true)),
        Some(json!(false)),
        Some(json!([])),
        Some(json!([0, 1])),
        Some(json!({"k": 1})),
        Some(json!({})),
        Some(json!(2.0)),
    ];
    grid.extend((-4..10).map(|it| Some(json!(f64::from(it) / 2.0))));
    grid.extend((-2..6).map(|it| Some(json!(it))));
    let texts = ["", "a", "aa", "ab", "abc", "b", "c", "\u{1}", "zzz", "é"];
    grid.extend(texts.map(|it| Some(json!(it))));
    for value in &vocabulary.values {
        let Some(number) = value.as_f64().filter(|it| it.abs() > 1e15) else { continue };
        grid.extend([number, number.next_up(), number.next_down()].map(|it| Some(json!(it))));
        let near = (-3..=3).filter_map(|it| {
            let whole = number as i128 + it;
            i64::try_from(whole)
                .map(Value::from)
                .or_else(|_| u64::try_from(whole).map(Value::from))
                .ok()
        });
        grid.extend(near.map(Some));
        grid.push(Some(value.clone()));
    }
    grid
}

/// What each field of the input may be, by its schema; and the input as a whole.
struct Grid {
    any: Vec<Option<Value>>,
    a: Vec<Option<Value>>,
    b: Vec<Option<Value>>,
    c: Vec<Option<Value>>,
}

impl Grid {
    fn new(vocabulary: &Vocabulary, schema: &Value) -> Grid {
        let any = grid(vocabulary);
        let allowed = |field: &Value| {
            let schema = Schema::compile(field).unwrap();
            let is_allowed =
                |it: &Option<Value>| it.as_ref().is_none_or(|it| schema.check(it).is_ok());
            any.iter().filter(|it| is_allowed(it)).cloned().collect()
        };
        let fields = &schema["properties"];
        let [a, b, c] = [&fields["a"], &fields["b"], &fields["o"]["properties"]["c"]].map(allowed);
        Grid { any, a, b, c }
    }

    fn point(&self, dice: &mut Dice) -> Option<Value> {
        if dice.one_in(30) {
            return dice.pick(&self.any);
        }
        let field = |dice: &mut Dice, name: &str, values: &[Option<Value>]| {
            dice.pick(values).map(|it| (name.to_owned(), it))
        };
        let mut input = Map::new();
        input.extend(field(dice, "a", &self.a));
        input.extend(field(dice, "b", &self.b));
        if dice.one_in(5) {
            input.extend(field(dice, "o", &self.any));
        } else {
            let below = field(dice, "c", &self.c).into_iter().collect();
            input.insert("o".to_owned(), Value::Object(below));
        }
        Some(Value::Object(input))
    }
}

struct Case {
    schema: Value,
    guards: Vec<Option<Expr>>,
    report: ChoiceReport,
    regions: Regions,
    /// What the report took; for information.
    time: Duration,
}

impl Case {
    fn draw(dice: &mut Dice) -> (Case, Vocabulary) {
        let vocabulary = vocabulary(dice);
        let schema = schema(dice);
        let guards: Vec<Option<String>> = (0..=dice.below(3))
            .map(|_| (!dice.one_in(12)).then(|| vocabulary.guard(dice, 2).source()))
            .collect();
        let guards = parse(&guards);
        let domains = Schemas([("input".to_owned(), schema.clone())].into());
        let start = Instant::now();
        let report = report(&guards, &domains).unwrap_or_else(|it| panic!("{it}: {guards:?}"));
        let time = start.elapsed();
        let present: Vec<&Expr> = guards.iter().flatten().collect();
        let regions = Regions::split(&present, &domains, &Limits::default());
        (Case { schema, guards, report, regions, time }, vocabulary)
    }

    fn outcomes(&self, input: Option<&Value>) -> Vec<Option<Outcome>> {
        let scope = input.map(|it| ("input".to_owned(), it.clone())).into_iter().collect();
        self.guards.iter().map(|it| it.as_ref().map(|it| outcome(it, &scope))).collect()
    }

    /// What happens on one point must be in the report.
    fn check_point(&self, input: &Value) -> Result<(), String> {
        let outcomes = self.outcomes(Some(input));
        let report = &self.report;
        let ensure = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(format!("{what} on {input}: {outcomes:?}")) }
        };
        let settling = outcomes.iter().position(|it| *it != Some(Outcome::False));
        match settling.map(|it| (it, outcomes[it])) {
            None => ensure(report.gap.is_some(), "a gap is not reported")?,
            Some((at, Some(Outcome::Error))) => {
                ensure(report.errors.iter().any(|it| it.guard == at), "an error is not reported")?;
            }
            Some((at, _)) => {
                ensure(report.dead.iter().all(|it| it.guard != at), "a dead guard is taken")?;
            }
        }
        for (at, outcome) in outcomes.iter().enumerate() {
            if *outcome != Some(Outcome::True) {
                ensure(!report.always.contains(&at), "a guard is not always true")?;
                continue;
            }
            for before in (0..at).filter(|it| outcomes[*it] == Some(Outcome::True)) {
                let is_there =
                    report.overlaps.iter().any(|it| (it.first, it.second) == (before, at));
                ensure(is_there, "an overlap is not reported")?;
            }
        }
        let conditions: Vec<(usize, Outcome)> =
            outcomes.iter().flatten().copied().enumerate().collect();
        let found = self.regions.satisfiable(&conditions).map_err(|it| it.to_string())?;
        ensure(found.is_some(), "no cell has these outcomes")
    }

    /// What the report shows must happen.
    fn check_report(&self) -> Result<(), String> {
        let report = &self.report;
        let on = |witness: &Witness| self.outcomes(witness.to_json("input").as_ref());
        let ensure = |holds: bool, what: &str, witness: &Witness| {
            if holds || !witness.is_certain() {
                return Ok(());
            }
            Err(format!("{what} on {witness}, {:?}: {:?}", witness.to_json("input"), on(witness)))
        };
        let is_false = |it: &Option<Outcome>| *it == Some(Outcome::False);
        if let Some(gap) = &report.gap {
            ensure(on(gap).iter().all(is_false), "no gap", gap)?;
        }
        for it in &report.overlaps {
            let outcomes = on(&it.witness);
            let both = [it.first, it.second].map(|it| outcomes[it]);
            ensure(both == [Some(Outcome::True); 2], "no overlap", &it.witness)?;
        }
        for it in &report.errors {
            let outcomes = on(&it.witness);
            let fails = outcomes[..it.guard].iter().all(is_false)
                && outcomes[it.guard] == Some(Outcome::Error);
            ensure(fails, "no error", &it.witness)?;
        }
        for guard in 0..self.guards.iter().flatten().count() {
            let table = self.regions.tabulate(guard).map_err(|it| it.to_string())?;
            let present = self.guards.iter().flatten().nth(guard).unwrap();
            for (literals, expected) in table.cells() {
                let witness = self.regions.witness(literals);
                let scope = witness.to_json("input").map(|it| ("input".to_owned(), it));
                let found = outcome(present, &scope.into_iter().collect());
                ensure(found == expected, "another outcome of a cell", &witness)?;
            }
        }
        Ok(())
    }
}

#[test]
fn reports_agree_with_the_evaluator_on_a_grid() {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let (mut points, mut exact, mut time) = (0, 0, Duration::ZERO);
    for number in 0..cases() {
        let (case, vocabulary) = Case::draw(&mut dice);
        let schema = Schema::compile(&case.schema).unwrap();
        let grid = Grid::new(&vocabulary, &case.schema);
        exact += u32::from(case.report.unknown.is_empty());
        time += case.time;
        let mut check = || {
            case.check_report()?;
            for _ in 0..POINTS {
                let Some(input) = grid.point(&mut dice) else { continue };
                if schema.check(&input).is_ok() {
                    points += 1;
                    case.check_point(&input)?;
                }
            }
            Ok(())
        };
        check().unwrap_or_else(|error: String| {
            let sources: Vec<Option<&str>> =
                case.guards.iter().map(|it| it.as_ref().map(Expr::source)).collect();
            panic!("seed {seed}, case {number}: {error}\n{}\n{sources:#?}", case.schema)
        });
    }
    let each = time / u32::try_from(cases()).unwrap();
    eprintln!("{} choices, {exact} exact, {points} points; {each:?} a choice", cases());
}

#[test]
fn what_a_schema_allows_is_in_the_domain() {
    let seed = seed();
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let vocabulary =
        Vocabulary { paths: vec![], values: vec![], sizes: false, pairs: false, strict: false };
    let grid: Vec<Value> = grid(&vocabulary).into_iter().flatten().collect();
    for _ in 0..500 {
        let field = field_schema(&mut dice);
        let domain = Domain::at(&json!({"properties": {"a": field}}), &["a"]);
        let schema = Schema::compile(&field).unwrap();
        for value in &grid {
            if schema.check(value).is_ok() {
                assert!(domain.allows(value), "seed {seed}: {field} allows {value}");
            }
        }
    }
}

#[test]
fn regions_of_a_path_name_what_they_hold() {
    let guard = Expr::parse("input.total > 10 && input.total <= 20 || input.kind == 'x'").unwrap();
    let regions = Regions::split(&[&guard], &Schemas([].into()), &Limits::default());
    let texts: BTreeSet<&str> = regions
        .all()
        .iter()
        .flat_map(|it| &it.regions)
        .filter(|it| it.content != Content::Absent)
        .map(|it| it.text.as_str())
        .collect();
    let expected = BTreeSet::from([
        "input is a map",
        "input.total <= 10",
        "input.total > 10 and <= 20",
        "input.total > 20",
        "input.total is of another type",
        "input.total is missing",
        "input.kind is \"x\"",
        "input.kind is another text or input.kind is of another type",
        "input.kind is missing",
    ]);
    assert_eq!(texts, expected);
    assert_eq!(Path::new("input", &["a b"]).to_string(), "input[\"a b\"]");
}
