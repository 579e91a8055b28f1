//! Runs the folded network in real numbers and keeps what scales and biases are chosen from.
//!
//! Samples are divided into parts of fixed size, parts run in parallel, and their sums are added in order: the result does not depend
//! on the number of threads.

use super::fold::FoldedNetwork;
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use crate::lowering::tensor_statistics::{Sums, TensorStatistics};
use rayon::prelude::*;

/// Samples of a part.
const PART: usize = 32;

/// Statistics of every tensor: the inputs, then the output of each folded node.
pub fn run(
    folded: &FoldedNetwork,
    trained: &TrainedNetwork,
    samples: &[i16],
) -> Result<Vec<TensorStatistics>> {
    let elements = check_samples(trained, samples)?;
    let groups: Vec<usize> = (0..folded.tensors()).map(|tensor| folded.groups(tensor)).collect();
    let mut totals: Option<Vec<TensorStatistics>> = None;
    // A few parts at a time, so that memory does not grow with the number of samples.
    for round in samples.chunks(elements * PART * rayon::current_num_threads().max(1)) {
        let parts: Vec<Vec<Sums>> = round
            .par_chunks(elements * PART)
            .map(|part| {
                let mut sums: Vec<Sums> = groups.iter().map(|&groups| Sums::new(groups)).collect();
                let mut values = folded.room();
                for sample in part.chunks_exact(elements) {
                    folded.forward(&normalize(trained, sample), &mut values);
                    for (sums, values) in sums.iter_mut().zip(&values) {
                        sums.add(values);
                    }
                }
                sums
            })
            .collect();
        for part in parts {
            let totals = totals.get_or_insert_with(|| {
                groups.iter().map(|&groups| TensorStatistics::empty(groups)).collect()
            });
            for (total, sums) in totals.iter_mut().zip(part) {
                total.merge(&sums);
            }
        }
    }
    let mut totals = totals.unwrap_or_default();
    for (tensor, total) in totals.iter_mut().enumerate() {
        let means = total.mean.iter().chain(&total.variance).all(|sum| sum.is_finite());
        if !(total.min.is_finite() && total.max.is_finite() && means) {
            let place = folded.node_of(tensor).map_or("input", |node| &folded.nodes[node].name);
            return Err(not_finite(place));
        }
        total.finish();
    }
    let mut start = 0;
    for (total, input) in totals.iter_mut().zip(&folded.inputs) {
        let own = start..start + input.elements();
        start = own.end;
        let raw = samples.chunks_exact(elements).flat_map(|sample| &sample[own.clone()]);
        total.raw_max = raw.copied().max().unwrap_or(0);
    }
    Ok(totals)
}

/// Values of a sample. Refuses what is not whole samples.
pub fn check_samples(trained: &TrainedNetwork, samples: &[i16]) -> Result<usize> {
    let elements = trained.network.sample_values();
    if samples.is_empty() || !samples.len().is_multiple_of(elements) {
        return Err(Error::bad_input(
            format_args!("network '{}'", trained.network.name),
            format_args!("{} calibration values are not whole samples", samples.len()),
            format_args!("give at least one sample of {elements} values"),
        ));
    }
    Ok(elements)
}

/// The error of a layer whose output is too large for a float.
pub fn not_finite(layer: &str) -> Error {
    Error::bad_input(
        format_args!("layer '{layer}'"),
        "gives numbers that are not finite on the calibration samples",
        "train it again with a smaller learning rate or gradient clipping",
    )
}

/// What the inputs of a network are for a raw sample, one after the other.
pub fn normalize(trained: &TrainedNetwork, sample: &[i16]) -> Vec<f32> {
    let mut values = Vec::with_capacity(sample.len());
    let mut rest = sample;
    let parts = trained.input.parts();
    for ((_, normalization, _), input) in parts.into_iter().zip(&trained.network.inputs) {
        let channels = normalization.channels();
        let (part, behind) = rest.split_at(input.shape.elements().min(rest.len()));
        let real = |(index, &raw): (usize, &i16)| normalization.real(raw, index % channels) as f32;
        values.extend(part.iter().enumerate().map(real));
        rest = behind;
    }
    values
}
