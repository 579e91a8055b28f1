//! The network as it was and as it is rounded so far, both on the same samples, layer by layer.

use rayon::prelude::*;

use super::moments::Moments;
use crate::deployment::quantizer::calibrate::{check_samples, normalize, not_finite};
use crate::deployment::quantizer::fold::{FoldedNetwork, FoldedNode};
use crate::error::Result;
use crate::graph::trained_network::TrainedNetwork;

/// Values of the largest tensor over all samples at most; samples beyond are left out.
const MOST_VALUES: usize = 1 << 25;
/// Products that the covariances of a layer cost at most; windows beyond are left out.
const MOST_PRODUCTS: u128 = 6_000_000_000;
/// Windows that are looked at however long they are, if there are as many.
const FEWEST_WINDOWS: usize = 8_192;

/// Both networks on the same samples. A tensor is kept until its last reader has run.
pub struct Pair<'a> {
    reference: &'a FoldedNetwork,
    samples: usize,
    /// Tensors of the network as it was, sample after sample.
    exact: Vec<Vec<f32>>,
    /// The same of the network as it is rounded.
    rounded: Vec<Vec<f32>>,
}

/// The values that a layer reads.
pub struct Inputs<'a> {
    /// Sample after sample.
    pub values: &'a [f32],
    /// Values of a sample.
    pub elements: usize,
    /// A power of two that brings the largest value near 1.
    pub unit: f32,
    /// Windows of a sample.
    pixels: usize,
    samples: usize,
    /// Every how many windows are looked at.
    every: usize,
}

impl<'a> Inputs<'a> {
    /// Of samples of so many values that give so many pixels each. Every how many windows are
    /// looked at.
    pub fn new(values: &'a [f32], elements: usize, pixels: usize, every: usize) -> Self {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let exponent = if largest > 0.0 && largest.is_finite() {
            f64::from(largest).log2().ceil().clamp(-100.0, 100.0)
        } else {
            0.0
        };
        let unit = (-exponent).exp2() as f32;
        Self { values, elements, unit, pixels, samples: values.len() / elements.max(1), every }
    }

    /// Whether that window of that sample is looked at.
    pub const fn is_taken(&self, sample: usize, pixel: usize) -> bool {
        (sample * self.pixels + pixel).is_multiple_of(self.every)
    }

    /// How many windows are looked at.
    pub const fn windows(&self) -> usize {
        (self.samples * self.pixels).div_ceil(self.every)
    }
}

impl<'a> Pair<'a> {
    /// Both at their inputs.
    ///
    /// # Errors
    /// The samples are not whole.
    pub fn new(
        reference: &'a FoldedNetwork,
        trained: &TrainedNetwork,
        samples: &[i16],
    ) -> Result<Self> {
        let elements = check_samples(trained, samples)?;
        let largest = (0..reference.tensors()).map(|tensor| reference.elements(tensor)).max();
        let limit = (MOST_VALUES / largest.unwrap_or(1).max(1)).max(1);
        // Spread over all of them.
        let every = (samples.len() / elements).div_ceil(limit);
        let taken: Vec<&[i16]> = samples.chunks_exact(elements).step_by(every).collect();
        let real: Vec<Vec<f32>> = taken.iter().map(|sample| normalize(trained, sample)).collect();
        let mut pair = Self {
            reference,
            samples: taken.len(),
            exact: vec![Vec::new(); reference.tensors()],
            rounded: vec![Vec::new(); reference.tensors()],
        };
        let mut start = 0;
        for (tensor, input) in reference.inputs.iter().enumerate() {
            let own = start..start + input.elements();
            start = own.end;
            let values: Vec<f32> =
                real.iter().flat_map(|sample| &sample[own.clone()]).copied().collect();
            pair.exact[tensor].clone_from(&values);
            pair.rounded[tensor] = values;
        }
        Ok(pair)
    }

    /// What a layer reads in the rounded network.
    pub fn inputs(&self, index: usize) -> Inputs<'_> {
        let node = &self.reference.nodes[index];
        let tensor = node.inputs[0];
        let pixels = node.shape.pixels();
        let windows = self.samples * pixels;
        let products = node.operator.linear().map_or(0, |linear| linear.pairs());
        let every = (windows as u128 * products as u128).div_ceil(MOST_PRODUCTS).max(1);
        let every = usize::try_from(every).unwrap_or(usize::MAX);
        let every = every.min((windows / FEWEST_WINDOWS).max(1));
        Inputs::new(&self.rounded[tensor], self.reference.elements(tensor), pixels, every)
    }

    /// Computes a layer as it was. Gives the moments of its output before the activation, over the
    /// windows of [`Pair::inputs`].
    ///
    /// # Errors
    /// They are not finite.
    pub fn compute_exact(&mut self, index: usize) -> Result<Moments> {
        let node = &self.reference.nodes[index];
        let output = compute(node, self.reference, &self.exact, self.samples);
        let channels = usize::from(node.shape.channels);
        let moments = moments(&output, channels, &self.inputs(index));
        let finite = moments.mean.iter().chain(&moments.variance).all(|value| value.is_finite());
        if !finite {
            return Err(not_finite(&node.name));
        }
        self.exact[self.reference.tensor_of(index)] = activated(node, output);
        Ok(moments)
    }

    /// Computes a layer of the rounded network, and forgets what nobody reads any more.
    pub fn compute_rounded(&mut self, index: usize, node: &FoldedNode) {
        let output = compute(node, self.reference, &self.rounded, self.samples);
        self.rounded[self.reference.tensor_of(index)] = activated(node, output);
        for &tensor in &node.inputs {
            let later = &self.reference.nodes[index + 1..];
            if !later.iter().any(|node| node.inputs.contains(&tensor)) {
                self.exact[tensor] = Vec::new();
                self.rounded[tensor] = Vec::new();
            }
        }
    }
}

/// The output of a node on all samples, before its activation.
fn compute(
    node: &FoldedNode,
    network: &FoldedNetwork,
    tensors: &[Vec<f32>],
    samples: usize,
) -> Vec<f32> {
    let elements = node.shape.elements();
    let mut output = vec![0.0; elements * samples];
    output.par_chunks_exact_mut(elements.max(1)).enumerate().for_each(|(sample, output)| {
        let inputs = node.inputs.iter().map(|&tensor| {
            let elements = network.elements(tensor);
            &tensors[tensor][sample * elements..(sample + 1) * elements]
        });
        let inputs: Vec<&[f32]> = inputs.collect();
        node.operator.forward(&inputs, output);
    });
    output
}

fn activated(node: &FoldedNode, mut output: Vec<f32>) -> Vec<f32> {
    node.activation.apply(&mut output);
    output
}

/// Mean and variance of each channel over the windows that are looked at.
fn moments(output: &[f32], channels: usize, inputs: &Inputs<'_>) -> Moments {
    let mut sums = vec![(0.0f64, 0.0f64); channels];
    // The first window's values, so that little is lost when the squared mean is taken off.
    let base: Vec<f64> = output[..channels].iter().map(|&value| f64::from(value)).collect();
    for window in output.chunks_exact(channels).step_by(inputs.every) {
        for ((sum, squares), (&value, base)) in sums.iter_mut().zip(window.iter().zip(&base)) {
            let value = f64::from(value) - base;
            *sum += value;
            *squares += value * value;
        }
    }
    let count = inputs.windows() as f64;
    let of_channel = |((sum, squares), base): (&(f64, f64), &f64)| {
        let mean = sum / count;
        (base + mean, (squares / count - mean * mean).max(0.0))
    };
    let (mean, variance) = sums.iter().zip(&base).map(of_channel).unzip();
    Moments { mean, variance }
}
