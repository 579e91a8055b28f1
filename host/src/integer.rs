//! Evaluation with the device's own arithmetic, on all cores of the machine.
//!
//! Every sample runs through [`tinyhero_common::network::run`] with the portable kernels, so the outputs and digests here are those that a
//! board must give, to the last bit. Results are in the order of the samples whatever the number of threads.

use crate::error::{Error, Result};
use rayon::prelude::*;
use tinyhero_common::checksum::Digest;
use tinyhero_common::kernel::Portable;
use tinyhero_common::model::{Layer, Model, SampleType};
use tinyhero_common::network::{LayerDigests, Observer, run};

/// What one inference gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the winning class.
    pub label: u16,
    /// Digest over all layers.
    pub digest: u32,
    /// The output's int8 values.
    pub scores: Vec<i8>,
}

/// The outcome of every sample, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// One per sample.
    pub outcomes: Vec<Outcome>,
    /// How many labels were right.
    pub correct: usize,
    /// Share of right labels, 0 to 1; 0 without samples.
    pub accuracy: f64,
}

/// The bytes that a model reads for raw samples: one byte each, or two, little-endian.
pub fn raw_bytes(sample_type: SampleType, samples: &[i16]) -> Vec<u8> {
    match sample_type {
        // Data sets have checked that samples of this type lie in 0..=255.
        SampleType::U8 => samples.iter().map(|value| value.to_le_bytes()[0]).collect(),
        SampleType::I16 => samples.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// Runs every sample. `samples` holds raw values one sample after the other, each in height, width, channel order;
/// `labels` the right answers.
///
/// # Errors
/// If the samples do not have the model's input size, or there are not as many as labels.
pub fn evaluate(model: &Model<'_>, samples: &[i16], labels: &[u16]) -> Result<Evaluation> {
    let elements = model.description().input.shape.elements();
    if samples.len() != labels.len() * elements {
        return Err(Error::bad_input(
            format_args!("model '{}'", model.description().name),
            format_args!(
                "reads samples of {elements} values, but the data has {} values for {} samples",
                samples.len(),
                labels.len()
            ),
            "use the data that the model was made for",
        ));
    }
    let outcomes = run_all(model, samples)?;
    let right = outcomes.iter().zip(labels).filter(|(outcome, label)| outcome.label == **label);
    let correct = right.count();
    let accuracy = if labels.is_empty() { 0.0 } else { correct as f64 / labels.len() as f64 };
    Ok(Evaluation { outcomes, correct, accuracy })
}

/// The outcome of every sample. A rest that is no whole sample is left out.
pub fn run_all(model: &Model<'_>, samples: &[i16]) -> Result<Vec<Outcome>> {
    let elements = model.description().input.shape.elements();
    let sample_type = model.description().input_quantization.sample_type;
    let arena_bytes = model.description().arena_bytes as usize;
    samples
        .par_chunks_exact(elements)
        .map_init(
            || vec![0; arena_bytes],
            |arena, sample| {
                let mut digests = LayerDigests::default();
                let raw = raw_bytes(sample_type, sample);
                let output =
                    run(model, &mut Portable, &mut digests, &raw, arena).map_err(run_error)?;
                Ok(Outcome {
                    // A vector of scores has at most 65,535 elements.
                    label: output.label as u16,
                    digest: digests.finish(),
                    scores: output.scores.to_vec(),
                })
            },
        )
        .collect()
}

/// The digest of every layer's output for one raw input.
pub fn layer_digests(model: &Model<'_>, raw_input: &[u8]) -> Result<Vec<u32>> {
    let mut digests = Digests(Vec::new());
    let mut arena = vec![0; model.description().arena_bytes as usize];
    run(model, &mut Portable, &mut digests, raw_input, &mut arena).map_err(run_error)?;
    Ok(digests.0)
}

struct Digests(Vec<u32>);

impl Observer for Digests {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn layer_done(&mut self, _index: usize, _layer: &Layer<'_>, output: &[i8]) {
        self.0.push(Digest::new().update(output).finish());
    }
}

fn run_error(problem: tinyhero_common::error::RunError) -> Error {
    Error::bad_input("input", problem, "use the data that the model was made for")
}
