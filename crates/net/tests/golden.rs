//! The classics among mistakes, and files that are broken: what is said of each.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests read their data")]

use std::path::{Path, PathBuf};

use surefoot_net::workflow_net::WorkflowNet;
use surefoot_net::{Limits, Verdict, certificate, check, read};

/// The parts of a file, and what is said of each: a code and a piece of the message.
const VERDICTS: &[(&str, &[(&str, &str)])] = &[
    ("bpmn/dead_task.bpmn", &[("SF2101", "`Never both` has `Split A → Never both` and waits for")]),
    ("bpmn/deadlock.bpmn", &[("SF2101", "`Both done` has `Send bill → Both done` and waits for")]),
    ("bpmn/deadlock_in_sub_process.bpmn", &[("", ""), ("SF2101", "`Wait for both` has")]),
    ("bpmn/improper_completion.bpmn", &[("SF2102", "`Both` has")]),
    ("bpmn/lack_of_synchronisation.bpmn", &[("SF2103", "`Merge` is reached twice")]),
    ("bpmn/livelock.bpmn", &[("SF2100", "nothing leads to an end from `Again`")]),
    ("bpmn/no_way_out.bpmn", &[("SF2100", "nothing ends")]),
    ("bpmn/sound_boundary.bpmn", &[("", "")]),
    ("bpmn/sound_choice_and_loop.bpmn", &[("", "")]),
    ("bpmn/sound_inclusive.bpmn", &[("", "")]),
    ("bpmn/sound_parallel.bpmn", &[("", "")]),
    ("bpmn/sound_parallel_17.bpmn", &[("", "")]),
    ("bpmn/sound_sequence.bpmn", &[("", "")]),
    ("bpmn/sound_terminate.bpmn", &[("", "")]),
    ("bpmn/sound_two_ends.bpmn", &[("", "")]),
    ("bpmn/unbounded.bpmn", &[("SF2103", "again and again, without a bound")]),
    ("bpmn/undecided_complex.bpmn", &[("SF1310", "`Two of three`")]),
    ("bpmn/undecided_inclusive.bpmn", &[("SF1310", "`Ready` waits for is not decided")]),
    ("pnml/dead_transition.pnml", &[("SF2104", "can never happen: `never`")]),
    ("pnml/deadlock.pnml", &[("SF2101", "`join` has `p` and waits for `q`")]),
    ("pnml/improper_completion.pnml", &[("SF2102", "something is left")]),
    ("pnml/improper_left_over.pnml", &[("SF2102", "something is left")]),
    ("pnml/livelock.pnml", &[("SF2101", "go round for ever without reaching the end")]),
    ("pnml/not_free_choice.pnml", &[("", "")]),
    ("pnml/sound.pnml", &[("", "")]),
    ("pnml/two_sources.pnml", &[("SF2100", "several starts: `i`, `j`")]),
    ("pnml/unmarked_loop.pnml", &[("SF2100", "nothing leads from the start to `p`")]),
    ("pnml/unsafe.pnml", &[("SF2103", "`r` is reached twice")]),
];

/// Files that are broken: code, line, and a piece of the message.
const PROBLEMS: &[(&str, &str, u32, &str)] = &[
    ("broken/dangling.bpmn", "SF1307", 4, "`targetRef` is `nowhere`"),
    ("broken/dangling.pnml", "SF1307", 4, "nothing has the id `q`"),
    ("broken/dangling_boundary.bpmn", "SF1307", 4, "`attachedToRef` is `u`"),
    ("broken/dangling_default.bpmn", "SF1307", 4, "`default` is `none`"),
    ("broken/dtd.bpmn", "SF1302", 2, "a document type is not read"),
    ("broken/duplicate_id.bpmn", "SF1306", 4, "the element in line 3"),
    ("broken/duplicate_id.pnml", "SF1306", 4, "the id `p` is taken"),
    ("broken/flow_from_end.bpmn", "SF1311", 5, "leaves the end event `e`"),
    ("broken/flow_into_start.bpmn", "SF1311", 5, "starts by itself"),
    ("broken/high_level.pnml", "SF1308", 2, "only place/transition nets"),
    ("broken/inhibitor.pnml", "SF1308", 4, "arc of the type `inhibitor`"),
    ("broken/link_to_nothing.bpmn", "SF1307", 3, "no event catches the link `on`"),
    ("broken/missing_id.bpmn", "SF1305", 3, "this <startEvent> has no `id`"),
    ("broken/no_net.pnml", "SF1312", 1, "there is no <net>"),
    ("broken/no_process.bpmn", "SF1312", 1, "no process"),
    ("broken/not_closed.bpmn", "SF1301", 3, "broken XML"),
    ("broken/other.bpmn", "SF1304", 1, "the root element is <html>"),
    ("broken/place_to_place.pnml", "SF1311", 4, "are both places"),
    ("broken/two_tokens.pnml", "SF1308", 2, "starts with 2 tokens"),
    ("broken/unknown_element.bpmn", "SF1309", 4, "<teleport> is not known"),
    ("broken/weight.pnml", "SF1308", 4, "weight `2`"),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

#[test]
fn each_file_has_its_verdict() {
    for (name, expected) in VERDICTS {
        let file = read(&std::fs::read(data().join(name)).unwrap())
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert_eq!(file.parts.len(), expected.len(), "{name}: {:?}", file.parts);
        for (part, (code, piece)) in file.parts.iter().zip(*expected) {
            let net = match &part.net {
                Ok(net) => net,
                Err(problem) => {
                    assert_eq!(problem.code, *code, "{name}: {problem:?}");
                    assert!(problem.message.contains(piece), "{name}: {}", problem.message);
                    continue;
                }
            };
            match check(net, &Limits::CHECK) {
                Verdict::Sound(proof) => {
                    assert_eq!(*code, "", "{name} is sound: {net:?}");
                    certificate::verify(&WorkflowNet::of(net).unwrap(), &proof).unwrap();
                }
                Verdict::Unsound(defects) => {
                    let all: Vec<String> = defects
                        .iter()
                        .map(|it| format!("{} {}", it.code(), it.message(net)))
                        .collect();
                    let is_told = |it: &String| it.starts_with(code) && it.contains(piece);
                    assert!(!code.is_empty() && all.iter().any(is_told), "{name}: {all:?}");
                }
                Verdict::Unknown(reason) => panic!("{name}: {reason}"),
            }
        }
    }
}

#[test]
fn each_broken_file_is_told() {
    for (name, code, line, piece) in PROBLEMS {
        let bytes = std::fs::read(data().join(name)).unwrap();
        let problems = match read(&bytes) {
            Err(problems) => problems,
            Ok(file) => panic!("{name}: {file:?}"),
        };
        let is_told = |it: &&surefoot_net::Problem| {
            it.code == *code && it.line == *line && it.message.contains(piece)
        };
        assert!(problems.iter().any(|it| is_told(&it)), "{name}: {problems:?}");
        assert!(problems.iter().all(|it| !it.help.is_empty() && it.column > 0), "{name}");
    }
}

#[test]
fn every_file_is_in_a_table() {
    for folder in ["bpmn", "pnml", "broken"] {
        for entry in std::fs::read_dir(data().join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            let is_told =
                VERDICTS.iter().any(|it| it.0 == name) || PROBLEMS.iter().any(|it| it.0 == name);
            assert!(is_told, "{name} is in no table");
        }
    }
}

/// Neither depth nor size nor rubbish brings the reader down.
#[test]
fn hostile_files_are_refused() {
    let deep = format!("<a>{}", "<a>".repeat(1_000_000));
    assert_eq!(read(deep.as_bytes()).unwrap_err()[0].code, "SF1303");
    let long = vec![b' '; surefoot_net::xml::BYTES_MAX + 1];
    assert_eq!(read(&long).unwrap_err()[0].code, "SF1303");
    assert_eq!(read(&[b'<', 0xff, 0xfe]).unwrap_err()[0].code, "SF1301");
    for rubbish in
        ["", "<", "<a", "<a b='", "<!--", "<![CDATA[", "<?", "&a;", "</a>", "<a/><b/>", "\0"]
    {
        assert!(read(rubbish.as_bytes()).is_err(), "{rubbish:?}");
    }
}
