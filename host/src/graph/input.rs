//! What a network's raw samples mean.

use serde::{Deserialize, Serialize};

use crate::data::{
    Column, Convention, DataOptions, Dataset, Normalization, SampleShape, SampleType,
};
use crate::task::Task;

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
    /// Rows a second of the recordings, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// What was said of the training data, and what was guessed.
    #[serde(default, rename = "data", skip_serializing_if = "DataOptions::is_empty")]
    pub options: DataOptions,
    /// What raw values stand for, one column per value of a sample in height, width, channel order or one per channel; empty where
    /// they are all there is.
    #[serde(default, rename = "column", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// The values that a regression predicts: `value = offset + step * output`; empty for other tasks.
    #[serde(default, rename = "output", skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Column>,
    /// Of the inputs behind the first, in the network's order.
    #[serde(default, rename = "other-input", skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherInput>,
}

/// What the raw samples of an input behind the first mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OtherInput {
    /// The integer type of raw samples.
    pub sample_type: SampleType,
    /// `real = (raw - offset[c]) * inverse_scale[c]` for each channel.
    pub normalization: Normalization,
    /// What raw values stand for, as for the first input.
    #[serde(default, rename = "column", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
}

/// Type, normalization and columns of an input.
pub type Part<'a> = (SampleType, &'a Normalization, &'a [Column]);

impl InputMeaning {
    /// Type, normalization and columns of every input, in the network's order.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let first = (self.sample_type, &self.normalization, self.columns.as_slice());
        let others = self.others.iter();
        let others =
            others.map(|other| (other.sample_type, &other.normalization, &other.columns[..]));
        std::iter::once(first).chain(others).collect()
    }

    /// Whether it has as many inputs, channels and columns as that.
    pub fn belongs_to(&self, shapes: &[SampleShape]) -> bool {
        let parts = self.parts();
        let fits = |part: Part<'_>, shape: SampleShape| {
            let (_, normalization, columns) = part;
            normalization.offset.len() == shape.channels
                && normalization.inverse_scale.len() == shape.channels
                && [0, shape.elements(), shape.channels].contains(&columns.len())
        };
        let count = parts.len();
        count == shapes.len()
            && parts.into_iter().zip(shapes).all(|(part, &shape)| fits(part, shape))
    }

    /// The meaning that a data set has, normalized in the way given.
    pub fn of(dataset: &Dataset, normalization: Normalization) -> Self {
        Self {
            sample_type: dataset.sample_type,
            class_names: dataset.trained_classes(),
            normalization,
            rate: dataset.rate,
            options: dataset.options.clone(),
            columns: dataset.columns.clone(),
            outputs: dataset.normalized_outputs(),
            others: Vec::new(),
        }
    }

    /// How other data is converted for a network that reads samples of `shape`.
    pub fn convention(&self, shape: SampleShape, task: Task) -> Convention {
        Convention {
            shape,
            sample_type: self.sample_type,
            columns: self.columns.clone(),
            class_names: self.class_names.clone(),
            task,
            options: self.options.clone(),
        }
    }
}
