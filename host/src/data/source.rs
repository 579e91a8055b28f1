//! One data file, unpacked when it is gzip. Its beginning says what it is before the whole of it is taken into memory.

use crate::artifact;
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

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
}

/// The unpacked bytes of a data file and the name that errors quote.
pub struct Source {
    /// Path as the user gave it.
    pub name: String,
    /// Contents after unpacking.
    pub bytes: Vec<u8>,
}

impl Opened {
    /// Opens the file at `path` and reads its beginning.
    pub fn open(path: &Path) -> Result<Self> {
        let file = artifact::open(path)?;
        let length = file.metadata().map_err(|reason| Error::reading(path, &reason))?.len();
        Self::new(path.display().to_string(), file, length)
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
        Ok(Self { name, start, length: (!is_packed).then_some(length), rest })
    }

    /// The whole file, if the data set's budget has room for it.
    pub fn read(self, budget: &mut Budget) -> Result<Source> {
        let too_large = || {
            Error::bad_input(
                &self.name,
                format_args!(
                    "with this file the data set has more than {MOST_BYTES} bytes, unpacked"
                ),
                "give fewer samples, or keep other files in another folder",
            )
        };
        if self.length.is_some_and(|length| length > budget.0) {
            return Err(too_large());
        }
        let mut bytes = self.start;
        let left = (budget.0 + 1).saturating_sub(bytes.len() as u64);
        self.rest
            .take(left)
            .read_to_end(&mut bytes)
            .map_err(|reason| unreadable(&self.name, &reason))?;
        budget.0 = budget.0.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        Ok(Source { name: self.name, bytes })
    }

    /// The last part of the path, without a `.gz` ending, in lower case.
    pub fn base_name(&self) -> String {
        let name = self.name.to_lowercase();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".gz").unwrap_or(name).to_string()
    }
}

impl Source {
    /// The file `bytes` that is part of the program.
    pub fn bundled(name: &str, bytes: &'static [u8]) -> Result<Self> {
        Opened::new(name.to_string(), bytes, bytes.len() as u64)?.read(&mut Budget::whole())
    }
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
