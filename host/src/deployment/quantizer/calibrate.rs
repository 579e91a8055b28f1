//! Runs the folded network in real numbers and keeps what scales and biases are chosen from.
//!
//! Samples are divided into parts of fixed size, parts run in parallel, and their sums are added in order: the result does not depend
//! on the number of threads.

use super::fold::FoldedNetwork;
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use rayon::prelude::*;

/// Samples of a part.
const PART: usize = 32;
/// Bins of a histogram: sign, exponent and the first six bits of the fraction of an f32.
pub const BINS: usize = 1 << 15;

/// What calibration knows about a tensor.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean of each channel over samples and pixels; of each element where a fully connected layer reads the tensor.
    pub mean: Vec<f64>,
    /// Variance, like the mean.
    pub variance: Vec<f64>,
    /// How many values fell into each bin; see [`bin_value`].
    pub counts: Vec<u64>,
    /// Largest raw value, for the network's input.
    pub raw_max: i16,
}

/// A value of a bin, 0 for zero.
pub fn bin_value(bin: usize) -> f64 {
    match bin & (BINS / 2 - 1) {
        0 => 0.0,
        // The bin's middle.
        _ => f64::from(f32::from_bits((bin as u32) << 17 | 1 << 16)),
    }
}

fn bin_of(value: f32) -> usize {
    (value.to_bits() >> 17) as usize
}

/// Sums over a part.
struct Sums {
    min: f32,
    max: f32,
    sum: Vec<f64>,
    squares: Vec<f64>,
    counts: Vec<u32>,
}

impl Sums {
    fn new(groups: usize) -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sum: vec![0.0; groups],
            squares: vec![0.0; groups],
            counts: vec![0; BINS],
        }
    }

    fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.sum.len()) {
            let sums = self.sum.iter_mut().zip(&mut self.squares);
            for (&value, (sum, square)) in pixel.iter().zip(sums) {
                self.min = self.min.min(value);
                self.max = self.max.max(value);
                *sum += f64::from(value);
                *square += f64::from(value) * f64::from(value);
                self.counts[bin_of(value)] += 1;
            }
        }
    }
}

/// Statistics of every tensor: the input, then the output of each folded node.
pub fn run(
    folded: &FoldedNetwork,
    trained: &TrainedNetwork,
    samples: &[i16],
) -> Result<Vec<Statistics>> {
    let elements = trained.network.input.elements();
    let count = samples.len() / elements;
    if count == 0 || !samples.len().is_multiple_of(elements) {
        return Err(Error::bad_input(
            format_args!("network '{}'", trained.network.name),
            format_args!("{} calibration values are not whole samples", samples.len()),
            format_args!("give at least one sample of {elements} values"),
        ));
    }
    let groups: Vec<usize> = (0..=folded.nodes.len()).map(|tensor| folded.groups(tensor)).collect();
    let mut totals: Option<Vec<Statistics>> = None;
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
                groups.iter().map(|&groups| Statistics::empty(groups)).collect()
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
            let place = tensor.checked_sub(1).map_or("input", |node| &folded.nodes[node].name);
            return Err(Error::bad_input(
                format_args!("layer '{place}'"),
                "gives numbers that are not finite on the calibration samples",
                "train it again with a smaller learning rate or gradient clipping",
            ));
        }
        total.finish();
    }
    totals[0].raw_max = samples.iter().copied().max().unwrap_or(0);
    Ok(totals)
}

/// What the first layer reads for a raw sample.
pub fn normalize(trained: &TrainedNetwork, sample: &[i16]) -> Vec<f32> {
    let channels = trained.normalization.channels();
    let real = |(index, &raw): (usize, &i16)| trained.normalization.real(raw, index % channels);
    sample.iter().enumerate().map(|value| real(value) as f32).collect()
}

impl Statistics {
    fn empty(groups: usize) -> Self {
        Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: vec![0.0; groups],
            variance: vec![0.0; groups],
            counts: vec![0; BINS],
            raw_max: 0,
        }
    }

    /// Adds the sums of a part; mean and variance hold sums until [`Statistics::finish`].
    fn merge(&mut self, sums: &Sums) {
        self.min = self.min.min(f64::from(sums.min));
        self.max = self.max.max(f64::from(sums.max));
        for (total, sum) in self.mean.iter_mut().zip(&sums.sum) {
            *total += sum;
        }
        for (total, sum) in self.variance.iter_mut().zip(&sums.squares) {
            *total += sum;
        }
        for (total, &count) in self.counts.iter_mut().zip(&sums.counts) {
            *total += u64::from(count);
        }
    }

    fn finish(&mut self) {
        let values: u64 = self.counts.iter().sum();
        let count = values as f64 / self.mean.len() as f64;
        for (mean, variance) in self.mean.iter_mut().zip(&mut self.variance) {
            *mean /= count;
            *variance = (*variance / count - *mean * *mean).max(0.0);
        }
    }
}
