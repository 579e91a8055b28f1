//! By what a data set is known again: the SHA-256 of its files' contents, wherever they lie.

use super::format::Part;
use super::source::Source;
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::{BufRead, BufReader};

/// The digest of files in their order, unpacked, each with its part and its length; 64 lower-case hex digits.
///
/// # Errors
/// A file cannot be read.
pub fn of<'a>(files: impl Iterator<Item = (Part, &'a Source)>) -> Result<String> {
    let mut digest = Sha256::new();
    for (part, source) in files {
        let part = match part {
            Part::Train => 0,
            Part::Test => 1,
            Part::Unknown => 2,
            Part::Validation => 3,
        };
        digest.update([part]);
        digest.update(source.length().to_le_bytes());
        let mut reader = BufReader::with_capacity(1 << 16, source.reader()?);
        loop {
            let bytes = reader.fill_buf().map_err(|reason| source.unreadable(&reason))?;
            if bytes.is_empty() {
                break;
            }
            digest.update(bytes);
            let count = bytes.len();
            reader.consume(count);
        }
    }
    Ok(to_hex(&digest.finalize()))
}

/// Bytes as lower-case hex digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that [`to_hex`] has written; none for what it has not.
pub fn from_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(std::str::from_utf8);
    let byte = |pair: Result<&str, _>| u8::from_str_radix(pair.ok()?, 16).ok();
    pairs.map(byte).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_borders_and_parts_count() {
        let source = |bytes: &[u8]| Source::of_bytes("t".into(), bytes.to_vec());
        let one = |part, bytes: &[u8]| of([(part, &source(bytes))].into_iter()).unwrap();
        // sha256 of 00, eight bytes of length 3, "abc", by Python's hashlib.
        assert_eq!(
            one(Part::Train, b"abc"),
            "7e47cb99d8e4af79b92f2b180f4c9324720a2d16aa3b2e4aaed908e654902595"
        );
        assert_ne!(one(Part::Train, b"abc"), one(Part::Test, b"abc"));
        let two = |first: &[u8], second: &[u8]| {
            let (first, second) = (source(first), source(second));
            of([(Part::Train, &first), (Part::Test, &second)].into_iter()).unwrap()
        };
        assert_eq!(to_hex(&from_hex("00ff7a")), "00ff7a");
        assert!(from_hex("0x").is_empty() && from_hex("é").is_empty());
        assert_ne!(two(b"ab", b"c"), two(b"a", b"bc"));
    }
}
