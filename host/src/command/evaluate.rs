//! `evaluate`: integer accuracy on the host.

use std::path::PathBuf;

use serde::Serialize;

use super::model_file;
use super::output::Output;
use super::samples::Samples;
use crate::deployment::integer;
use crate::error::Result;
use crate::report::table::{grouped, percent};

/// Run a model on the host in the board's arithmetic and report its accuracy
///
/// Example: tinyhero evaluate tinyhero-demo/hero-4.hero --data digits
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    #[command(flatten)]
    samples: Samples,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    samples: usize,
    correct: usize,
    accuracy: f64,
}

pub fn run(options: &Options) -> Result<()> {
    let bytes = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &bytes)?;
    let test = options.samples.open(&model, &options.output)?;
    let found = integer::accuracy(&model, &test.samples, &test.labels)?;
    options.output.line(format_args!(
        "{} of {} right: {}",
        grouped(found.correct as u64),
        grouped(found.samples as u64),
        percent(found.accuracy)
    ));
    options.output.json(&Report {
        samples: found.samples,
        correct: found.correct,
        accuracy: found.accuracy,
    })
}
