//! The lines of a log as bytes, read in bounded memory whatever the log contains.

use std::io::{BufRead, Read, Result};

/// The maximum length of a line. No event is longer: it has at most twelve strings and 32 attributes of 1 KiB
/// each.
pub(crate) const MAX_LINE_BYTES: usize = 256 * 1024;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The line without its end.
    Bytes(&'a [u8]),
    /// The line was longer than [`MAX_LINE_BYTES`] and was skipped.
    TooLong,
}

/// Reads the lines of a log.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// The number of lines that were read.
    pub(crate) number: u64,
    /// The number of bytes that were read.
    pub(crate) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a reader.
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line. None at the end of the log. Lines end with LF or CR LF. A byte order mark before the
    /// first line is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 2;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += read as u64;
        let ended = self.line.pop_if(|byte| *byte == b'\n').is_some();
        if ended {
            self.line.pop_if(|byte| *byte == b'\r');
        } else if self.line.len() > MAX_LINE_BYTES {
            self.bytes += self.reader.skip_until(b'\n')? as u64;
        }
        if self.line.len() > MAX_LINE_BYTES {
            return Ok(Some(Line::TooLong));
        }
        let mark = self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf");
        Ok(Some(Line::Bytes(&self.line[if mark { 3 } else { 0 }..])))
    }
}

impl<R: Read> Lines<std::io::BufReader<R>> {
    /// Whether reading the next line can block.
    pub(crate) fn may_block(&self) -> bool {
        self.reader.buffer().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_of_every_kind() {
        let mut lines = Lines::new(&b"\xef\xbb\xbfone\r\n\ntwo\xff\nlast"[..]);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let Line::Bytes(bytes) = line else { panic!("{line:?}") };
            all.push(bytes.to_vec());
        }
        assert_eq!(all, [&b"one"[..], b"", b"two\xff", b"last"]);
        assert_eq!((lines.number, lines.bytes), (4, 18));
    }

    #[test]
    fn skips_lines_that_are_too_long() {
        let exact = vec![b'a'; MAX_LINE_BYTES];
        let mut text = exact.clone();
        text.extend_from_slice(b"\r\n");
        text.extend(vec![b'b'; 3 * MAX_LINE_BYTES]);
        text.extend_from_slice(b"\nend\n");
        let mut lines = Lines::new(&text[..]);
        assert_eq!(lines.next().unwrap(), Some(Line::Bytes(&exact)));
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().unwrap(), Some(Line::Bytes(b"end")));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.bytes, text.len() as u64);
    }
}
