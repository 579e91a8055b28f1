//! Labelled samples for training and testing: the bundled digits, or files whose format is recognised by content.
//!
//! Samples stay the raw integers that a sensor or a file gives (u8 or i16), because the deployed model consumes exactly
//! those. The floats that training needs come from [`Normalization`], an affine map per channel.

mod archive;
mod column;
mod description;
mod digest;
mod digits;
mod folder;
mod foreign;
mod format;
mod formats;
mod named;
mod naming;
mod normalization;
pub mod npy;
mod options;
pub mod raw_archive;
mod several;
mod source;
mod splits;
mod table;

pub use column::{Column, Convention};
pub use description::{Description, SeenClass};
pub use digest::{from_hex, to_hex};
pub use folder::located;
pub use foreign::name as foreign_kind;
pub use format::{Entry, Format};
pub use formats::csv::sample as sample_of_text;
pub use formats::pictures::Picture;
pub use formats::{FORMATS, listed as listed_formats};
pub use normalization::{Normalization, Scaling};
pub use options::{DataOptions, Fold, Missing, Separator, SplitChoice, Window};
pub use several::InputPart;
pub use splits::SplitRule;

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

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

impl std::str::FromStr for SampleShape {
    type Err = String;

    /// Reads `HxWxC`, or `HxW` for one channel.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        /// Most rows, columns or channels.
        const MOST: usize = 65_536;
        let sizes: Option<Vec<usize>> = text
            .split('x')
            .map(|size| size.parse().ok().filter(|size| (1..=MOST).contains(size)))
            .collect();
        match sizes.as_deref() {
            Some([height, width]) => Ok(Self::new(*height, *width, 1)),
            Some([height, width, channels]) => Ok(Self::new(*height, *width, *channels)),
            _ => Err(format!(
                "must be height, width and channels from 1 to {MOST}, such as 28x28x1 or 128x1x6"
            )),
        }
    }
}

impl std::fmt::Display for SampleShape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// One part (training, validation or test) of a data set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// All samples one after the other, each in height, width, channel order. u8 samples lie in 0..=255.
    pub samples: Vec<i16>,
    /// Class of each sample, 0-based; 0 where there are no classes.
    pub labels: Vec<u16>,
    /// The values to predict, sample by sample; empty where there are none.
    pub values: Vec<f32>,
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
        let outputs = self.values.len().checked_div(self.len()).unwrap_or(0);
        Self {
            samples: self.samples[..count * elements].to_vec(),
            labels: self.labels[..count].to_vec(),
            values: self.values[..count * outputs].to_vec(),
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
        let outputs = self.values.len().checked_div(self.len()).unwrap_or(0);
        let mut selected = Self::default();
        for &index in indexes {
            selected
                .samples
                .extend_from_slice(&self.samples[index * elements..(index + 1) * elements]);
            selected.labels.push(self.labels[index]);
            selected.values.extend_from_slice(&self.values[index * outputs..(index + 1) * outputs]);
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
    /// What the raw values mean, one column per value of a sample or one per channel; empty where they are all there is (images).
    pub columns: Vec<Column>,
    /// Names and units of the values to predict; none for classes.
    pub outputs: Vec<Column>,
    /// How many of the classes training samples have; all but in a reconstruction's data, whose unusual samples only test.
    pub trained_classes: usize,
    /// What the user said of the data, with every guess made explicit.
    pub options: DataOptions,
    /// Rows a second of the recordings, if known.
    pub rate: Option<f64>,
    /// Recordings of noise that belong to no class, as raw values of one channel.
    pub background: Vec<Vec<i16>>,
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

    /// Opens `name` as [`Dataset::open_with`] does, with nothing said about it.
    ///
    /// # Errors
    /// See there.
    pub fn open_with_seed(name: &str, seed: u64) -> Result<Self> {
        Self::open_with(name, seed, &DataOptions::default(), &mut Vec::new())
    }

    /// Opens a bundled data set (`digits`, `digits-1797`) or the files at a path.
    ///
    /// * `digits`: 3,823 training rows, 1,797 test rows by other writers. The seed changes nothing.
    /// * `digits-1797`: the test rows alone, split 1077/360/360 (training/validation/test) by `seed`.
    /// * A folder or file of one of the [`FORMATS`], gz or not, recognised by content. Names holding `train` or `data_batch` are
    ///   training data, `test` or `t10k` test data. Other files are joined and split 80/20. `PATH:HxWxC` gives the rows of a
    ///   CSV a shape; without it they are 1x1xN. At most 512 MiB are read, unpacked.
    ///
    /// `notes` gets a line for each thing that was guessed or is doubtful, also where an error follows.
    ///
    /// # Errors
    /// One line that names the file and, where there is one, the row.
    pub fn open_with(
        name: &str,
        seed: u64,
        options: &DataOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        Self::read(name, seed, None, options, notes)
    }

    /// Opens data for a network that exists: its samples are converted as that network's training data was.
    ///
    /// # Errors
    /// As [`Dataset::open_with_seed`]; samples of another shape or type, and classes that the network does not have.
    pub fn open_by(
        name: &str,
        seed: u64,
        convention: &Convention,
        options: &DataOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let options = options.or(&convention.options);
        let dataset = Self::read(name, seed, Some(convention), &options, notes)?;
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

    fn read(
        name: &str,
        seed: u64,
        convention: Option<&Convention>,
        options: &DataOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let dataset = match digits::open(name, seed)? {
            Some(bundled) if options.is_for_any_data() => bundled,
            Some(_) => {
                let problem = "is bundled data, whose columns and split are fixed";
                return Err(Error::bad_input(name, problem, "leave the options of data out"));
            }
            None => {
                let told = RefCell::new(std::mem::take(notes));
                let opened = folder::open(name, seed, convention, options, &told);
                *notes = told.into_inner();
                opened?
            }
        };
        dataset.check()?;
        Ok(dataset)
    }

    /// The number of test samples that stand among the training samples too, value for value.
    pub fn leaked(&self) -> usize {
        let elements = self.shape.elements().max(1);
        let hash = RandomState::new();
        let tests: Vec<&[i16]> = self.test.samples.chunks_exact(elements).collect();
        let mut places: Vec<(u64, u32)> =
            tests.iter().zip(0..).map(|(sample, place)| (hash.hash_one(sample), place)).collect();
        places.sort_unstable();
        let mut found = vec![false; tests.len()];
        for sample in self.train.samples.chunks_exact(elements) {
            let wanted = hash.hash_one(sample);
            let first = places.partition_point(|(hash, _)| *hash < wanted);
            for &(_, place) in places[first..].iter().take_while(|(hash, _)| *hash == wanted) {
                found[place as usize] |= tests[place as usize] == sample;
            }
        }
        found.iter().filter(|found| **found).count()
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
            trained_classes: class_names.len(),
            class_names,
            sample_type,
            columns: Vec::new(),
            outputs: Vec::new(),
            options: DataOptions::default(),
            rate: None,
            background: Vec::new(),
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

    /// The values to predict, each with the mean of the training samples for offset and their standard deviation for step: what a
    /// network learns to predict has mean 0 and standard deviation 1.
    pub fn normalized_outputs(&self) -> Vec<Column> {
        let count = self.outputs.len();
        let measured = self.outputs.iter().enumerate().map(|(place, column)| {
            let values = || self.train.values.iter().skip(place).step_by(count.max(1));
            let number = values().count().max(1) as f64;
            let mean = values().map(|&value| f64::from(value)).sum::<f64>() / number;
            let square = |value: &f32| (f64::from(*value) - mean).powi(2);
            let deviation = (values().map(square).sum::<f64>() / number).sqrt();
            let step = if deviation > 0.0 { deviation } else { 1.0 };
            Column { offset: mean, step, ..column.clone() }
        });
        measured.collect()
    }

    /// The classes that training samples have; those of a reconstruction come first, before others that only test samples have.
    pub fn trained_classes(&self) -> Vec<String> {
        self.class_names.iter().take(self.trained_classes).cloned().collect()
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
                    "add one; names with 'train' or 'data_batch' are training data, 'test' or 't10k' test data",
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
            let beyond = |&label: &u16| usize::from(label) >= self.classes().max(1);
            if let Some(row) = split.labels.iter().position(beyond) {
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

/// One form of a name for all ways to write a whole number.
fn canonical(name: &str) -> String {
    formats::csv::canonical(name)
}

/// Names "0", "1", ... for classes that have no other.
fn numbered_classes(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// Names classes by the numbers that occur in training, and counts them from 0 without gaps.
fn name_classes(train: &mut Split, test: &mut Split, place: &str) -> Result<Vec<String>> {
    let numbers: BTreeSet<u16> = train.labels.iter().copied().collect();
    let places: HashMap<u16, u16> = numbers.iter().copied().zip(0..).collect();
    for (part, split) in [("training", train), ("test", test)] {
        for (row, label) in split.labels.iter_mut().enumerate() {
            *label = *places.get(label).ok_or_else(|| {
                let problem = format_args!(
                    "{part} sample {row} has label {label}, which none of the {} classes of the training data has",
                    places.len()
                );
                Error::bad_input(place, problem, "correct the label")
            })?;
        }
    }
    Ok(numbers.iter().map(u16::to_string).collect())
}

#[cfg(test)]
mod tests;
