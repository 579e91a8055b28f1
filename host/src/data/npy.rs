//! Arrays as NumPy writes them: `.npy` files, and `.npz` archives of several with names.
//!
//! A file may come from anybody. Every length is compared with the bytes that are there before
//! memory is taken, and an archive is unpacked up to a stated limit.

use std::io::{Cursor, Read};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most bytes of a header; NumPy itself refuses longer ones by default.
const MOST_HEADER_BYTES: usize = 10_000;
/// Most arrays of an archive.
const MOST_ARRAYS: usize = 1_000;
/// Most indexes of an array.
const MOST_DIMENSIONS: usize = 32;

/// What one value of an array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// A truth value, one byte.
    Bool,
    /// A signed integer of so many bytes.
    Signed(usize),
    /// An unsigned integer of so many bytes.
    Unsigned(usize),
    /// A float of so many bytes: 2, 4 or 8.
    Float(usize),
}

impl NumberType {
    const fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Signed(bytes) | Self::Unsigned(bytes) | Self::Float(bytes) => bytes,
        }
    }

    /// Whether values are whole numbers.
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float(_))
    }
}

/// An array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of its indexes, the first slowest. None for a single number.
    pub shape: Vec<usize>,
    /// What one value is.
    pub number_type: NumberType,
    /// Little-endian values.
    bytes: Vec<u8>,
}

impl Array {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.number_type.bytes()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// An array of doubles; the product of `shape` is the number of values.
    pub fn of(shape: Vec<usize>, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { shape, number_type: NumberType::Float(8), bytes }
    }

    /// All values, the last index fastest. Every integer below 2^53 is exact.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let number_type = self.number_type;
        self.bytes.chunks_exact(number_type.bytes()).map(move |bytes| value(number_type, bytes))
    }
}

/// A little-endian value.
fn value(number_type: NumberType, bytes: &[u8]) -> f64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    match number_type {
        NumberType::Bool | NumberType::Unsigned(_) => word as f64,
        NumberType::Signed(bytes) => {
            let unused = 64 - 8 * bytes as u32;
            ((word << unused).cast_signed() >> unused) as f64
        }
        NumberType::Float(2) => half::f16::from_bits(word as u16).to_f64(),
        NumberType::Float(4) => f64::from(f32::from_bits(word as u32)),
        NumberType::Float(_) => f64::from_bits(word),
    }
}

/// Whether bytes begin like a `.npy` file.
pub fn is_npy(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Whether bytes begin like a `.npz` file, or another zip archive.
pub fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04")
}

/// Reads a `.npy` file; `place` is what errors quote.
///
/// # Errors
/// It is something else, holds something other than numbers, or is shorter than it says.
pub fn read_npy(bytes: &[u8], place: &str) -> Result<Array> {
    let broken = |problem: &str| Error::bad_input(place, problem, "save it again with numpy.save");
    let truncated = || broken("the file is truncated");
    if !is_npy(bytes) {
        return Err(broken("is not a NumPy array"));
    }
    let version = *bytes.get(MAGIC.len()).ok_or_else(truncated)?;
    let length_bytes = if version == 1 { 2 } else { 4 };
    let start = MAGIC.len() + 2;
    let length = bytes.get(start..start + length_bytes).ok_or_else(truncated)?;
    let length = length.iter().rev().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
    if length > MOST_HEADER_BYTES {
        return Err(broken("its header is too long"));
    }
    let start = start + length_bytes;
    let header = bytes.get(start..start + length).ok_or_else(truncated)?;
    let header = std::str::from_utf8(header).map_err(|_| broken("its header is not text"))?;
    let header = Header::parse(header).ok_or_else(|| {
        Error::bad_input(
            place,
            "holds something other than a plain array of numbers",
            "save it as integers or floats, not as objects, texts or records",
        )
    })?;
    let count = header.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let size = count.and_then(|count| count.checked_mul(header.number_type.bytes()));
    let data = size.and_then(|size| bytes.get(start + length..)?.get(..size));
    let data = data.ok_or_else(truncated)?;
    Ok(header.array(data))
}

/// What the header says, a Python dictionary.
struct Header {
    number_type: NumberType,
    big_endian: bool,
    first_fastest: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| {
            let at = text.find(&format!("'{key}'"))?;
            Some(text[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
        };
        let (kind, _) = after("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let (order, kind) = kind.split_at_checked(1)?;
        let (letter, bytes) = kind.split_at_checked(1)?;
        let bytes: usize = bytes.parse().ok()?;
        let number_type = match (letter, bytes) {
            ("b", 1) => NumberType::Bool,
            ("i", 1 | 2 | 4 | 8) => NumberType::Signed(bytes),
            ("u", 1 | 2 | 4 | 8) => NumberType::Unsigned(bytes),
            ("f", 2 | 4 | 8) => NumberType::Float(bytes),
            _ => return None,
        };
        if !["<", ">", "|", "="].contains(&order) {
            return None;
        }
        let (shape, _) = after("shape")?.strip_prefix('(')?.split_once(')')?;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Option<Vec<usize>> =
            sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect();
        Some(Self {
            number_type,
            big_endian: order == ">",
            first_fastest: after("fortran_order")?.starts_with("True"),
            shape: shape.filter(|shape| shape.len() <= MOST_DIMENSIONS)?,
        })
    }

    /// The array of these values, brought into one order.
    fn array(self, data: &[u8]) -> Array {
        let size = self.number_type.bytes();
        let mut bytes = data.to_vec();
        if self.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self.first_fastest && self.shape.len() > 1 {
            bytes = last_fastest(&bytes, size, &self.shape);
        }
        Array { shape: self.shape, number_type: self.number_type, bytes }
    }
}

/// Values whose first index is the fastest, with the last index the fastest.
fn last_fastest(bytes: &[u8], size: usize, shape: &[usize]) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &length in shape {
        strides.push(stride);
        stride *= length;
    }
    let mut index = vec![0; shape.len()];
    let mut turned = Vec::with_capacity(bytes.len());
    for _ in 0..bytes.len() / size {
        let from: usize = index.iter().zip(&strides).map(|(index, stride)| index * stride).sum();
        turned.extend_from_slice(&bytes[from * size..(from + 1) * size]);
        for (index, &length) in index.iter_mut().zip(shape).rev() {
            *index += 1;
            if *index < length {
                break;
            }
            *index = 0;
        }
    }
    turned
}

/// Reads the arrays of a `.npz` file with their names, in the archive's order. Together they may
/// have `most` bytes, unpacked.
///
/// # Errors
/// It is something else, damaged, or unpacks to more.
pub fn read_npz(bytes: &[u8], place: &str, most: u64) -> Result<Vec<(String, Array)>> {
    let broken = |problem: &dyn std::fmt::Display| {
        let problem = format!("is not a whole .npz archive: {problem}");
        Error::bad_input(place, problem, "save it again with numpy.savez")
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|problem| broken(&problem))?;
    if archive.len() > MOST_ARRAYS {
        return Err(broken(&format_args!("it has more than {MOST_ARRAYS} members")));
    }
    let mut arrays = Vec::new();
    let mut left = most;
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(|problem| broken(&problem))?;
        let name = member.name().map_err(|problem| broken(&problem))?.to_string();
        let Some(key) = name.strip_suffix(".npy").map(str::to_string) else { continue };
        let mut unpacked = Vec::new();
        let size = match member.compression() {
            CompressionMethod::Stored => member.take(left + 1).read_to_end(&mut unpacked),
            CompressionMethod::DEFLATE => {
                DeflateDecoder::new(member).take(left + 1).read_to_end(&mut unpacked)
            }
            other => return Err(broken(&format_args!("{name} is packed by {other}"))),
        };
        let size = size.map_err(|problem| broken(&problem))? as u64;
        left = left.checked_sub(size).ok_or_else(|| {
            let problem = format_args!("unpacks to more than {most} bytes");
            Error::bad_input(place, problem, "give fewer samples")
        })?;
        arrays.push((key, read_npy(&unpacked, &format!("{place}, {name}"))?));
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(
        descr: &str,
        fortran: &str,
        shape: &str,
        data: &[u8],
    ) -> Result<(Vec<usize>, Vec<f64>)> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let array = read_npy(&file(&header, data), "test.npy")?;
        Ok((array.shape.clone(), array.values().collect()))
    }

    #[test]
    fn numbers_of_all_types_come_back() {
        for (descr, data, value) in [
            ("|b1", &[1u8][..], 1.0),
            ("|i1", &[0x80], -128.0),
            ("|u1", &[0x80], 128.0),
            ("<i2", &[0xFE, 0xFF], -2.0),
            (">i2", &[0xFF, 0xFE], -2.0),
            ("<f2", &[0x00, 0xC0], -2.0),
            ("<f4", &1.5f32.to_le_bytes(), 1.5),
            (">f8", &(-0.1f64).to_be_bytes(), -0.1),
            ("<i8", &(-5i64).to_le_bytes(), -5.0),
            ("<u4", &u32::MAX.to_le_bytes(), 4_294_967_295.0),
        ] {
            assert_eq!(read(descr, "False", "(1,)", data).unwrap(), (vec![1], vec![value]));
        }
        assert_eq!(read("|u1", "False", "()", &[7]).unwrap(), (vec![], vec![7.0]));
    }

    #[test]
    fn both_orders_of_indexes_are_read() {
        let data = [0, 1, 2, 3, 4, 5];
        let rows = read("|u1", "False", "(2, 3)", &data).unwrap().1;
        assert_eq!(rows, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let columns = read("|u1", "True", "(2, 3)", &data).unwrap().1;
        assert_eq!(columns, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }

    #[test]
    fn what_is_no_array_of_numbers_or_too_short_is_refused() {
        for (descr, shape, data) in [
            ("|O", "(1,)", &[0u8; 8][..]),
            ("<U3", "(1,)", &[0; 12]),
            ("<i4", "(2,)", &[0; 7]),
            ("<f8", "(4294967295, 4294967295, 4294967295)", &[0; 8]),
            ("<f8", "(-1,)", &[0; 8]),
        ] {
            let error = read(descr, "False", shape, data).unwrap_err().to_string();
            assert!(error.starts_with("test.npy: "), "{error}");
        }
        let whole = file("{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", &[0; 4]);
        for end in 0..whole.len() {
            assert!(read_npy(&whole[..end], "test.npy").is_err(), "{end}");
        }
    }

    #[test]
    fn an_archive_gives_its_arrays_by_name_up_to_a_limit() {
        // Python's zipfile with ZIP_DEFLATED: inputs.npy and labels.npy, both [3, 4], and a note.
        let bytes = include_bytes!("npy/deflated.npz");
        let arrays = read_npz(bytes, "test.npz", 1_000).unwrap();
        let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["inputs", "labels"]);
        assert_eq!(arrays[1].1.values().collect::<Vec<_>>(), [3.0, 4.0]);
        let error = read_npz(bytes, "test.npz", 100).unwrap_err().to_string();
        assert!(error.contains("more than 100 bytes"), "{error}");
        for end in 0..bytes.len() {
            assert!(read_npz(&bytes[..end], "test.npz", 1_000).is_err(), "{end}");
        }
    }
}
