//! Samples of a network with several inputs: an NPZ archive with an array for each.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::npy::{Array, read_npz};
use super::{Column, Dataset, SampleShape, SampleType, Split, digest};
use crate::artifact;
use crate::error::{Error, Result};

/// Most unpacked bytes of an archive.
const MOST_BYTES: u64 = 1 << 29;
/// The arrays of right answers that are looked for where none is named.
const LABELS: [&str; 3] = ["labels", "y", "target"];

/// An input, as an archive is converted for it.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPart {
    /// Its name, which its array may have; else that is `inputs_0`, `inputs_1` and so on.
    pub name: String,
    /// Values of its part of a sample.
    pub elements: usize,
    /// The integer type of its raw values.
    pub sample_type: SampleType,
    /// What raw values stand for, one column a value or a channel; none where they are all there is.
    pub columns: Vec<Column>,
}

impl Dataset {
    /// Opens test samples for a network with several inputs, each sample the raw values of one input behind those of the other.
    /// `label` names the array of the right answers, whole numbers from 0.
    ///
    /// # Errors
    /// The file is no NPZ archive, lacks an array, or its numbers are not what the inputs read.
    pub fn open_several(
        path: &str,
        inputs: &[InputPart],
        label: Option<&str>,
        class_names: Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let names: Vec<String> = (0..inputs.len()).map(|index| format!("inputs_{index}")).collect();
        let advice = format!("give an NPZ archive with arrays {}", names.join(", "));
        if !Path::new(path).is_file() {
            let problem = format!("is no file, and the model has {} inputs", inputs.len());
            return Err(Error::bad_input(path, problem, advice));
        }
        Self::open_arrays(path, inputs, &names, label, advice, class_names, notes)
    }

    /// The same of an archive that has the input's array under the first of its two names that is there.
    pub(super) fn open_arrays(
        path: &str,
        inputs: &[InputPart],
        names: &[String],
        label: Option<&str>,
        advice: String,
        class_names: Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let bytes = artifact::read_at_most(Path::new(path), MOST_BYTES)?;
        let archive = Archive { path, arrays: read_npz(&bytes, path, MOST_BYTES)?, advice };
        let mut parts: Vec<Vec<i16>> = Vec::with_capacity(inputs.len());
        let mut samples = None;
        for (input, name) in inputs.iter().zip(names) {
            let array = archive.array(&[name.as_str(), input.name.as_str()])?;
            let count = array.shape.first().copied().unwrap_or(0);
            if count == 0 || Some(array.len()) != count.checked_mul(input.elements) {
                let problem = format!(
                    "has '{name}' of shape {:?}, but the input reads {} values a sample",
                    array.shape, input.elements
                );
                return Err(archive.refuse(problem));
            }
            if *samples.get_or_insert(count) != count {
                return Err(archive.refuse("has arrays with different numbers of samples".into()));
            }
            parts.push(archive.raw(array, input, name)?);
        }
        let count = samples.unwrap_or(0);
        let values: usize = inputs.iter().map(|input| input.elements).sum();
        let mut joined = Vec::with_capacity(count * values);
        for sample in 0..count {
            for (part, input) in parts.iter().zip(inputs) {
                joined.extend_from_slice(&part[sample * input.elements..][..input.elements]);
            }
        }
        let labels = archive.labels(label, count)?;
        if labels.is_none() && !class_names.is_empty() {
            let note = "has no right answers (array labels), so that accuracies mean nothing";
            notes.push(format!("note: {path} {note}"));
        }
        let shape = SampleShape::new(1, 1, values);
        let mut dataset = Self::new(path, "npz", shape, SampleType::I16, class_names);
        dataset.digest = digest::to_hex(&Sha256::digest(&bytes));
        let labels = labels.unwrap_or_else(|| vec![0; count]);
        dataset.test = Split { samples: joined, labels, values: Vec::new() };
        Ok(dataset)
    }
}

struct Archive<'a> {
    path: &'a str,
    arrays: Vec<(String, Array)>,
    advice: String,
}

impl Archive<'_> {
    fn refuse(&self, problem: String) -> Error {
        Error::bad_input(self.path, problem, &self.advice)
    }

    fn find(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|(found, _)| found == name).map(|(_, array)| array)
    }

    /// The array with the first of these names.
    fn array(&self, names: &[&str]) -> Result<&Array> {
        names.iter().find_map(|name| self.find(name)).ok_or_else(|| {
            let known: Vec<&str> = self.arrays.iter().map(|(name, _)| name.as_str()).collect();
            self.refuse(format!("has the arrays {}, none of them {}", known.join(", "), names[0]))
        })
    }

    /// Raw integers of an input.
    fn raw(&self, array: &Array, input: &InputPart, name: &str) -> Result<Vec<i16>> {
        let (low, high) = match input.sample_type {
            SampleType::U8 => (0.0, 255.0),
            SampleType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        };
        let raw = |(place, value): (usize, f64)| {
            let raw = match place.checked_rem(input.columns.len()) {
                Some(column) => {
                    let column = &input.columns[column];
                    ((value - column.offset) / column.step).round().clamp(low, high)
                }
                None => value,
            };
            match raw.fract() == 0.0 && (low..=high).contains(&raw) {
                true => Ok(raw as i16),
                false => Err(self.refuse(format!(
                    "has {value} in '{name}', where whole numbers from {low} to {high} are read"
                ))),
            }
        };
        array.values().enumerate().map(raw).collect()
    }

    /// The right answers; `None` where there are none.
    fn labels(&self, label: Option<&str>, samples: usize) -> Result<Option<Vec<u16>>> {
        let array = match label {
            Some(label) => Some(self.array(&[label])?),
            None => LABELS.iter().find_map(|name| self.find(name)),
        };
        let Some(array) = array else { return Ok(None) };
        let answer = |value: f64| {
            (value.fract() == 0.0 && (0.0..65_536.0).contains(&value)).then_some(value as u16)
        };
        let answers: Option<Vec<u16>> = array.values().map(answer).collect();
        match answers.filter(|answers| answers.len() == samples) {
            Some(answers) => Ok(Some(answers)),
            None if label.is_none() => Ok(None),
            None => Err(self.refuse("has labels that are no class numbers, one a sample".into())),
        }
    }
}
