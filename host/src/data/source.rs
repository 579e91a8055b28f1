//! One data file, unpacked when it is gzip. Its beginning says what it is before the whole of it is taken into memory.

use crate::artifact;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes that say what a file is.
const START_BYTES: u64 = 4096;
/// Most unpacked bytes of all files of a data set together.
pub const MOST_BYTES: u64 = 1 << 29;

/// How many bytes may still be read for a data set.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// All of it.
    pub const fn whole() -> Self {
        Self(MOST_BYTES)
    }
}

/// A data file whose beginning has been read.
pub struct Opened {
    /// Path as the user gave it.
    pub name: String,
    /// The first unpacked bytes.
    pub start: Vec<u8>,
    /// Length in bytes, where it is known before all has been unpacked.
    pub length: Option<u64>,
    rest: Box<dyn Read>,
    /// Where the file can be opened again.
    path: Option<PathBuf>,
}

/// The unpacked contents of a data file and the name that errors quote.
pub struct Source {
    /// Path as the user gave it.
    pub name: String,
    /// Contents after unpacking; empty where they are left on disk, to be read in pieces.
    pub bytes: Vec<u8>,
    /// Where contents are that are left on disk, and their length.
    on_disk: Option<(PathBuf, u64)>,
}

impl Opened {
    /// Opens the file at `path` and reads its beginning.
    pub fn open(path: &Path) -> Result<Self> {
        let file = artifact::open(path)?;
        let length = file.metadata().map_err(|reason| Error::reading(path, &reason))?.len();
        let opened = Self::new(path.display().to_string(), file, length)?;
        Ok(Self { path: Some(path.to_path_buf()), ..opened })
    }

    /// Bytes that are in memory, under a name for errors.
    ///
    /// # Errors
    /// They are a damaged gz file.
    pub fn of_bytes(name: String, bytes: Vec<u8>) -> Result<Self> {
        let length = bytes.len() as u64;
        Self::new(name, std::io::Cursor::new(bytes), length)
    }

    fn new(name: String, mut packed: impl Read + 'static, length: u64) -> Result<Self> {
        let mut magic = Vec::new();
        packed
            .by_ref()
            .take(GZIP_MAGIC.len() as u64)
            .read_to_end(&mut magic)
            .map_err(|reason| unreadable(&name, &reason))?;
        let is_packed = magic == GZIP_MAGIC;
        let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(magic).chain(packed);
        let mut rest: Box<dyn Read> = match is_packed {
            true => Box::new(MultiGzDecoder::new(BufReader::new(whole))),
            false => Box::new(whole),
        };
        let mut start = Vec::new();
        rest.by_ref()
            .take(START_BYTES)
            .read_to_end(&mut start)
            .map_err(|reason| unreadable(&name, &reason))?;
        Ok(Self { name, start, length: (!is_packed).then_some(length), rest, path: None })
    }

    /// The whole file, if the data set's budget has room for it.
    pub fn read(self, budget: &mut Budget) -> Result<Source> {
        self.check(budget)?;
        let mut bytes = self.start;
        let left = (budget.0 + 1).saturating_sub(bytes.len() as u64);
        self.rest
            .take(left)
            .read_to_end(&mut bytes)
            .map_err(|reason| unreadable(&self.name, &reason))?;
        let length = bytes.len() as u64;
        budget.0 = budget.0.checked_sub(length).ok_or_else(|| too_large(&self.name))?;
        Ok(Source::of_bytes(self.name, bytes))
    }

    /// The file to be read in pieces, if the data set's budget has room for it. What is small, or cannot be opened again, is taken
    /// into memory.
    pub fn leave(self, budget: &mut Budget) -> Result<Source> {
        /// Files up to so many bytes are taken into memory.
        const SMALL: u64 = 1 << 20;
        let Some(path) = self.path.clone() else { return self.read(budget) };
        self.check(budget)?;
        let mut rest = Cursor::new(self.start).chain(self.rest);
        let mut bytes = Vec::new();
        let unreadable = |reason: std::io::Error| unreadable(&self.name, &reason);
        if self.length.is_none_or(|length| length <= SMALL) {
            rest.by_ref().take(SMALL + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        }
        let mut length = bytes.len() as u64;
        let small = self.length.is_none_or(|length| length <= SMALL) && length <= SMALL;
        if !small {
            length = match self.length {
                Some(length) => length,
                None => {
                    let left = (budget.0 + 1).saturating_sub(length);
                    length
                        + std::io::copy(&mut rest.take(left), &mut std::io::sink())
                            .map_err(unreadable)?
                }
            };
            bytes = Vec::new();
        }
        budget.0 = budget.0.checked_sub(length).ok_or_else(|| too_large(&self.name))?;
        let on_disk = (!small).then_some((path, length));
        Ok(Source { name: self.name, bytes, on_disk })
    }

    fn check(&self, budget: &Budget) -> Result<()> {
        match self.length {
            Some(length) if length > budget.0 => Err(too_large(&self.name)),
            Some(_) | None => Ok(()),
        }
    }

    /// The last part of the path, without a `.gz` ending, in lower case.
    pub fn base_name(&self) -> String {
        let name = self.name.to_lowercase();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".gz").unwrap_or(name).to_string()
    }
}

impl Source {
    /// Contents that are in memory.
    pub const fn of_bytes(name: String, bytes: Vec<u8>) -> Self {
        Self { name, bytes, on_disk: None }
    }

    /// Bytes after unpacking.
    pub fn length(&self) -> u64 {
        self.on_disk.as_ref().map_or(self.bytes.len() as u64, |(_, length)| *length)
    }

    /// The contents from the beginning, wherever they are.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn reader(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match &self.on_disk {
            None => Box::new(self.bytes.as_slice()),
            Some((path, length)) => {
                let opened = Opened::open(path)?;
                Box::new(Cursor::new(opened.start).chain(opened.rest).take(*length))
            }
        })
    }

    /// The error of reading it.
    pub fn unreadable(&self, reason: &std::io::Error) -> Error {
        unreadable(&self.name, reason)
    }

    /// The file `bytes` that is part of the program.
    pub fn bundled(name: &str, bytes: &'static [u8]) -> Result<Self> {
        Opened::new(name.to_string(), bytes, bytes.len() as u64)?.read(&mut Budget::whole())
    }
}

fn too_large(name: &str) -> Error {
    Error::bad_input(
        name,
        format_args!("with this file the data set has more than {MOST_BYTES} bytes, unpacked"),
        "give fewer samples, or keep other files in another folder",
    )
}

/// The error for one of several files whose name does not say to which part it belongs.
pub fn of_unknown_part(name: &str) -> Error {
    Error::bad_input(
        name,
        "the name does not say whether this is training or test data, where others do",
        "put 'train' or 'test' into the file names, or into those of the folders that they are in",
    )
}

fn unreadable(name: &str, reason: &std::io::Error) -> Error {
    let problem = match reason.kind() {
        ErrorKind::UnexpectedEof => "the gz file is truncated".to_string(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the gz file is damaged ({reason})")
        }
        _ => return Error::reading(Path::new(name), reason),
    };
    Error::bad_input(name, problem, "fetch it again")
}
