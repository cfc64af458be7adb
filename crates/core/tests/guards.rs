#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stderr, reason = "x")]
use surefoot_core::expr::Expr;
use surefoot_core::verify::guard::*;

#[test]
fn play() {
    let cases: &[&[&str]] = &[
        &["input.total < 100", "input.total > 100"],
        &["input.total < 100", "input.total > 50", "input.total > 70", "-"],
        &["has(input.a.b) && input.a.b == 'x'", "!has(input.a.b)"],
        &["input.x < input.y", "input.x == input.y"],
        &["size(default(input.items, [])) > 3", "input.kind.startsWith('ab')", "input.n + 1 > 3"],
        &["input.x < input.y && input.y < input.z && input.z < input.x"],
        &["event.x in ['a', 'b']", "default(event.y, 5) > 3"],
        &["input.n > 9007199254740992", "input.n > 9007199254740993"],
    ];
    for case in cases {
        let exprs: Vec<Option<Expr>> =
            case.iter().map(|it| (*it != "-").then(|| Expr::parse(it).unwrap())).collect();
        let guards: Vec<Option<&Expr>> = exprs.iter().map(Option::as_ref).collect();
        let report = choice(&guards, &Domain::any(), &Limits::default());
        eprintln!("== {case:?}");
        match report {
            Err(e) => eprintln!("{e}"),
            Ok(r) => {
                eprintln!("gap {}", r.gap.map_or("none".into(), |it| it.to_string()));
                for o in &r.overlaps {
                    eprintln!("overlap {} {} {}", o.first, o.second, o.witness);
                }
                eprintln!("dead {:?} always {:?}", r.dead, r.always);
                for o in &r.errors {
                    eprintln!("error {} {} : {}", o.guard, o.cause.as_ref().unwrap(), o.witness);
                }
                for u in &r.unknown {
                    eprintln!("{u}");
                }
            }
        }
        let present: Vec<&Expr> = guards.iter().flatten().copied().collect();
        let regions = Regions::split(&present, &Domain::any(), &Limits::default());
        for p in regions.all() {
            for r in &p.regions {
                eprintln!("   {}   [{:?} under {:?}]", r.text, r.content, r.under);
            }
        }
    }
}
