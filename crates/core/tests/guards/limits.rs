//! Input that is meant to exhaust the procedure: it must answer, that it does not know if need be.

use serde_json::json;
use surefoot_core::expr::Expr;
use surefoot_core::verify::guard::{
    ChoiceReport, Domain, Exceeded, Limit, Limits, Outcome, Reason, Regions, choice,
};

use super::{Schemas, parse, report};

fn decide(guards: &[String]) -> Result<ChoiceReport, Exceeded> {
    let guards: Vec<Option<String>> = guards.iter().cloned().map(Some).collect();
    report(&parse(&guards), &Schemas([].into()))
}

/// Joins parts until the source is as long as an expression may be.
fn longest(parts: impl Iterator<Item = String>, between: &str) -> String {
    let mut source = String::new();
    for part in parts {
        if source.len() + part.len() + between.len() > 16 * 1024 {
            break;
        }
        if !source.is_empty() {
            source += between;
        }
        source += &part;
    }
    source
}

#[test]
fn a_guard_beyond_the_limit_of_the_parser_is_refused() {
    let operands = vec!["input.a"; 100_000].join(" && ");
    assert!(Expr::parse(&operands).is_err());
    assert!(Expr::parse(&format!("input.a == '{}'", "x".repeat(1024 * 1024))).is_err());
}

#[test]
fn the_longest_guards_are_answered() {
    let numbers = || 0..100_000;
    let guards = [
        longest(numbers().map(|_| "input.a".to_owned()), " && "),
        longest(numbers().map(|it| format!("input.a == {it}")), " || "),
        longest(numbers().map(|it| format!("input.a{it}")), " && "),
        longest(numbers().map(|it| format!("input.a{it} > {it}")), " || "),
        format!("input.a in [{}]", longest(numbers().map(|it| it.to_string()), ",")),
        format!("input.a < '{}'", "x".repeat(16_000)),
        format!("{}input.a{}", "!(".repeat(40), ")".repeat(40)),
        longest(numbers().map(|it| format!("a{it}")), "."),
        longest(numbers().map(|it| format!("size(input.a{it}) > 900")), " || "),
        longest(numbers().map(|it| format!("input.a{it} < input.a{}", it + 1)), " && "),
    ];
    for guard in guards {
        let Ok(guard) = Expr::parse(&guard) else { continue };
        let found = choice(&[Some(&guard)], &Domain::any(), &Limits::default());
        if let Err(exceeded) = found {
            assert!(exceeded.limit > 0, "a limit says its number");
        }
    }
}

#[test]
fn forty_paths_are_decided_where_few_matter_at_once() {
    let guards: Vec<String> = (0..40).map(|it| format!("input.a{it} == true")).collect();
    let chain = vec![guards.join(" && ")];
    let found = decide(&chain);
    let which = found.unwrap_err().which;
    assert!(matches!(which, Limit::Cells | Limit::Steps), "each of forty may fail: {which}");
    let schema = (0..40).map(|it| (format!("a{it}"), json!({"type": "boolean"})));
    let properties: serde_json::Map<_, _> = schema.collect();
    let required: Vec<&String> = properties.keys().collect();
    let schema = json!({"type": "object", "required": required, "properties": properties});
    let guard = parse(&[Some(chain[0].clone())]);
    let report = report(&guard, &Schemas([("input".to_owned(), schema)].into())).unwrap();
    assert_eq!(report.errors, []);
    assert_eq!(report.gap.unwrap().to_string(), "input.a0 = false");
}

/// As many constants as the source of a definition has room for.
#[test]
fn a_hundred_and_fifty_thousand_constants_of_one_path_are_not_told_apart() {
    let guard = |first: usize| {
        let constants = (first..first + 2_000).map(|it| it.to_string()).collect::<Vec<_>>();
        Expr::parse(&format!("input.a in [{}]", constants.join(","))).unwrap()
    };
    let guards: Vec<Expr> = (0..75).map(|it| guard(it * 2_000)).collect();
    let guards: Vec<&Expr> = guards.iter().collect();
    let regions = Regions::split(&guards, &Domain::any(), &Limits::default());
    let unknown = regions.unknown(0);
    assert_eq!(unknown[0].reason, Reason::ManyRegions(Limits::default().regions));
    assert!(regions.satisfiable(&[(0, Outcome::True)]).unwrap().is_some());
}

#[test]
fn limits_are_kept() {
    let guard = Expr::parse("input.a > 1 && input.b > 1 && input.c > 1").unwrap();
    let with = |limits: Limits| choice(&[Some(&guard)], &Domain::any(), &limits);
    let limits = Limits::default();
    assert!(with(limits).is_ok());
    let exceeded = |limits| with(limits).unwrap_err().which;
    assert_eq!(exceeded(Limits { cells: 3, ..limits }), Limit::Cells);
    assert_eq!(exceeded(Limits { steps: 3, ..limits }), Limit::Steps);
    assert_eq!(exceeded(Limits { paths: 3, ..limits }), Limit::Paths);
    let unknown = |limits| with(limits).unwrap().unknown;
    assert_eq!(unknown(Limits { nodes: 3, ..limits })[0].reason, Reason::ManyNodes(3));
    assert_eq!(unknown(Limits { regions: 3, ..limits })[0].reason, Reason::ManyRegions(3));
}
