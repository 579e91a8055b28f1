//! One data file in memory, unpacked when it is gzip.

use crate::artifact;
use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The unpacked bytes of a data file and the name that errors quote.
pub struct Source {
    /// Path as the user gave it.
    pub name: String,
    /// Contents after unpacking.
    pub bytes: Vec<u8>,
}

impl Source {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_bytes(path.display().to_string(), artifact::read(path)?)
    }

    /// Takes `bytes`, unpacking them when they start like gzip.
    pub fn from_bytes(name: String, bytes: Vec<u8>) -> Result<Self> {
        if !bytes.starts_with(&GZIP_MAGIC) {
            return Ok(Self { name, bytes });
        }
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(
            |reason| {
                let problem = match reason.kind() {
                    std::io::ErrorKind::UnexpectedEof => "the gz file is truncated".to_string(),
                    _ => format!("the gz file is damaged ({reason})"),
                };
                Error::bad_input(&name, problem, "fetch it again")
            },
        )?;
        Ok(Self { name, bytes: unpacked })
    }

    /// The last part of the path, without a `.gz` ending, in lower case.
    pub fn base_name(&self) -> String {
        let name = self.name.to_lowercase();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".gz").unwrap_or(name).to_string()
    }

    /// Whether the bytes are plain text.
    pub fn is_text(&self) -> bool {
        let start = &self.bytes[..self.bytes.len().min(4096)];
        !start.is_empty()
            && start.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
    }
}
