//! The store's folder: the engine's own, and the mark beside it.
//!
//! The mark tells that the folder is a store, and of which schema; a lock on it keeps other processes out. It also witnesses
//! how far the log certainly reached: the engine drops what it cannot read at the end of its journal, and takes that for a
//! write that a crash cut short.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use synckit_core::{Error, ErrorKind, Hash, Mark, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{IN_USE, damaged, from_io};

const OPERATION: &str = "open store";
const MARK: &str = "synckit.mark";
const ENGINE: &str = "engine";
const MAGIC: &[u8; 16] = b"synckit fjall 1\n";
const SCHEMA: u32 = 1;
/// Magic, schema, whether the store was made to the end, and a checksum. Every schema keeps to it.
const HEADER_BYTES: usize = 16 + 4 + 1 + 8;
/// In a sector of its own: the header is never written again.
const WITNESS_AT: u64 = 4096;
/// Position, hash, and a checksum.
const WITNESS_BYTES: usize = 8 + 32 + 8;

/// A folder that is locked for this value.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    mark: File,
}

/// What there is at a path.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing, or an empty folder.
    Nothing,
    /// A store that was made to the end.
    Store(Folder),
    /// A store whose making was cut short: nothing was ever written to it.
    HalfMade(Folder),
}

impl Folder {
    /// Looks at a path without changing anything there.
    pub(crate) fn find(path: &Path) -> Result<Found> {
        let failed = from_io(OPERATION, path);
        match fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(failed(e)),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(Error::invalid(
                    OPERATION,
                    format!("{} is a file; a fjall store is a folder", path.display()),
                ));
            }
            Ok(_) => {}
        }
        let mark = match File::options().read(true).write(true).open(path.join(MARK)) {
            Ok(mark) => mark,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return if fs::read_dir(path).map_err(&failed)?.next().is_none() {
                    Ok(Found::Nothing)
                } else {
                    Err(Error::invalid(
                        OPERATION,
                        format!(
                            "{} is a folder with other things in it, and not a synckit store",
                            path.display()
                        ),
                    ))
                };
            }
            Err(e) => return Err(failed(e)),
        };
        let folder = Self::locked(path, mark)?;
        Ok(if folder.is_complete()? { Found::Store(folder) } else { Found::HalfMade(folder) })
    }

    fn locked(path: &Path, mark: File) -> Result<Self> {
        match mark.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), mark }),
            Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Busy, OPERATION, IN_USE)),
            Err(TryLockError::Error(e)) => Err(from_io(OPERATION, path)(e)),
        }
    }

    /// Makes the folder and its mark, which says that the store is not made yet.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let failed = from_io("create store", path);
        fs::create_dir_all(path).map_err(&failed)?;
        let mark = File::options().read(true).write(true).create_new(true).open(path.join(MARK));
        let mark = mark.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Error::new(ErrorKind::Busy, "create store", IN_USE),
            _ => failed(e),
        })?;
        let folder = Self::locked(path, mark)?;
        folder.write_at(0, &header(SCHEMA, false)).map_err(&failed)?;
        folder.mark.sync_all().map_err(&failed)?;
        sync_folder(path).map_err(&failed)?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_folder(parent).map_err(&failed)?;
        }
        Ok(folder)
    }

    /// Removes what a making that was cut short has left.
    pub(crate) fn clear(&self) -> Result<()> {
        let failed = from_io("create store", &self.path);
        match fs::remove_dir_all(self.engine()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        self.write_at(0, &header(SCHEMA, false)).map_err(failed)
    }

    /// Says, durably, that the store is made.
    pub(crate) fn complete(&self) -> Result<()> {
        let failed = from_io("create store", &self.path);
        self.write_at(0, &header(SCHEMA, true)).map_err(&failed)?;
        self.mark.sync_all().map_err(failed)
    }

    fn is_complete(&self) -> Result<bool> {
        let failed = from_io(OPERATION, &self.path);
        let mut header = Vec::new();
        self.read_at(0, HEADER_BYTES, &mut header).map_err(failed)?;
        let whole: Option<&[u8; HEADER_BYTES]> = header.as_slice().try_into().ok();
        let Some(whole) = whole else {
            // The first thing that is ever written.
            return if self.engine().exists() { Err(bad_mark("it ends too early")) } else { Ok(false) };
        };
        let (fields, sum) = whole.split_last_chunk::<8>().ok_or_else(|| bad_mark("it ends too early"))?;
        if xxh3_64(fields) != u64::from_be_bytes(*sum) {
            return Err(bad_mark("its checksum is wrong"));
        }
        let Some((&[complete], rest)) = fields.split_last_chunk::<1>().map(|(rest, last)| (last, rest))
        else {
            return Err(bad_mark("it ends too early"));
        };
        let schema = rest.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        if !rest.starts_with(MAGIC) {
            return Err(bad_mark("it is something else"));
        }
        if schema > SCHEMA {
            return Err(Error::new(
                ErrorKind::SchemaTooNew,
                OPERATION,
                format!("the store has schema {schema} and this version knows {SCHEMA}; use a newer synckit"),
            ));
        }
        Ok(complete == 1)
    }

    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join(ENGINE)
    }

    /// The file by which a copy is known.
    pub(crate) fn mark(&self) -> PathBuf {
        self.path.join(MARK)
    }

    /// Notes that the log reaches at least to here. What is noted must be as durable as the store promises.
    pub(crate) fn witness(&self, mark: Mark) -> Result<()> {
        let mut bytes = [mark.position.to_be_bytes().as_slice(), mark.hash.as_bytes()].concat();
        bytes.extend_from_slice(&xxh3_64(&bytes).to_be_bytes());
        self.write_at(WITNESS_AT, &bytes).map_err(from_io("write", &self.path))
    }

    /// What was noted last; the beginning, if that cannot be read.
    pub(crate) fn witnessed(&self) -> Result<Mark> {
        let mut bytes = Vec::new();
        self.read_at(WITNESS_AT, WITNESS_BYTES, &mut bytes).map_err(from_io(OPERATION, &self.path))?;
        let Some((fields, sum)) = bytes.split_last_chunk::<8>() else { return Ok(Mark::START) };
        let Some((position, hash)) = fields.split_first_chunk::<8>() else { return Ok(Mark::START) };
        if bytes.len() != WITNESS_BYTES || xxh3_64(fields) != u64::from_be_bytes(*sum) {
            tracing::warn!(path = %self.path.display(), "how far the log reached cannot be told");
            return Ok(Mark::START);
        }
        Ok(Mark { position: u64::from_be_bytes(*position), hash: Hash::from_slice(hash)? })
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> std::io::Result<()> {
        let mut mark = &self.mark;
        mark.seek(SeekFrom::Start(at))?;
        mark.write_all(bytes)
    }

    fn read_at(&self, at: u64, length: usize, into: &mut Vec<u8>) -> std::io::Result<()> {
        let mut mark = &self.mark;
        mark.seek(SeekFrom::Start(at))?;
        mark.take(length as u64).read_to_end(into).map(drop)
    }
}

fn header(schema: u32, complete: bool) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&schema.to_be_bytes());
    header.push(u8::from(complete));
    header.extend_from_slice(&xxh3_64(&header).to_be_bytes());
    header
}

fn bad_mark(what: &str) -> Error {
    damaged(format!("the file {MARK} is damaged: {what}"))
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere, folders need not be synced, or cannot be.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_before_anything_is_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let folder = Folder::create(&path).unwrap();
        folder.write_at(0, &header(SCHEMA + 1, true)).unwrap();
        drop(folder);
        let error = Folder::find(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
        assert!(error.message().contains("schema 2"), "{error}");
    }

    #[test]
    fn a_mark_that_is_damaged_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        drop(Folder::create(&path).unwrap());
        let good = fs::read(path.join(MARK)).unwrap();
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(path.join(MARK), bad).unwrap();
            assert_eq!(Folder::find(&path).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
        }
        fs::write(path.join(MARK), &good[..HEADER_BYTES - 1]).unwrap();
        assert!(matches!(Folder::find(&path).unwrap(), Found::HalfMade(_)));
    }

    #[test]
    fn a_witness_is_read_back_and_a_damaged_one_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let folder = Folder::create(&path).unwrap();
        assert_eq!(folder.witnessed().unwrap(), Mark::START);
        let mark = Mark { position: 7, hash: Hash::of(b"seven") };
        folder.witness(mark).unwrap();
        assert_eq!(folder.witnessed().unwrap(), mark);
        folder.write_at(WITNESS_AT, &[1]).unwrap();
        assert_eq!(folder.witnessed().unwrap(), Mark::START);
    }
}
