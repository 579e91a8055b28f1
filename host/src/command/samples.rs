//! The test samples that a command runs a model on.

use tinyhero_common::model::Model;

use super::output::Output;
use crate::data::{DEFAULT_SPLIT_SEED, DataOptions, Dataset, Split, raw_archive};
use crate::deployment::meaning::{convention, doubt, input_parts, notes_in};
use crate::error::Result;
use crate::training::DRAW_SEED;

/// Options that choose test samples.
#[derive(Clone, Debug, clap::Args)]
pub struct Samples {
    #[arg(long, help = Dataset::help())]
    pub data: String,
    /// Only N test samples, drawn from all classes
    #[arg(long, value_name = "N", value_parser = super::positive)]
    pub limit: Option<usize>,
    /// Seed of the split, for data that is split by one [default: that of the model's training]
    #[arg(long, value_name = "SEED")]
    pub split_seed: Option<u64>,
    #[command(flatten)]
    pub options: DataOptions,
}

impl Samples {
    /// Opens data, converted as that was which the model was trained on, and says what is doubtful about it; its test part is what
    /// the options choose.
    ///
    /// # Errors
    /// The data cannot be read or is not what the model was made for.
    pub fn open(&self, model: &Model<'_>, output: &Output) -> Result<Dataset> {
        let dataset = open(&self.data, self.split_seed, &self.options, model, output)?;
        let test = limited(dataset.test.clone(), self.limit, output);
        Ok(Dataset { test, ..dataset })
    }
}

/// At most `limit` samples, drawn from all classes, and a line that says so.
pub fn limited(split: Split, limit: Option<usize>, output: &Output) -> Split {
    match limit {
        Some(limit) if limit < split.len() => {
            output.line(format_args!(
                "{limit} of {} test samples, drawn from all classes by a fixed seed (--limit)",
                split.len()
            ));
            split.drawn(limit, DRAW_SEED)
        }
        _ => split,
    }
}

/// Opens data with notes about it, which are printed also where an error follows.
///
/// # Errors
/// Those of opening it.
pub fn telling(
    output: &Output,
    open: impl FnOnce(&mut Vec<String>) -> Result<Dataset>,
) -> Result<Dataset> {
    let mut notes = Vec::new();
    let opened = open(&mut notes);
    for note in notes {
        output.line(note);
    }
    opened
}

/// Data for a model, split by a seed or as in the model's training.
///
/// # Errors
/// The data cannot be read or is not what the model was made for.
pub fn open(
    data: &str,
    split_seed: Option<u64>,
    options: &DataOptions,
    model: &Model<'_>,
    output: &Output,
) -> Result<Dataset> {
    let notes = notes_in(model);
    let inputs = input_parts(model, &notes);
    let classes = || model.labels().map(|label| label.to_string()).collect();
    if raw_archive::is_one(data) {
        return telling(output, |told| Dataset::open_raw(data, &inputs, classes(), told));
    }
    if inputs.len() > 1 {
        let label = options.label.first().map(String::as_str);
        return telling(output, |told| {
            Dataset::open_several(data, &inputs, label, classes(), told)
        });
    }
    let origin = notes.provenance.data.as_ref();
    let trained_by = origin.map_or(DEFAULT_SPLIT_SEED, |origin| origin.split_seed);
    let seed = split_seed.unwrap_or(trained_by);
    let convention = convention(model, &notes);
    let dataset = telling(output, |told| Dataset::open_by(data, seed, &convention, options, told))?;
    if let Some(note) = doubt(&dataset, seed, origin) {
        output.line(note);
    }
    Ok(dataset)
}
