//! What a model file says to people and programs on a PC, behind the parameters, where boards do not look: what its raw samples mean, and where
//! it comes from.

use serde::{Deserialize, Serialize};

/// The last section of a model file, in postcard's format. `docs/model-file.md` has the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    /// One for each input of the network, in their order; none if nothing is known.
    pub inputs: Vec<InputNotes>,
    /// Where the model comes from.
    pub provenance: Provenance,
}

/// The meaning of the raw samples of one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputNotes {
    /// One for each column of the data, or one for each channel; none if the raw samples are all there is.
    pub columns: Vec<Column>,
    /// Samples a second, for series.
    pub sample_rate: Option<f64>,
    /// What was done to the recording before the raw samples, in order, in the words of the command that did it.
    pub preprocessing: Vec<String>,
}

/// The meaning of one column: `value = offset + step · raw`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The unit of its values; empty if unknown.
    pub unit: String,
    /// The value for which raw is 0.
    pub offset: f64,
    /// The value's change from one raw number to the next; not 0.
    pub step: f64,
}

impl Column {
    /// Whether it has no name and raw numbers are its values.
    pub fn says_nothing(&self) -> bool {
        let Self { name, unit, offset, step } = self;
        name.is_empty() && unit.is_empty() && *offset == 0.0 && *step == 1.0
    }
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program that wrote the file, with its version.
    pub tool: String,
    /// Digest of the trained network; empty if there was none.
    pub network: Vec<u8>,
    /// The data that it was trained on.
    pub data: Option<DataOrigin>,
    /// The file that it was imported from.
    pub imported_from: Option<String>,
}

/// The data that a network was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataOrigin {
    /// Digest of the samples and labels.
    pub digest: Vec<u8>,
    /// The rule that divided them into training and test samples.
    pub split: String,
    /// The seed of that rule.
    pub split_seed: u64,
}

impl Notes {
    /// The section's bytes.
    ///
    /// # Errors
    /// None that these types can cause.
    pub fn to_bytes(&self) -> postcard::Result<Vec<u8>> {
        postcard::to_allocvec(self)
    }

    /// Reads the section. `None` if it is not in the format, which makes no difference to what the model computes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((notes, [])) => Some(notes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_and_no_others_do() {
        let column =
            Column { name: "acc_x".into(), unit: "m/s^2".into(), offset: -1.5, step: 0.000_598 };
        let data = DataOrigin { digest: vec![1, 2, 3], split: "stratified".into(), split_seed: 7 };
        let notes = Notes {
            inputs: vec![InputNotes {
                columns: vec![column],
                sample_rate: Some(119.0),
                preprocessing: vec!["resample 100".into()],
            }],
            provenance: Provenance { data: Some(data), ..Provenance::default() },
        };
        let bytes = notes.to_bytes().unwrap();
        assert_eq!(Notes::from_bytes(&bytes), Some(notes));
        for end in 0..bytes.len() {
            assert_eq!(Notes::from_bytes(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Notes::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
