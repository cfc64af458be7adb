//! What the pictures look like, and that large ones are quick and whole.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::plan::Plan;

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
