//! Places in the data of a run that an expression reads.

use std::fmt;

/// A root of the scope and the fields below it.
///
/// ```
/// use surefoot_core::verify::guard::Path;
///
/// assert_eq!(Path::new("input", &["order", "total"]).to_string(), "input.order.total");
/// assert_eq!(Path::new("input", &["unit price"]).to_string(), "input[\"unit price\"]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    pub root: String,
    pub segments: Vec<String>,
}

impl Path {
    pub fn new(root: &str, segments: &[&str]) -> Path {
        let segments = segments.iter().map(|it| (*it).to_owned()).collect();
        Path { root: root.to_owned(), segments }
    }

    /// Returns the path that this one is a field of.
    pub fn parent(&self) -> Option<Path> {
        let (_, above) = self.segments.split_last()?;
        Some(Path { root: self.root.clone(), segments: above.to_vec() })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.segments.iter().try_for_each(|segment| {
            if is_identifier(segment) {
                write!(f, ".{segment}")
            } else {
                write!(f, "[{segment:?}]")
            }
        })
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}
