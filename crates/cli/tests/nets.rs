//! BPMN and PNML on the command line: verdicts, runs that show them, and definitions made of them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};

use support::Project;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../net/tests/data")
}

/// A project with one of the files that the verifier is tested with.
fn with(name: &str) -> Project {
    let text = std::fs::read_to_string(data().join(name)).unwrap();
    Project::new(&[(Path::new(name).file_name().unwrap().to_str().unwrap(), &text)])
}

#[test]
fn a_sound_process_is_proved() {
    let done = with("bpmn/sound_parallel.bpmn").run(&["check", "sound_parallel.bpmn"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("proved: `sound_parallel`: every case can end"), "{}", done.err);
    assert_eq!(done.out, "");
}

#[test]
fn a_deadlock_is_shown_step_by_step() {
    let project = with("bpmn/deadlock.bpmn");
    let done = project.run(&["check", "deadlock.bpmn"]);
    assert_eq!(done.code, 3, "{}", done.err);
    for piece in ["SF2101", "a case can get stuck", "`Both done` has", "step 1: Order received"] {
        assert!(done.out.contains(piece), "{piece}: {}", done.out);
    }
    let done = project.run(&["check", "deadlock.bpmn", "-o", "json"]);
    assert_eq!(done.code, 3, "{}", done.err);
    let value: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let problem = &value["problems"][0];
    assert_eq!((&problem["code"], &problem["severity"]), (&"SF2101".into(), &"error".into()));
    let steps = problem["related"].as_array().unwrap();
    assert!(steps.len() >= 3 && steps.iter().all(|it| it["line"].as_u64() > Some(3)), "{problem}");
}

#[test]
fn what_is_not_decided_is_a_warning() {
    let project = with("bpmn/undecided_complex.bpmn");
    let done = project.run(&["check", "undecided_complex.bpmn"]);
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.out.contains("SF1310"), "{}", done.out);
    assert_eq!(project.run(&["check", "undecided_complex.bpmn", "--strict"]).code, 3);
}

#[test]
fn a_broken_file_is_told_with_its_place() {
    let done = with("broken/dangling.pnml").run(&["check", "dangling.pnml"]);
    assert_eq!(done.code, 3);
    assert!(done.out.contains("SF1307") && done.out.contains("dangling.pnml:4"), "{}", done.out);
}

/// Each process of blocks becomes a definition that passes the check.
#[test]
fn processes_of_blocks_become_definitions() {
    for (name, pieces) in [
        ("bpmn/sound_sequence.bpmn", &["pack:\n    needs: [pick]", "uses: pack"][..]),
        ("bpmn/sound_parallel.bpmn", &["pay:", "pack:"]),
        ("bpmn/sound_choice_and_loop.bpmn", &["initial: again_body", "{final: true}", "publish:"]),
        ("bpmn/sound_inclusive.bpmn", &["input.flow_2 == true", "options_no_flow:"]),
        ("bpmn/sound_two_ends.bpmn", &["ship:", "invoice:"]),
        (
            "convert/order.bpmn",
            &[
                "if: \"input.amount > 1000\"",
                "join: none_failed",
                "tasks:",
                "for: \"PT2H\"",
                "for_each:",
            ],
        ),
    ] {
        let project = with(name);
        let file = Path::new(name).file_name().unwrap().to_str().unwrap();
        let done = project.run(&["convert", file, "--to", "made.surefoot.yaml"]);
        assert_eq!(done.code, 0, "{name}: {}", done.err);
        let yaml = std::fs::read_to_string(project.path().join("made.surefoot.yaml")).unwrap();
        for piece in pieces {
            assert!(yaml.contains(piece), "{name} lacks {piece}:\n{yaml}");
        }
        let done = project.run(&["check", "made.surefoot.yaml"]);
        assert_eq!((done.code, &*done.out), (0, ""), "{name}: {}\n{yaml}", done.err);
    }
}

#[test]
fn what_is_no_block_is_refused_with_its_line() {
    for (name, piece) in [
        (
            "bpmn/deadlock.bpmn",
            "deadlock.bpmn:8:1: `Both done` is of another kind than its split [SF1313]",
        ),
        ("bpmn/sound_boundary.bpmn", "`Pay` has boundary events"),
        ("bpmn/sound_terminate.bpmn", "`Finished` stops what runs beside it"),
        ("bpmn/undecided_complex.bpmn", "`Two of three` has no word in the language"),
        ("pnml/sound.pnml", "is a net, which has no tasks"),
    ] {
        let file = Path::new(name).file_name().unwrap().to_str().unwrap();
        let done = with(name).run(&["convert", file]);
        assert_eq!(done.code, 2, "{name}: {}", done.out);
        assert!(done.err.contains(piece), "{name}: {}", done.err);
    }
}
