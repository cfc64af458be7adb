//! From byte offsets to what people call a place: a line and a column.

/// Bytes between two places where the characters are counted beforehand: a generated definition
/// may be one line of many megabytes, and every task of it asks for its column.
const BLOCK_BYTES: usize = 1024;

/// The lines of a source. Made once, asked often.
#[derive(Debug)]
pub struct LineIndex<'s> {
    source: &'s [u8],
    /// Where each line starts; the first is 0.
    starts: Vec<u32>,
    /// How many characters begin before each block.
    characters: Vec<u32>,
}

impl<'s> LineIndex<'s> {
    /// Takes bytes, so that a place can also be named in a source that is not text.
    pub fn new(source: &'s [u8]) -> LineIndex<'s> {
        let breaks = source.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect();
        let mut characters = vec![0];
        for block in source.chunks(BLOCK_BYTES) {
            characters.push(characters[characters.len() - 1] + count(block));
        }
        LineIndex { source, starts, characters }
    }

    /// Returns the line and the column of a byte, both from 1. Columns count characters; a byte
    /// order mark is none. An offset beyond the end is taken as the end.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let offset = offset.min(self.source.len() as u32);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1] as usize;
        let marks = self.source[start..offset as usize].starts_with(b"\xEF\xBB\xBF");
        let column = self.before(offset as usize) - self.before(start) - u32::from(marks);
        (line as u32, column + 1)
    }

    /// Returns how many characters begin before a byte.
    fn before(&self, offset: usize) -> u32 {
        let block = offset / BLOCK_BYTES;
        self.characters[block] + count(&self.source[block * BLOCK_BYTES..offset])
    }
}

/// Counts the characters that begin in a text: each has one byte that does not continue another.
fn count(text: &[u8]) -> u32 {
    text.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() as u32
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

    #[test]
    fn a_long_line_is_counted_like_a_short_one() {
        let text = format!("first\n{}", "aé→".repeat(BLOCK_BYTES));
        let lines = LineIndex::new(text.as_bytes());
        for (number, (offset, _)) in text[6..].char_indices().enumerate() {
            assert_eq!(lines.position(6 + offset as u32), (2, number as u32 + 1));
        }
        assert_eq!(lines.position(u32::MAX), (2, 3 * BLOCK_BYTES as u32 + 1));
    }
}
