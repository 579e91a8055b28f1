//! The first 32 bytes of a model file and the division of the rest.

use core::ops::Range;

use super::{LoadError, Reason};
use crate::checksum::Crc32;

/// The file's first four bytes, `HERO`.
pub const MAGIC: [u8; 4] = *b"HERO";
/// Version of everything that follows the magic. A change to the header, to the meaning or order of any described
/// field, to an operator's arithmetic or to a weight layout obliges a new one; a further variant of an enum does not.
pub const FORMAT_VERSION: u16 = 3;
/// Length of the header.
pub const HEADER_BYTES: usize = 32;
/// Where the file's checksum is, which is also the model's digest.
pub const CHECKSUM_PLACE: Range<usize> = HEADER_BYTES - 4..HEADER_BYTES;
/// The parameters begin at a multiple of this, counted from the start of the file.
pub const ALIGNMENT: usize = 16;

/// The header's fields; all integers are little-endian.
///
/// | bytes | field |
/// |---|---|
/// | 0..4 | magic |
/// | 4..6 | format version |
/// | 6..8 | zero |
/// | 8..12 | length of the whole file |
/// | 12..16 | length of the description, which begins at 32 |
/// | 16..20 | where the parameters begin |
/// | 20..24 | length of the parameters |
/// | 24..28 | length of the notes, which end the file |
/// | 28..32 | CRC-32 of bytes 0..28 and 32..length |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole file in bytes.
    pub length: u32,
    /// Length of the description in bytes.
    pub description_bytes: u32,
    /// Where the parameters begin.
    pub parameters_offset: u32,
    /// Length of the parameters in bytes.
    pub parameters_bytes: u32,
    /// Length of the notes in bytes.
    pub notes_bytes: u32,
    /// CRC-32 over everything else.
    pub checksum: u32,
}

impl Header {
    /// The header as it stands in the file.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [m0, m1, m2, m3] = MAGIC;
        let [v0, v1] = FORMAT_VERSION.to_le_bytes();
        let mut bytes = [0; HEADER_BYTES];
        let fields = [
            [m0, m1, m2, m3],
            [v0, v1, 0, 0],
            self.length.to_le_bytes(),
            self.description_bytes.to_le_bytes(),
            self.parameters_offset.to_le_bytes(),
            self.parameters_bytes.to_le_bytes(),
            self.notes_bytes.to_le_bytes(),
            self.checksum.to_le_bytes(),
        ];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            for (byte, value) in place.iter_mut().zip(field) {
                *byte = value;
            }
        }
        bytes
    }

    /// The checksum that belongs into a file, whatever stands in its checksum field. `None` if it is shorter than a header.
    pub fn checksum_of(file: &[u8]) -> Option<u32> {
        let (header, body) = file.split_at_checked(HEADER_BYTES)?;
        let (covered, _) = header.split_at_checked(CHECKSUM_PLACE.start)?;
        Some(Crc32::new().update(covered).update(body).finish())
    }
}

/// The parts of a file behind the header.
pub(super) struct Parts<'a> {
    pub description: &'a [u8],
    pub parameters: &'a [u8],
    pub notes: &'a [u8],
}

fn word(bytes: &[u8], index: usize) -> Option<[u8; 4]> {
    bytes.chunks_exact(4).nth(index)?.try_into().ok()
}

/// The format version of a model file. `None` if it does not begin like one.
pub fn version_of(file: &[u8]) -> Option<u16> {
    let [v0, v1, _, _] = word(file, 1)?;
    (word(file, 0)? == MAGIC).then_some(u16::from_le_bytes([v0, v1]))
}

/// The length of the model file that begins a flash region.
///
/// # Errors
/// [`Reason::Magic`], [`Reason::Version`] or [`Reason::Length`] if no model file begins here or it does not end within
/// the region. The rest is checked by [`Model::load`](super::Model::load).
pub fn file_bytes(region: &[u8]) -> Result<usize, LoadError> {
    let magic = word(region, 0).ok_or(LoadError::model(Reason::Length))?;
    if magic != MAGIC {
        return Err(LoadError::model(Reason::Magic));
    }
    let [v0, v1, r0, r1] = word(region, 1).ok_or(LoadError::model(Reason::Length))?;
    if u16::from_le_bytes([v0, v1]) != FORMAT_VERSION || [r0, r1] != [0, 0] {
        return Err(LoadError::model(Reason::Version));
    }
    let length = word(region, 2).map(u32::from_le_bytes);
    match length.map(|length| length as usize) {
        Some(length) if length >= HEADER_BYTES && length <= region.len() => Ok(length),
        _ => Err(LoadError::model(Reason::Length)),
    }
}

/// Checks the header and divides the file.
pub(super) fn split(file: &[u8]) -> Result<(Header, Parts<'_>), LoadError> {
    if file_bytes(file)? != file.len() {
        return Err(LoadError::model(Reason::Length));
    }
    let bad = LoadError::model(Reason::Length);
    let field = |index| word(file, index).map(u32::from_le_bytes).ok_or(bad);
    let header = Header {
        length: field(2)?,
        description_bytes: field(3)?,
        parameters_offset: field(4)?,
        parameters_bytes: field(5)?,
        notes_bytes: field(6)?,
        checksum: field(7)?,
    };
    if Header::checksum_of(file) != Some(header.checksum) {
        return Err(LoadError::model(Reason::Checksum));
    }
    let start = header.parameters_offset as usize;
    let description_end = HEADER_BYTES.saturating_add(header.description_bytes as usize);
    let parameters_end = start.saturating_add(header.parameters_bytes as usize);
    let well_formed = start.is_multiple_of(ALIGNMENT)
        && description_end <= start
        && parameters_end.saturating_add(header.notes_bytes as usize) == file.len();
    let parts = || {
        let (front, notes) = file.split_at_checked(parameters_end)?;
        let (front, parameters) = front.split_at_checked(start)?;
        let (front, padding) = front.split_at_checked(description_end)?;
        let (_, description) = front.split_at_checked(HEADER_BYTES)?;
        let clean = padding.len() < ALIGNMENT && padding.iter().all(|&byte| byte == 0);
        clean.then_some(Parts { description, parameters, notes })
    };
    match parts() {
        Some(parts) if well_formed => Ok((header, parts)),
        _ => Err(LoadError::model(Reason::Sections)),
    }
}
