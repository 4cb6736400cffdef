//! Lines of a file that may be compressed and may be hostile.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 64 * 1024;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The bytes.
    Whole(&'a [u8]),
    /// It was over the limit, and was passed over.
    TooLong,
}

/// Reads line by line; never holds more than one line, and nothing of one that is over the limit.
pub(crate) struct Lines<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    number: u64,
}

/// Opens a file, or standard input for `-`; gzip is known by its first bytes.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut raw: Box<dyn Read + Send> =
        if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
    let gzip = magic == GZIP_MAGIC;
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(magic).chain(raw));
    if gzip {
        return Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))));
    }
    Ok(Box::new(whole))
}

impl<R: BufRead> Lines<R> {
    /// The lines of a reader, none of them longer than `limit` bytes.
    pub(crate) const fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, line: Vec::new(), number: 0 }
    }

    /// How many lines were begun.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line, none at the end.
    ///
    /// # Errors
    /// The error of the reader; [`number`](Self::number) is the line in which it happened.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.number += 1;
        let (mut too_long, mut begun) = (false, false);
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() && !begun {
                self.number -= 1;
                return Ok(None);
            }
            begun = true;
            let end = available.iter().position(|b| *b == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if self.line.len() + part.len() > self.limit {
                too_long = true;
                self.line = Vec::new();
            }
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(part.len(), |end| end + 1);
            let last = end.is_some() || used == 0;
            self.reader.consume(used);
            if last {
                let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
                return Ok(Some(if too_long { Line::TooLong } else { Line::Whole(line) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::{Line, Lines};

    fn all(text: &[u8], limit: usize, buffer: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text), limit);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(bytes) => Some(bytes.to_vec()),
                Line::TooLong => None,
            });
        }
        assert_eq!(lines.number(), found.len() as u64);
        found
    }

    #[test]
    fn lines_come_whole_whatever_the_buffer() {
        for buffer in [1, 2, 3, 100] {
            let line = |text: &str| Some(text.as_bytes().to_vec());
            assert_eq!(all(b"ab\n\nc\r\nlast", 4, buffer), [line("ab"), line(""), line("c"), line("last")]);
            assert_eq!(all(b"ab\n", 4, buffer), [line("ab")]);
            assert_eq!(all(b"abcde\nfg\nabcdefghi", 4, buffer), [None, line("fg"), None]);
            assert!(all(b"", 4, buffer).is_empty());
        }
    }
}
