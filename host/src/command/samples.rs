//! The test samples that a command runs a model on.

use tinyhero_common::model::Model;

use crate::data::{DEFAULT_SPLIT_SEED, Dataset, Split};
use crate::deployment::quantizer::sample_type;
use crate::error::{Error, Result};

/// Options that choose test samples.
#[derive(Clone, Debug, clap::Args)]
pub struct Samples {
    #[arg(long, help = Dataset::help())]
    pub data: String,
    /// Only the first N test samples
    #[arg(long, value_name = "N", value_parser = super::positive)]
    pub limit: Option<usize>,
    /// Seed of the split, for data sets that are split by one
    #[arg(long, default_value_t = DEFAULT_SPLIT_SEED)]
    pub split_seed: u64,
}

impl Samples {
    /// Opens the test samples and checks that the model reads such samples.
    ///
    /// # Errors
    /// The data cannot be read or is not what the model was made for.
    pub fn open(&self, model: &Model<'_>) -> Result<Split> {
        let dataset = Dataset::open_with_seed(&self.data, self.split_seed)?;
        check(model, &dataset)?;
        Ok(dataset.test.limited(self.limit.unwrap_or(usize::MAX)))
    }
}

/// Checks that a model reads the samples of a data set.
///
/// # Errors
/// Another shape or another integer type.
pub fn check(model: &Model<'_>, dataset: &Dataset) -> Result<()> {
    let shape = model.input().tensor.shape;
    let expected = [shape.height, shape.width, shape.channels].map(usize::from);
    let found = <[usize; 3]>::from(dataset.shape);
    let advice = "use the data that the model was made for";
    if expected != found {
        return Err(Error::bad_input(
            &dataset.name,
            format_args!(
                "samples of {} for a model that reads {}x{}x{}",
                dataset.shape, expected[0], expected[1], expected[2]
            ),
            advice,
        ));
    }
    let sample_type = sample_type(dataset.sample_type);
    if sample_type != model.input().quantization.sample_type {
        return Err(Error::bad_input(
            &dataset.name,
            format_args!("samples of type {sample_type:?} for a model that reads the other type"),
            advice,
        ));
    }
    Ok(())
}
