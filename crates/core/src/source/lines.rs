//! From byte offsets to what people call a place: a line and a column.

/// The lines of a source. Made once, asked often.
#[derive(Debug)]
pub struct LineIndex<'s> {
    source: &'s [u8],
    /// Where each line starts; the first is 0.
    starts: Vec<u32>,
}

impl<'s> LineIndex<'s> {
    /// Takes bytes, so that a place can also be named in a source that is not text.
    pub fn new(source: &'s [u8]) -> LineIndex<'s> {
        let breaks = source.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect();
        LineIndex { source, starts }
    }

    /// Returns the line and the column of a byte, both from 1. Columns count characters; a byte
    /// order mark is none. An offset beyond the end is taken as the end.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let offset = offset.min(self.source.len() as u32);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1] as usize;
        let before = &self.source[start..offset as usize];
        let before = before.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(before);
        // Every character has one byte that does not continue another.
        let column = before.iter().filter(|byte| (**byte & 0xC0) != 0x80).count();
        (line as u32, column as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let lines = LineIndex::new("\u{feff}a\r\né→b\n".as_bytes());
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(3), (1, 1), "the byte order mark takes no column");
        assert_eq!(lines.position(6), (2, 1));
        assert_eq!(lines.position(11), (2, 3));
        assert_eq!(lines.position(13), (3, 1));
        assert_eq!(lines.position(9999), (3, 1));
        assert_eq!(LineIndex::new(b"").position(0), (1, 1));
    }
}
