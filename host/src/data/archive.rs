//! Archives read in place: the files in a tar, packed as gz or not, or in a zip.

use super::source::{MOST_BYTES, Opened};
use crate::error::{Error, Result};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{Cursor, Read};
use zip::CompressionMethod;

/// Most files of an archive.
const MOST_FILES: usize = 20_000;

/// What an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tar.
    Tar,
    /// A zip.
    Zip,
}

/// What archive begins like this; NPZ files, which are zips too, are recognised before.
pub fn kind(start: &[u8]) -> Option<Kind> {
    match () {
        () if start.get(257..262) == Some(b"ustar") => Some(Kind::Tar),
        () if start.starts_with(b"PK\x03\x04") => Some(Kind::Zip),
        () => None,
    }
}

/// The files of an archive with their paths in it, in the order of their paths.
///
/// # Errors
/// It is damaged, or unpacks to more than the limits.
pub fn members(opened: Opened, kind: Kind) -> Result<Vec<(String, Vec<u8>)>> {
    let name = opened.name.clone();
    let broken = |reason: &dyn std::fmt::Display| {
        let problem = format_args!("is not a whole archive: {reason}");
        Error::bad_input(&name, problem, "fetch it again, or unpack it and give the folder")
    };
    let source = opened.read(&mut super::source::Budget::whole())?;
    let mut unpacking = Unpacking { name: &name, left: MOST_BYTES, files: Vec::new() };
    match kind {
        Kind::Tar => {
            let mut archive = tar::Archive::new(Cursor::new(&source.bytes));
            for entry in archive.entries().map_err(|reason| broken(&reason))? {
                let entry = entry.map_err(|reason| broken(&reason))?;
                if entry.header().entry_type().is_file() {
                    let path = entry.path().map_err(|reason| broken(&reason))?;
                    let path = path.to_string_lossy().into_owned();
                    unpacking.add(path, entry)?;
                }
            }
        }
        Kind::Zip => {
            let archive = zip::ZipArchive::new(Cursor::new(&source.bytes));
            let mut archive = archive.map_err(|reason| broken(&reason))?;
            for index in 0..archive.len().min(MOST_FILES + 1) {
                let member = archive.by_index_raw(index).map_err(|reason| broken(&reason))?;
                if !member.is_file() {
                    continue;
                }
                let path = member.name().map_err(|reason| broken(&reason))?.to_string();
                if member.encrypted() {
                    return Err(broken(&format_args!("{path} is encrypted")));
                }
                let (sum, method) = (member.crc32(), member.compression());
                match method {
                    CompressionMethod::Stored => unpacking.add(path, Checked::new(member, sum))?,
                    CompressionMethod::DEFLATE => {
                        let unpacked = DeflateDecoder::new(member);
                        unpacking.add(path, Checked::new(unpacked, sum))?;
                    }
                    other => return Err(broken(&format_args!("{path} is packed by {other}"))),
                }
            }
        }
    }
    unpacking.files.sort();
    Ok(unpacking.files)
}

/// Bytes whose check sum is compared at their end.
struct Checked<R> {
    bytes: R,
    sum: Crc,
    expected: u32,
}

impl<R> Checked<R> {
    fn new(bytes: R, expected: u32) -> Self {
        Self { bytes, sum: Crc::new(), expected }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.sum.update(buffer.get(..count).unwrap_or(&[]));
        if count == 0 && !buffer.is_empty() && self.sum.sum() != self.expected {
            return Err(std::io::Error::other("its check sum differs"));
        }
        Ok(count)
    }
}

struct Unpacking<'a> {
    name: &'a str,
    left: u64,
    files: Vec<(String, Vec<u8>)>,
}

impl Unpacking<'_> {
    fn add(&mut self, path: String, file: impl Read) -> Result<()> {
        // `tar czf data.tar.gz .` begins every path with a point.
        let parts: Vec<&str> = path.split('/').filter(|part| !["", "."].contains(part)).collect();
        let path = parts.join("/");
        let hidden = path.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        if hidden {
            return Ok(());
        }
        if self.files.len() == MOST_FILES {
            let problem = format_args!("holds more than {MOST_FILES} files");
            return Err(Error::bad_input(self.name, problem, "give fewer samples"));
        }
        let mut bytes = Vec::new();
        file.take(self.left + 1).read_to_end(&mut bytes).map_err(|reason| {
            Error::bad_input(
                self.name,
                format_args!("cannot unpack {path}: {reason}"),
                "fetch it again",
            )
        })?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            let problem = format_args!("has more than {MOST_BYTES} bytes, unpacked");
            Error::bad_input(self.name, problem, "give fewer samples")
        })?;
        self.files.push((path, bytes));
        Ok(())
    }
}
