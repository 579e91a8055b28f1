//! What a network's raw samples mean.

use serde::{Deserialize, Serialize};

use crate::data::{Column, Convention, Dataset, Normalization, SampleShape, SampleType};

/// From raw integer samples to what the first node reads, and what the answers are called. Measured once, on the training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputMeaning {
    /// The integer type of raw samples.
    pub sample_type: SampleType,
    /// Name of each class, in output order.
    pub class_names: Vec<String>,
    /// `real = (raw - offset[c]) * inverse_scale[c]` for each channel.
    pub normalization: Normalization,
    /// What raw values stand for, one column per value of a sample in height, width, channel order; empty where they are all there is.
    #[serde(default, rename = "column", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

impl InputMeaning {
    /// The meaning that a data set has, normalized in the way given.
    pub fn of(dataset: &Dataset, normalization: Normalization) -> Self {
        Self {
            sample_type: dataset.sample_type,
            class_names: dataset.class_names.clone(),
            normalization,
            columns: dataset.columns.clone(),
        }
    }

    /// How other data is converted for a network that reads samples of `shape`.
    pub fn convention(&self, shape: SampleShape) -> Convention {
        Convention {
            shape,
            sample_type: self.sample_type,
            columns: self.columns.clone(),
            class_names: self.class_names.clone(),
        }
    }
}
