//! CIFAR-10 binary batches: records of one label byte and three 32×32 planes (red, green, blue).

use super::source::Source;
use super::{SampleShape, Split};
use crate::error::{Error, Result};

/// Shape of every image.
pub const SHAPE: SampleShape = SampleShape::new(32, 32, 3);
/// File with one class name per line.
pub const CLASS_NAMES_FILE: &str = "batches.meta.txt";
/// Class names where no such file is present.
pub const CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const RECORD: usize = 1 + 3072;
const PLANE: usize = 1024;

/// Whether a file of `length` bytes can be CIFAR-10 records: it has whole ones. That it is binary is known.
pub const fn recognise(length: u64) -> bool {
    length > 0 && length.is_multiple_of(RECORD as u64)
}

/// Appends the records of one file to `split`, planes turned into pixels.
pub fn append(source: &Source, split: &mut Split) -> Result<()> {
    split.samples.reserve_exact(source.bytes.len());
    for (row, record) in source.bytes.chunks_exact(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= CLASS_NAMES.len() {
            return Err(Error::bad_input(
                &source.name,
                format_args!("record {row} has label {label}, but CIFAR-10 has 10 classes"),
                "check that this is a CIFAR-10 binary batch",
            ));
        }
        split.labels.push(u16::from(label));
        for pixel in 0..PLANE {
            for channel in 0..SHAPE.channels {
                split.samples.push(i16::from(planes[channel * PLANE + pixel]));
            }
        }
    }
    Ok(())
}
