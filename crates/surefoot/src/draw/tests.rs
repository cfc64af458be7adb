//! What the pictures look like, and that large ones are quick and whole.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::plan::Plan;
use surefoot_core::source::Problem;
use surefoot_core::verify::{Finding, Proofs, Property};

use super::*;

fn plan(source: &str) -> Arc<Plan> {
    let context = CheckContext { large: true, ..CheckContext::default() };
    let checked = check_source(source.as_bytes(), &context).remove(0);
    checked.plan.unwrap_or_else(|| panic!("{:?}", checked.problems))
}

const DIAMOND: &str = "
id: diamond
tasks:
  a: {uses: log, with: {message: hi}}
  b: {needs: [a], uses: log, with: {message: hi}}
  c: {needs: [a], uses: log, with: {message: hi}}
  d: {needs: [b, c], join: all_done, uses: log, with: {message: hi}}
";

const DOOR: &str = "
id: door
initial: closed
states:
  closed: {on: {open: {to: opened}, lock: {if: 'input.key', to: locked}}}
  opened: {on: {close: {to: closed}}, after: {5m: {to: closed}}}
  locked: {final: true}
";

#[test]
fn a_diamond_is_drawn_with_boxes() {
    let text = ascii(&Diagram::of(&plan(DIAMOND)), &Statuses::new(), 80);
    let expected = "
      ┌─────┐
      │ a   │
      │ log │
      └──┬──┘
    ┌────┴────┐
    ▼         ▼
 ┌─────┐   ┌─────┐
 │ b   │   │ c   │
 │ log │   │ log │
 └──┬──┘   └──┬──┘
    └────┬────┘
         ▼
┌────────────────┐
│ d              │
│ log · all_done │
└────────────────┘
";
    assert_eq!(format!("\n{text}"), expected, "\n{text}");
}

#[test]
fn a_machine_lists_its_ways() {
    let text = ascii(&Diagram::of(&plan(DOOR)), &Statuses::new(), 80);
    let expected = "
● closed
├─ open ─────────────▶ opened
└─ lock [input.key] ─▶ locked
○ opened
├─ close ────────────▶ closed
└─ after 5m ─────────▶ closed
◉ locked
";
    assert_eq!(format!("\n{text}"), expected, "\n{text}");
}

#[test]
fn statuses_are_signs_and_words() {
    let statuses = Statuses::from([("b".to_owned(), TaskStatus::Failed)]);
    let diagram = Diagram::of(&plan(DIAMOND));
    assert!(ascii(&diagram, &statuses, 80).contains("✗ b"));
    assert!(mermaid(&diagram, &statuses).contains("n2[\"b<br/>log\"]:::failed"));
    assert!(dot(&diagram, &statuses).contains("\"b\" [label=\"b\\nlog\", fillcolor=\"#fbdcd9\"];"));
    assert!(svg(&diagram, &statuses).contains("<title>b: failed</title>"));
}

fn marked(source: &str) -> Diagram {
    let context = CheckContext::default();
    let checked = check_source(source.as_bytes(), &context).remove(0);
    let mut diagram = Diagram::of(&checked.draft.unwrap());
    diagram.mark(&checked.proofs.unwrap());
    diagram
}

#[test]
fn what_never_runs_is_marked() {
    let diagram = marked(
        "
id: dead
tasks:
  fine: {uses: transform, with: 1}
  never: {needs: [fine], join: any_failed, uses: log, with: {message: hi}}
  nested: {needs: [never], tasks: {inner: {uses: log, with: {message: hi}}}}
",
    );
    let plain = Statuses::new();
    assert!(ascii(&diagram, &plain, 80).contains("│ never (never runs)"));
    let mermaid = mermaid(&diagram, &plain);
    assert!(mermaid.contains("classDef dead stroke-dasharray:5 4"), "{mermaid}");
    assert!(mermaid.contains("  class n3,n4,n2 dead\n"), "{mermaid}");
    let dot = dot(&diagram, &plain);
    assert!(dot.contains("style=\"rounded,dashed\""), "{dot}");
    assert!(dot.contains("label=\"nested (never runs)\"; style=dashed;"), "{dot}");
    assert!(svg(&diagram, &plain).contains("class=\"task dead\" data-path=\"never\""));
}

#[test]
fn a_refuted_read_is_marked_with_its_code() {
    let diagram = marked(
        "
id: read
tasks:
  risk: {if: input.total > 10, uses: transform, with: {score: 1}}
  ship:
    needs: [risk]
    join: all_done
    uses: log
    with: {message: '${{ tasks.risk.output.score }}'}
",
    );
    let plain = Statuses::new();
    assert!(ascii(&diagram, &plain, 80).contains("ship (! SF2205"));
    assert!(mermaid(&diagram, &plain).contains("classDef wrong stroke:#b8281c"));
    assert!(dot(&diagram, &plain).contains("color=\"#b8281c\", penwidth=2"));
    assert!(svg(&diagram, &plain).contains("class=\"task wrong\" data-path=\"ship\""));
}

#[test]
fn what_must_not_run_side_by_side_is_connected() {
    let mut diagram = Diagram::of(&plan(DIAMOND));
    let (span, message) = (Default::default(), "both write `file:out.csv`");
    let problem = Problem::error(Property::Races.code(), span, message);
    let mut proofs = Proofs::default();
    proofs.refute("b | c", Finding::at(Property::Races, problem));
    diagram.mark(&proofs);
    let plain = Statuses::new();
    let text = ascii(&diagram, &plain, 80);
    assert!(text.ends_with("\n✗ b and c: SF2206 both write `file:out.csv`\n"), "{text}");
    let mermaid = mermaid(&diagram, &plain);
    assert!(mermaid.contains("n2 -.-|\"SF2206\"| n3\n  linkStyle 4 stroke:#b8281c"), "{mermaid}");
    let dot = dot(&diagram, &plain);
    assert!(dot.contains("\"b\" -> \"c\" [dir=none, constraint=false, style=dashed"), "{dot}");
    let svg = svg(&diagram, &plain);
    assert!(svg.contains("<path class=\"clash\""), "{svg}");
    assert!(svg.contains("<title>both write `file:out.csv`</title>"), "{svg}");
}

#[test]
fn texts_of_the_author_cannot_leave_their_place() {
    let source = "
id: sly
tasks:
  a:
    if: 'input.x == \"</text><script>|;#\"'
    uses: log
    with: {message: hi}
";
    let diagram = Diagram::of(&plan(source));
    assert!(!svg(&diagram, &Statuses::new()).contains("<script"));
    assert!(!mermaid(&diagram, &Statuses::new()).contains("<script"));
    assert!(dot(&diagram, &Statuses::new()).contains("\\\"</text>"));
}

#[test]
fn a_narrow_terminal_gets_a_listing() {
    let tasks: String = (0..30)
        .map(|it| format!("  a_rather_long_name_{it}: {{uses: log, with: {{message: x}}}}\n"))
        .collect();
    let diagram = Diagram::of(&plan(&format!("id: wide\ntasks:\n{tasks}")));
    for width in [40, 80, 200] {
        let text = ascii(&diagram, &Statuses::new(), width);
        assert!(text.lines().all(|it| it.chars().count() <= width), "{text}");
        assert!(text.contains("30 tasks:"), "{text}");
    }
}

/// Layers of a hundred, each task with two needs: long lists, many crossings.
fn large(tasks: usize) -> String {
    let mut source = "id: large\ntasks:\n".to_owned();
    for at in 0..tasks {
        let needs = if at < 100 {
            String::new()
        } else {
            let first = (at / 100 - 1) * 100;
            format!("needs: [t{}, t{}], ", first + at * 7 % 100, first + at * 31 % 100)
        };
        let needs = if at * 7 % 100 == at * 31 % 100 { String::new() } else { needs };
        source.push_str(&format!("  t{at}: {{{needs}uses: log, with: {{message: hi}}}}\n"));
    }
    source
}

#[test]
fn a_large_graph_is_drawn_whole() {
    let diagram = Diagram::of(&plan(&large(2_000)));
    let picture = svg(&diagram, &Statuses::new());
    assert_eq!(picture.matches("class=\"task\"").count(), 2_000);
    assert!(ascii(&diagram, &Statuses::new(), 80).lines().count() <= 25);
}

#[test]
fn a_task_that_all_others_need_does_not_fill_the_memory() {
    let mut source = "id: comb\ntasks:\n  t0: {uses: log, with: {message: hi}}\n".to_owned();
    for at in 1..1_000 {
        let needs = if at == 1 { "t0".to_owned() } else { format!("t0, t{}", at - 1) };
        source.push_str(&format!(
            "  t{at}: {{needs: [{needs}], uses: log, with: {{message: hi}}}}\n"
        ));
    }
    let picture = svg(&Diagram::of(&plan(&source)), &Statuses::new());
    assert_eq!(picture.matches("class=\"way\"").count(), 2 * 999 - 1);
}
