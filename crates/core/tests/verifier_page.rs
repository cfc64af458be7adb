//! The table of properties in the documentation is the one that the code has.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the page is a file")]

use std::fmt::Write as _;
use std::path::Path;

use surefoot_core::source::codes;
use surefoot_core::verify::Property;

const BEGIN: &str = "<!-- properties:begin -->\n";
const END: &str = "<!-- properties:end -->";

#[test]
fn the_page_lists_every_property() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verifier.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{}{END}{after}", written())).unwrap();
    } else {
        assert!(table == written(), "run this test with UPDATE=1 to write {}", file.display());
    }
}

fn written() -> String {
    let mut table = String::from("| code | what is proved | what is reported |\n|---|---|---|\n");
    for property in Property::all() {
        let (code, title) = (property.code(), property.title());
        let (code, reported) = match codes::find(code) {
            Some(entry) => (format!("[{code}](errors/{code}.md)"), entry.title),
            None => (code.to_owned(), ""),
        };
        writeln!(table, "| {code} | {title} | {reported} |").unwrap();
    }
    table
}
