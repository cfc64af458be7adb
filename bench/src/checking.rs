//! V1: how long the check of a whole file takes, from its bytes to a proved plan.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use surefoot::core::check::{CheckContext, check_source};

use crate::process::Meter;
use crate::row::Row;

/// Tasks of the definitions.
pub const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
/// One task in so many has a condition.
pub const SHARES: [usize; 2] = [100, 14];
/// Each definition is checked this often, and for at least this long.
const REPEATS_MIN: usize = 3;
const DURATION_MIN: Duration = Duration::from_millis(500);

/// Checks a definition of so many tasks again and again. What counts as a run is one check, and as
/// a step one task; there is no store, so there is no limit to compare with.
pub fn measure(tasks: usize, share: usize) -> Row {
    let source = definition(tasks, share);
    let context = CheckContext { large: true, ..CheckContext::default() };
    let meter = Meter::start();
    let start = Instant::now();
    let mut took = Vec::new();
    while took.len() < REPEATS_MIN || start.elapsed() < DURATION_MIN {
        let before = Instant::now();
        let checked = check_source(source.as_bytes(), &context);
        took.push(before.elapsed());
        assert!(checked[0].plan.is_some(), "{:?}", checked[0].problems.first());
    }
    let row = Row::of(format!("V1/{tasks}/{share}"), 1, &meter, &mut took);
    let (runs_per_s, steps_per_s) = (1e3 / row.p50_ms, tasks as f64 * 1e3 / row.p50_ms);
    Row { runs_per_s, steps_per_s, ..row }
}

/// Tasks of a block: one, three side by side, and one that joins them.
const BLOCK: usize = 5;
/// Numbers of the input that conditions look at.
const FIELDS: usize = 50;
/// One block in so many is nested.
const NESTED: usize = 4;

/// Writes blocks one after the other. Some of the tasks that are side by side have a condition, and
/// what joins them reads an output.
pub(crate) fn definition(tasks: usize, share: usize) -> String {
    let names: Vec<String> = (0..FIELDS).map(|it| format!("x{it}")).collect();
    let numbers: Vec<String> = names.iter().map(|it| format!("{it}: {{type: number}}")).collect();
    let mut out = format!(
        "id: bench\ninput:\n  type: object\n  required: [{}]\n  properties: {{{}}}\ntasks:\n",
        names.join(", "),
        numbers.join(", ")
    );
    let (mut before, mut conditions) = (String::new(), 0);
    for block in 0..tasks / BLOCK {
        let is_nested = block % NESTED == 0;
        // What is nested counts as a task less, for its group is one.
        let name = |part: &str| format!("{part}{block}");
        let (indent, needs) = match is_nested {
            true => ("      ", String::new()),
            false => ("  ", before.clone()),
        };
        if is_nested {
            let _ = writeln!(out, "  {}:\n    needs: [{before}]\n    tasks:", name("group"));
        }
        let (start, a, b, c) = (name("start"), name("a"), name("b"), name("c"));
        let is_conditional = conditions < block * BLOCK / share;
        conditions += usize::from(is_conditional);
        let condition = if is_conditional {
            format!("if: input.x{} > {block}.0, ", block % FIELDS)
        } else {
            String::new()
        };
        let _ = writeln!(out, "{indent}{start}: {{needs: [{needs}], uses: step}}");
        let _ = writeln!(out, "{indent}{a}: {{needs: [{start}], uses: step}}");
        if !is_nested {
            let _ = writeln!(out, "{indent}{b}: {{needs: [{start}], uses: step}}");
        }
        let _ = writeln!(out, "{indent}{c}: {{needs: [{start}], {condition}uses: step}}");
        let join = name("join");
        let both = if is_nested { a.clone() } else { format!("{a}, {b}") };
        let _ = writeln!(
            out,
            "{indent}{join}: {{needs: [{both}, {c}], join: none_failed, uses: step, with: {{it: '${{{{ tasks.{a}.output }}}}'}}}}"
        );
        before = if is_nested { name("group") } else { join };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_have_as_many_tasks_as_asked_for_and_are_in_order() {
        let context = CheckContext { large: true, ..CheckContext::default() };
        for share in SHARES {
            let source = definition(1_000, share);
            let checked = check_source(source.as_bytes(), &context).remove(0);
            assert_eq!(checked.problems, []);
            let plan = checked.plan.expect("a definition in order has a plan");
            assert_eq!(plan.nodes.len(), 1_000);
            let conditions = plan.nodes.iter().filter(|it| it.condition.is_some()).count();
            assert_eq!(conditions, (1_000 - BLOCK) / share);
        }
    }
}
