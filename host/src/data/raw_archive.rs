//! Raw samples of a model as an NPZ archive: what a board reads, whatever layout and units the model
//! had before it was imported.
//!
//! Arrays `raw_0`, `raw_1` and so on hold the raw integers of each input, samples first, in the
//! order of memory; `labels` the right answers where they are known.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy::{is_zip, read_npz};
use super::several::InputPart;
use super::{Dataset, SampleType};
use crate::artifact;
use crate::error::{Error, Result};

/// Most unpacked bytes of an archive.
const MOST_BYTES: u64 = 1 << 29;
/// What to do about an archive that does not fit.
const ADVICE: &str = "write it again with import --samples";

/// The name of an input's array.
fn name_of(input: usize) -> String {
    format!("raw_{input}")
}

/// Writes samples of a model with these inputs; `samples` holds the raw values of all inputs one
/// after the other, sample by sample.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    path: &Path,
    inputs: &[InputPart],
    samples: &[i16],
    labels: Option<&[u16]>,
) -> Result<()> {
    let values: usize = inputs.iter().map(|input| input.elements).sum();
    let count = samples.len() / values.max(1);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let failed = |problem: &dyn std::fmt::Display| {
        Error::bad_input(path.display(), format_args!("cannot be written: {problem}"), "try again")
    };
    let mut add = |name: &str, bytes: &[u8]| -> Result<()> {
        writer.start_file(format!("{name}.npy"), options).map_err(|problem| failed(&problem))?;
        writer.write_all(bytes).map_err(|problem| failed(&problem))
    };
    let mut start = 0;
    for (index, input) in inputs.iter().enumerate() {
        let own = start..start + input.elements;
        start = own.end;
        let raw = samples.chunks_exact(values.max(1)).flat_map(|sample| &sample[own.clone()]);
        let shape = [count, input.elements];
        let bytes = match input.sample_type {
            SampleType::U8 => npy("|u1", &shape, raw.map(|value| value.to_le_bytes()[0])),
            SampleType::I16 => npy("<i2", &shape, raw.flat_map(|value| value.to_le_bytes())),
        };
        add(&name_of(index), &bytes)?;
    }
    if let Some(labels) = labels {
        let bytes = labels.iter().flat_map(|label| label.to_le_bytes());
        add("labels", &npy("<u2", &[labels.len()], bytes))?;
    }
    let archive = writer.finish().map_err(|problem| failed(&problem))?;
    artifact::write_atomically(path, archive.get_ref())
}

/// An array as a `.npy` file, version 1.
fn npy(kind: &str, shape: &[usize], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Magic, version and length take 10 bytes; the whole head is a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(values);
    bytes
}

/// Whether a file is such an archive. Of one that is no archive at all, only the beginning is read.
pub fn is_one(path: &str) -> bool {
    // A pipe would keep whoever opens it waiting.
    if !Path::new(path).is_file() {
        return false;
    }
    let mut head = Vec::new();
    let begin = File::open(path).and_then(|file| file.take(4).read_to_end(&mut head));
    if begin.is_err() || !is_zip(&head) {
        return false;
    }
    let Ok(bytes) = artifact::read_at_most(Path::new(path), MOST_BYTES) else { return false };
    read_npz(&bytes, path, MOST_BYTES)
        .is_ok_and(|arrays| arrays.iter().any(|(name, _)| *name == name_of(0)))
}

impl Dataset {
    /// Opens test samples that are what a model reads already.
    ///
    /// # Errors
    /// The archive is damaged, or holds other samples than the model reads.
    pub fn open_raw(
        path: &str,
        inputs: &[InputPart],
        class_names: Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let names: Vec<String> = (0..inputs.len()).map(name_of).collect();
        // The numbers are raw, whatever columns they stand for.
        let raw = |(input, name): (&InputPart, &String)| InputPart {
            name: name.clone(),
            columns: Vec::new(),
            ..input.clone()
        };
        let inputs: Vec<InputPart> = inputs.iter().zip(&names).map(raw).collect();
        Self::open_arrays(path, &inputs, &names, None, ADVICE.to_string(), class_names, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(elements: usize, sample_type: SampleType) -> InputPart {
        InputPart { name: String::new(), elements, sample_type, columns: Vec::new() }
    }

    #[test]
    fn samples_that_are_written_are_read_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw.npz");
        let inputs = [part(2, SampleType::U8), part(1, SampleType::I16)];
        let samples = [0, 255, -7, 3, 4, 30_000];
        write(&path, &inputs, &samples, Some(&[1, 0])).unwrap();
        let place = path.display().to_string();
        assert!(is_one(&place));
        let names = vec!["a".to_string(), "b".to_string()];
        let mut notes = Vec::new();
        let dataset = Dataset::open_raw(&place, &inputs, names, &mut notes).unwrap();
        assert_eq!(dataset.test.samples, samples);
        assert_eq!(dataset.test.labels, [1, 0]);
        assert!(notes.is_empty());
        // Another model reads other samples.
        let other = [part(3, SampleType::U8)];
        let error = Dataset::open_raw(&place, &other, Vec::new(), &mut notes).unwrap_err();
        assert!(error.to_string().contains("3 values"), "{error}");
        let bytes = [part(2, SampleType::U8), part(1, SampleType::U8)];
        assert!(Dataset::open_raw(&place, &bytes, Vec::new(), &mut notes).is_err());
    }
}
