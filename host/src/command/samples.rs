//! The test samples that a command runs a model on.

use tinyhero_common::model::Model;

use super::output::Output;
use crate::data::{DEFAULT_SPLIT_SEED, Dataset, Split};
use crate::deployment::meaning::{convention, doubt, notes_in};
use crate::error::Result;

/// Options that choose test samples.
#[derive(Clone, Debug, clap::Args)]
pub struct Samples {
    #[arg(long, help = Dataset::help())]
    pub data: String,
    /// Only the first N test samples
    #[arg(long, value_name = "N", value_parser = super::positive)]
    pub limit: Option<usize>,
    /// Seed of the split, for data that is split by one [default: that of the model's training]
    #[arg(long, value_name = "SEED")]
    pub split_seed: Option<u64>,
}

impl Samples {
    /// Opens the test samples, converted as the data was that the model was trained on, and says what is doubtful about them.
    ///
    /// # Errors
    /// The data cannot be read or is not what the model was made for.
    pub fn open(&self, model: &Model<'_>, output: &Output) -> Result<Split> {
        let test = open(&self.data, self.split_seed, model, output)?;
        Ok(test.limited(self.limit.unwrap_or(usize::MAX)))
    }
}

/// All test samples of `data` for a model, split by a seed or as in the model's training.
///
/// # Errors
/// The data cannot be read or is not what the model was made for.
pub fn open(
    data: &str,
    split_seed: Option<u64>,
    model: &Model<'_>,
    output: &Output,
) -> Result<Split> {
    let notes = notes_in(model);
    let origin = notes.provenance.data.as_ref();
    let trained_by = origin.map_or(DEFAULT_SPLIT_SEED, |origin| origin.split_seed);
    let seed = split_seed.unwrap_or(trained_by);
    let dataset = Dataset::open_by(data, seed, &convention(model, &notes))?;
    if let Some(note) = doubt(&dataset, seed, origin) {
        output.line(note);
    }
    Ok(dataset.test)
}
