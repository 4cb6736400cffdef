//! A look at the engine's journals before the engine opens them.
//!
//! The engine reads a journal up to the first frame that makes no sense, cuts the rest off, and goes on: it takes the rest for
//! a write that a crash cut short. In the middle of a journal it is damage, and what would be cut off was acknowledged.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use synckit_core::Result;

use crate::error::{damaged, from_io};

const OPERATION: &str = "open store";
/// What ends a batch, after its checksum.
const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];
/// The end of a batch, and the beginning of the next. Batches are written one after the other: there is none behind one that
/// a crash cut short.
const BETWEEN_BATCHES: [u8; 5] = [b'F', b'J', b'L', 3, 1];

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Whether every journal in the engine's folder is whole, but for a last batch that a crash cut short.
pub(crate) fn check(engine: &Path) -> Result<()> {
    let mut journals = Vec::new();
    for file in fs::read_dir(engine).map_err(from_io(OPERATION, engine))? {
        let path = file.map_err(from_io(OPERATION, engine))?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jnl")) {
            let number: Option<u64> = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            let number = number.ok_or_else(|| damaged(format!("a journal is called {}", path.display())))?;
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    let Some((_, newest)) = journals.pop() else { return Err(damaged("there is no journal")) };
    for (_, path) in journals {
        if !is_whole(&path)? {
            return Err(cut(&path));
        }
    }
    if goes_on_after_garbage(&newest)? { Err(cut(&newest)) } else { Ok(()) }
}

fn cut(path: &Path) -> synckit_core::Error {
    let name = path.file_name().map_or_else(|| path.into(), PathBuf::from);
    damaged(format!("the journal {} is damaged in its middle", name.display()))
}

/// A journal with the number of bytes that are still to be read.
struct Journal {
    reader: BufReader<File>,
    left: u64,
    in_batch: bool,
}

enum Frame {
    Read,
    /// The end of the file, or zeros as they are put there beforehand.
    End,
    Garbage,
}

impl Journal {
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        Ok(Self { reader: BufReader::with_capacity(ZEROS.len(), file), left, in_batch: false })
    }

    fn take<const N: usize>(&mut self) -> std::io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        if self.left < N as u64 {
            return Ok(None);
        }
        self.reader.read_exact(&mut bytes)?;
        self.left -= N as u64;
        Ok(Some(bytes))
    }

    fn skip(&mut self, bytes: u64) -> std::io::Result<bool> {
        let Some(left) = self.left.checked_sub(bytes) else { return Ok(false) };
        self.reader.seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX))?;
        self.left = left;
        Ok(true)
    }

    fn frame(&mut self) -> std::io::Result<Frame> {
        let Some([tag]) = self.take()? else { return Ok(Frame::End) };
        let whole = match tag {
            0 => return Ok(Frame::End),
            1 if !self.in_batch => {
                self.in_batch = true;
                self.skip(4 + 8)?
            }
            2 if self.in_batch => match self.take::<20>()? {
                None => false,
                Some(head) => {
                    let [.., k0, k1, v0, v1, v2, v3, d0, d1, d2, d3] = head;
                    let key = u16::from_le_bytes([k0, k1]);
                    let value = u32::from_le_bytes([v0, v1, v2, v3]);
                    if value != u32::from_le_bytes([d0, d1, d2, d3]) {
                        return Ok(Frame::Garbage);
                    }
                    self.skip(u64::from(key) + u64::from(value))?
                }
            },
            3 if self.in_batch => {
                self.in_batch = false;
                match self.take::<12>()? {
                    None => false,
                    Some(end) if end.ends_with(&TRAILER) => true,
                    Some(_) => return Ok(Frame::Garbage),
                }
            }
            4 if self.in_batch => self.skip(8)?,
            _ => return Ok(Frame::Garbage),
        };
        Ok(if whole { Frame::Read } else { Frame::End })
    }

    /// Whether batches follow each other in what is left.
    fn has_batches(&mut self) -> std::io::Result<bool> {
        let mut window = [0; BETWEEN_BATCHES.len()];
        loop {
            let bytes = self.reader.fill_buf()?;
            let read = bytes.len();
            if read == 0 {
                return Ok(false);
            }
            // Most of a journal that is rarely written to.
            if window == [0; BETWEEN_BATCHES.len()] && Some(bytes) == ZEROS.get(..read) {
                self.reader.consume(read);
                continue;
            }
            for byte in bytes {
                window.rotate_left(1);
                window[BETWEEN_BATCHES.len() - 1] = *byte;
                if window == BETWEEN_BATCHES {
                    return Ok(true);
                }
            }
            self.reader.consume(read);
        }
    }
}

/// Whether there are batches behind the place where a journal stops making sense.
fn goes_on_after_garbage(path: &Path) -> Result<bool> {
    let read = || {
        let mut journal = Journal::open(path)?;
        loop {
            match journal.frame()? {
                Frame::Read => {}
                Frame::End | Frame::Garbage => return journal.has_batches(),
            }
        }
    };
    read().map_err(from_io(OPERATION, path))
}

/// Whether a journal ends after a batch, and not within one.
fn is_whole(path: &Path) -> Result<bool> {
    let read = || {
        let mut journal = Journal::open(path)?;
        loop {
            match journal.frame()? {
                Frame::Read => {}
                Frame::End => return Ok(!journal.in_batch),
                Frame::Garbage => return Ok(false),
            }
        }
    };
    read().map_err(from_io(OPERATION, path))
}
