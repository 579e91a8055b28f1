//! The samples that a run keeps for the quantizer, as one safetensors file.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::artifact;
use crate::data::{SampleShape, Split};
use crate::error::{Error, Result};

/// Most training samples that calibration looks at.
pub const CALIBRATION_SAMPLES: usize = 512;
/// Decides which samples are drawn, whatever the seed of the training.
const SEED: u64 = 0;
/// Most bytes of a file: so many samples of the largest shape of a table, with room to spare.
const MOST_BYTES: u64 = 1 << 28;
const SAMPLES: &str = "samples";
const LABELS: &str = "labels";

/// The samples of a training split that calibration looks at, drawn from all classes.
pub fn draw(train: &Split) -> Split {
    train.drawn(CALIBRATION_SAMPLES, SEED)
}

/// Writes samples of a shape and their classes.
pub(super) fn write(path: &Path, split: &Split, shape: SampleShape) -> Result<()> {
    let failed = |reason: &dyn std::fmt::Display| {
        Error::check_failed(path.display(), reason, "please report this")
    };
    let samples: Vec<u8> = split.samples.iter().flat_map(|value| value.to_le_bytes()).collect();
    let labels: Vec<u8> = split.labels.iter().flat_map(|value| value.to_le_bytes()).collect();
    let [height, width, channels] = shape.into();
    let sizes = vec![split.len(), height, width, channels];
    let view = |dtype, sizes, bytes| {
        TensorView::new(dtype, sizes, bytes).map_err(|reason| failed(&reason))
    };
    let tensors = [
        (SAMPLES, view(Dtype::I16, sizes, &samples)?),
        (LABELS, view(Dtype::U16, vec![split.len()], &labels)?),
    ];
    let bytes = serialize(tensors, None).map_err(|reason| failed(&reason))?;
    artifact::write_atomically(path, &bytes)
}

/// Reads what [`write`] has written.
///
/// # Errors
/// The file cannot be read, or its samples have another shape.
pub(super) fn read(path: &Path, shape: SampleShape) -> Result<Split> {
    let bytes = artifact::read_at_most(path, MOST_BYTES)?;
    let broken = |reason: &dyn std::fmt::Display| {
        let problem = format_args!("holds no calibration samples: {reason}");
        Error::bad_input(path.display(), problem, "train again with another --out")
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|reason| broken(&reason))?;
    let samples = tensors.tensor(SAMPLES).map_err(|reason| broken(&reason))?;
    let labels = tensors.tensor(LABELS).map_err(|reason| broken(&reason))?;
    let count = labels.shape().first().copied().unwrap_or(0);
    let [height, width, channels] = shape.into();
    if samples.dtype() != Dtype::I16
        || labels.dtype() != Dtype::U16
        || labels.shape().len() != 1
        || samples.shape() != [count, height, width, channels]
    {
        return Err(broken(&format_args!("they are not samples of {shape}")));
    }
    let (samples, labels) = (samples.data().as_chunks::<2>().0, labels.data().as_chunks::<2>().0);
    Ok(Split {
        samples: samples.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect(),
        labels: labels.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect(),
        values: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_they_were_and_only_for_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration");
        let samples = vec![-32768, 32767, 0, -1, 5, 6];
        let split = Split { samples, labels: vec![0, 999, 3], values: Vec::new() };
        write(&path, &split, SampleShape::new(1, 2, 1)).unwrap();
        assert_eq!(read(&path, SampleShape::new(1, 2, 1)).unwrap(), split);
        let text = read(&path, SampleShape::new(2, 1, 1)).unwrap_err().to_string();
        assert!(text.contains("calibration") && text.contains("2x1x1"), "{text}");
    }
}
