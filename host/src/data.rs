//! Labelled samples for training and testing: the bundled digits, or files whose format is recognised by content.
//!
//! Samples stay the raw integers that a sensor or a file gives (u8 or i16), because the deployed model consumes exactly
//! those. The floats that training needs come from [`Normalization`], an affine map per channel.

mod column;
mod digest;
mod digits;
mod folder;
mod format;
mod formats;
mod normalization;
pub mod npy;
mod source;
mod splits;

pub use column::{Column, Convention};
pub use digest::{from_hex, to_hex};
pub use folder::located;
pub use format::{Entry, Format};
pub use formats::{FORMATS, listed as listed_formats};
pub use normalization::{Normalization, Scaling};
pub use splits::SplitRule;

use crate::error::{Error, Result};

/// The seed that decides splits when none is given.
pub const DEFAULT_SPLIT_SEED: u64 = 0;

/// Raw integer type of one sample value, as the deployed model receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleType {
    /// 0..=255.
    U8,
    /// -32768..=32767, little endian when written as bytes.
    I16,
}

impl std::fmt::Display for SampleType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::U8 => "unsigned 8-bit integers",
            Self::I16 => "signed 16-bit integers",
        })
    }
}

/// Height, width and channels of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "[usize; 3]", into = "[usize; 3]")]
pub struct SampleShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
}

impl SampleShape {
    /// A shape of `height` rows, `width` columns and `channels` values per pixel.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Values in one sample.
    pub const fn elements(self) -> usize {
        // A shape from a file may be absurd; it is refused where its size is looked at.
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }
}

impl From<[usize; 3]> for SampleShape {
    fn from([height, width, channels]: [usize; 3]) -> Self {
        Self { height, width, channels }
    }
}

impl From<SampleShape> for [usize; 3] {
    fn from(shape: SampleShape) -> Self {
        [shape.height, shape.width, shape.channels]
    }
}

impl std::fmt::Display for SampleShape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// One part (training, validation or test) of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// All samples one after the other, each in height, width, channel order. u8 samples lie in 0..=255.
    pub samples: Vec<i16>,
    /// Class of each sample, 0-based.
    pub labels: Vec<u16>,
}

impl Split {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The raw values of sample `index`, height, width, channel order. `None` beyond the end.
    pub fn sample(&self, index: usize) -> Option<&[i16]> {
        let elements = self.samples.len().checked_div(self.len())?;
        self.samples.get(index * elements..(index + 1) * elements)
    }

    /// The first `limit` samples (all of them when `limit` is larger).
    pub fn limited(&self, limit: usize) -> Self {
        let count = limit.min(self.len());
        let elements = self.samples.len().checked_div(self.len()).unwrap_or(0);
        Self {
            samples: self.samples[..count * elements].to_vec(),
            labels: self.labels[..count].to_vec(),
        }
    }

    /// At most `limit` samples that stand for all: from every class about its share, at least one while there is room. Which ones,
    /// `seed` decides; they keep the order of the data.
    pub fn drawn(&self, limit: usize, seed: u64) -> Self {
        self.selected(&splits::draw(&self.labels, limit, seed))
    }

    /// The samples at `indexes`, in that order. Indexes must be below [`Split::len`].
    pub fn selected(&self, indexes: &[usize]) -> Self {
        let elements = self.samples.len().checked_div(self.len()).unwrap_or(0);
        let mut selected = Self::default();
        for &index in indexes {
            selected
                .samples
                .extend_from_slice(&self.samples[index * elements..(index + 1) * elements]);
            selected.labels.push(self.labels[index]);
        }
        selected
    }
}

/// A data set: raw integer samples, labels, and what they mean.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name or path that it was opened by.
    pub name: String,
    /// The name of its format in [`FORMATS`], or "bundled".
    pub format: &'static str,
    /// Shape of every sample.
    pub shape: SampleShape,
    /// Name of each class; its length is the number of classes.
    pub class_names: Vec<String>,
    /// The integer type that a deployed model receives.
    pub sample_type: SampleType,
    /// What the raw values mean, one column per value of a sample; empty where they are all there is (images).
    pub columns: Vec<Column>,
    /// SHA-256 of the files' contents in hex, by which the data is known again.
    pub digest: String,
    /// How the samples came into the parts below.
    pub split_rule: SplitRule,
    /// What training sees.
    pub train: Split,
    /// For choices made during development; empty unless the data set defines one.
    pub validation: Split,
    /// What accuracies are reported on.
    pub test: Split,
}

impl Dataset {
    /// Opens `name` with the default split seed: see [`Dataset::open_with_seed`].
    pub fn open(name: &str) -> Result<Self> {
        Self::open_with_seed(name, DEFAULT_SPLIT_SEED)
    }

    /// Opens a bundled data set (`digits`, `digits-1797`) or the files at a path.
    ///
    /// * `digits`: 3,823 training rows, 1,797 test rows by other writers. The seed changes nothing.
    /// * `digits-1797`: the test rows alone, split 1077/360/360 (training/validation/test) by `seed`.
    /// * A folder or file of one of the [`FORMATS`], gz or not, recognised by content. Names holding `train` or `data_batch` are
    ///   training data, `test` or `t10k` test data. One file alone is split 80/20 by `seed`. `PATH:HxWxC` gives the rows of a
    ///   CSV a shape; without it they are 1x1xN. At most 512 MiB are read, unpacked, of at most 1,000 files.
    ///
    /// # Errors
    /// One line that names the file and, where there is one, the row.
    pub fn open_with_seed(name: &str, seed: u64) -> Result<Self> {
        Self::read(name, seed, None)
    }

    /// Opens data for a network that exists: its samples are converted as that network's training data was.
    ///
    /// # Errors
    /// As [`Dataset::open_with_seed`]; samples of another shape or type, and classes that the network does not have.
    pub fn open_by(name: &str, seed: u64, convention: &Convention) -> Result<Self> {
        let dataset = Self::read(name, seed, Some(convention))?;
        let advice = "use data like that which the network was trained on";
        if dataset.shape != convention.shape {
            let (found, wanted) = (dataset.shape, convention.shape);
            let problem = format_args!("has samples of {found} for a network that reads {wanted}");
            return Err(Error::bad_input(name, problem, advice));
        }
        if dataset.sample_type != convention.sample_type {
            let (found, wanted) = (dataset.sample_type, convention.sample_type);
            let problem = format_args!("has samples of {found} for a network that reads {wanted}");
            return Err(Error::bad_input(name, problem, advice));
        }
        Ok(dataset)
    }

    fn read(name: &str, seed: u64, convention: Option<&Convention>) -> Result<Self> {
        let dataset = match digits::open(name, seed)? {
            Some(bundled) => bundled,
            None => folder::open(name, seed, convention)?,
        };
        dataset.check()?;
        Ok(dataset)
    }

    /// A data set without samples. Its digest, its columns and its parts are for the format to fill in.
    fn new(
        name: &str,
        format: &'static str,
        shape: SampleShape,
        sample_type: SampleType,
        class_names: Vec<String>,
    ) -> Self {
        Self {
            name: name.to_string(),
            format,
            shape,
            class_names,
            sample_type,
            columns: Vec::new(),
            digest: String::new(),
            split_rule: SplitRule::Files,
            train: Split::default(),
            validation: Split::default(),
            test: Split::default(),
        }
    }

    /// Names of the bundled data sets.
    pub const fn bundled() -> [&'static str; 2] {
        digits::NAMES
    }

    /// What DATA may be, for help texts.
    pub fn help() -> String {
        let bundled = digits::NAMES.map(|name| format!("`{name}`")).join(", ");
        format!("{bundled}, or a folder or file ({}; gz or not)", formats::listed())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The affine map from raw values by which each channel has mean 0 and standard deviation 1 over the training split.
    pub fn normalization(&self) -> Normalization {
        Normalization::measure(&self.train, self.shape.channels, Scaling::Standard)
    }

    /// What must hold for any data set, whatever its format.
    fn check(&self) -> Result<()> {
        for (part, split) in [("training", &self.train), ("test", &self.test)] {
            if split.is_empty() {
                return Err(Error::bad_input(
                    &self.name,
                    format_args!("holds no {part} sample"),
                    "add one; file names with 'train' or 'data_batch' are training data, 'test' or 't10k' test data",
                ));
            }
            if split.samples.len() != split.len() * self.shape.elements() {
                return Err(Error::bad_input(
                    &self.name,
                    format_args!(
                        "has {} {part} values for {} labels of shape {}",
                        split.samples.len(),
                        split.len(),
                        self.shape
                    ),
                    "give one label for each sample",
                ));
            }
            if let Some(row) =
                split.labels.iter().position(|&label| usize::from(label) >= self.classes())
            {
                return Err(Error::bad_input(
                    &self.name,
                    format_args!(
                        "{part} sample {row} has label {}, but there are {} classes",
                        split.labels[row],
                        self.classes()
                    ),
                    "correct the label; classes are counted from the training data",
                ));
            }
        }
        Ok(())
    }
}

/// Names "0", "1", ... for classes that have no other.
fn numbered_classes(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// One more than the largest label.
fn count_classes(labels: &[u16]) -> usize {
    labels.iter().max().map_or(0, |&largest| usize::from(largest) + 1)
}

#[cfg(test)]
mod tests;
