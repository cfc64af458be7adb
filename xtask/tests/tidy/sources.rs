//! What must not stand in the sources.

use crate::report;
use crate::repository::{File, files};

/// A word that must not be in the code of some folders.
struct Rule {
    about: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    words: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        about: "the core has no clock, no randomness, no input and no output",
        within: &["crates/core/src/"],
        except: &[],
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "std::io",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "TimeZone::system",
            "async fn",
            "tokio::",
            "tracing::",
            "rand::",
        ],
    },
    Rule {
        about: "the verifier of nets has no clock, no randomness, no input and no output",
        within: &["crates/net/src/"],
        except: &[],
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
            "std::io",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "TimeZone::system",
            "async fn",
            "tokio::",
            "tracing::",
            "rand::",
        ],
    },
    Rule {
        about: "a store moves rows and knows no event and no rule",
        within: &["crates/store/src/"],
        except: &[],
        words: &["surefoot_core::run", "surefoot_core::plan", "Event::", "RunStatus", "TaskStatus"],
    },
    Rule {
        about: "the engine knows no HTTP; only the kinds of tasks and the exporter of traces do",
        within: &["crates/surefoot/src/"],
        except: &["crates/surefoot/src/kinds/", "crates/surefoot/src/traces/"],
        words: &["StatusCode", "reqwest::", "axum::"],
    },
    Rule {
        about: "the engine sees a store only through the trait",
        within: &["crates/surefoot/src/engine/"],
        except: &["crates/surefoot/src/engine/builder.rs"],
        words: &["SqliteStore", "MemoryStore", "rusqlite::"],
    },
    Rule {
        about: "only the command line ends the process and talks to a terminal",
        within: &["crates/"],
        except: &["crates/cli/"],
        words: &["process::exit", "process::abort", "println!", "eprintln!"],
    },
];

#[test]
fn sources_keep_to_their_side() {
    let mut findings = Vec::new();
    for rule in RULES {
        let is_within = |file: &&&File| {
            file.is_product()
                && rule.within.iter().any(|it| file.path.starts_with(it))
                && !rule.except.iter().any(|it| file.path.starts_with(it))
        };
        for file in files(&["rs"]).iter().filter(is_within) {
            for (line, code) in file.code() {
                let words = rule.words.iter().filter(|it| code.contains(**it));
                findings.extend(
                    words.map(|it| format!("{}:{line}: `{it}`: {}", file.path, rule.about)),
                );
            }
        }
    }
    report("code stands where it must not", findings);
}

#[test]
fn no_test_is_switched_off() {
    let word = concat!("#[", "ignore");
    let mut findings = Vec::new();
    for file in files(&["rs"]) {
        let lines = file.text.lines().enumerate().filter(|(_, line)| line.contains(word));
        findings.extend(lines.map(|(number, _)| format!("{}:{}", file.path, number + 1)));
    }
    report("a test that never runs: assert what is wrong today instead, and say why", findings);
}

/// Lines of a source file, tests included.
const FILE_LINES_MAX: usize = 600;
/// Files that are longer all the same, with their length. This list only gets shorter.
const LONG_FILES: &[(&str, usize)] = &[];

#[test]
fn files_have_one_reason_to_be_opened() {
    let mut findings = Vec::new();
    for file in files(&["rs"]) {
        let lines = file.text.lines().count();
        let allowed = LONG_FILES.iter().find(|it| it.0 == file.path).map(|it| it.1);
        match allowed {
            None if lines > FILE_LINES_MAX => {
                findings.push(format!("{} has {lines} lines, {FILE_LINES_MAX} may be", file.path));
            }
            Some(most) if lines > most => {
                findings.push(format!("{} has grown from {most} to {lines} lines", file.path));
            }
            Some(_) if lines <= FILE_LINES_MAX => {
                findings.push(format!("{} is short enough now: take it off the list", file.path));
            }
            None | Some(_) => {}
        }
    }
    let names = files(&["rs"]);
    let gone = LONG_FILES.iter().filter(|it| names.iter().all(|file| file.path != it.0));
    findings.extend(gone.map(|it| format!("{} is no more: take it off the list", it.0)));
    report("a file is too long: split it by concept", findings);
}

#[test]
fn text_is_clean() {
    let mut findings = Vec::new();
    let homes = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    let open = concat!("TO", "DO");
    let wrong = concat!("FIX", "ME");
    for file in files(&["rs", "md", "toml", "sql", "c", "yml"]) {
        if file.path.contains("/tests/data/") {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let mut add =
                |what: &str| findings.push(format!("{}:{}: {what}", file.path, number + 1));
            if line.ends_with([' ', '\t', '\r']) {
                add("a blank at the end of the line");
            }
            if line.contains('\t') {
                add("a tab");
            }
            if homes.iter().any(|it| line.contains(it)) && !line.contains("/proc/self") {
                add("a path of one machine");
            }
            if line.contains(open) {
                add("work that was put off: do it, or say in an issue");
            }
            if line
                .split_once(wrong)
                .is_some_and(|(_, rest)| rest.trim_start_matches(':').trim().len() < 20)
            {
                add("say in a sentence what is wrong, and why it stays");
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.push(format!("{}: no new line at the end", file.path));
        }
    }
    report("a text is not clean", findings);
}

#[test]
fn no_file_is_a_drawer() {
    const DRAWERS: &[&str] = &["util", "utils", "common", "helpers", "misc", "prelude"];
    let name = |file: &File| {
        let path = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let drawers = files(&["rs"]).into_iter().filter(|it| DRAWERS.contains(&&*name(it)));
    report("name a file after what is in it", drawers.map(|it| it.path.clone()).collect());
}

/// Lines of a file that explains itself.
const SELF_EVIDENT_LINES_MAX: usize = 3;

#[test]
fn every_module_says_what_it_is_for() {
    let is_silent = |file: &&File| {
        !file.text.starts_with("//!") && file.text.lines().count() > SELF_EVIDENT_LINES_MAX
    };
    let silent = files(&["rs"]).into_iter().filter(is_silent);
    report("a file has no `//!` at its start", silent.map(|it| it.path.clone()).collect());
}
