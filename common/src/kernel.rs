//! The operators in plain integer arithmetic, and the seam at which a core's fast kernels take their place.
//!
//! [`Kernels`] has one method an operator; each default is the portable kernel of this module, which every other
//! implementation must equal to the last bit. A fast kernel replaces a whole operator, tiles as it likes, and may use the
//! scratch bytes that the layer names. All kernels trust a validated model ([`crate::model::Model::load`]): slices have the
//! sizes that the job's shapes say. If they had not, the portable kernels would leave outputs unwritten, never panic.

mod add;
mod average_pool_2d;
mod convolution_2d;
mod depthwise_convolution_2d;
mod fully_connected;
mod input;
mod max_pool_2d;
mod softmax;
mod span;

pub use input::InputMap;
pub use softmax::power_of_two_fraction;

use crate::channels::Channels;
use crate::layer::Layer;
use crate::layout::PackedWeights;
use crate::requantize::{ActivationRange, AddRescale, Rescale, requantize};
use crate::shape::{Shape, Window};
use crate::tensor::SampleType;

/// A convolution or depthwise convolution, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the kernel slides.
    pub window: Window,
    /// The packed weights.
    pub weights: PackedWeights<'a>,
    /// Bias and rescaling of each output channel.
    pub channels: Channels<'a>,
    /// Zero point of the input, which is also the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// A fully connected layer, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected<'a> {
    /// The packed weights; the row length is the number of inputs.
    pub weights: PackedWeights<'a>,
    /// Bias and rescaling of each output.
    pub channels: Channels<'a>,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// An average or max pooling, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the window slides.
    pub window: Window,
    /// Zero point of the input; not used by max pooling.
    pub input_zero_point: i8,
    /// Zero point of the output; not used by max pooling.
    pub output_zero_point: i8,
    /// `scale_in / (scale_out · taps)`; not used by max pooling.
    pub rescale: Rescale,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// An element-wise sum, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// How both operands are brought to the output's scale.
    pub rescale: AddRescale,
    /// Zero point of the first operand.
    pub input_zero_point: i8,
    /// Zero point of the other operand.
    pub other_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// A softmax over the channels of each pixel, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// Number of channels.
    pub channels: usize,
    /// `scale_in · log2(e) · 2^20`.
    pub exponent_multiplier: u32,
}

/// One implementation of every operator; the defaults are the portable kernels.
pub trait Kernels {
    /// Whether the set computes a layer at all. Sets that leave some out keep their code small; an engine refuses models that
    /// need what its set lacks.
    fn computes(_layer: &Layer<'_>) -> bool {
        true
    }

    /// Equation (1). `maps` holds one [`InputMap`] for all channels, or one per channel in turn.
    fn quantize_input(
        &mut self,
        maps: &[u8],
        sample_type: SampleType,
        raw: &[u8],
        input: &mut [i8],
    ) {
        input::quantize_input(maps, sample_type, raw, input);
    }

    /// Equation (3).
    fn convolution_2d(
        &mut self,
        job: &Convolution<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        convolution_2d::convolution_2d(job, input, scratch, output);
    }

    /// Equation (4).
    fn depthwise_convolution_2d(
        &mut self,
        job: &Convolution<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        depthwise_convolution_2d::depthwise_convolution_2d(job, input, scratch, output);
    }

    /// Equation (5).
    fn fully_connected(
        &mut self,
        job: &FullyConnected<'_>,
        input: &[i8],
        _scratch: &mut [i8],
        output: &mut [i8],
    ) {
        fully_connected::fully_connected(job, input, output);
    }

    /// Equation (6).
    fn average_pool_2d(&mut self, job: &Pool, input: &[i8], output: &mut [i8]) {
        average_pool_2d::average_pool_2d(job, input, output);
    }

    /// Equation (7).
    fn max_pool_2d(&mut self, job: &Pool, input: &[i8], output: &mut [i8]) {
        max_pool_2d::max_pool_2d(job, input, output);
    }

    /// Equation (8).
    fn add(&mut self, job: &Add, input: &[i8], other: &[i8], output: &mut [i8]) {
        add::add(job, input, other, output);
    }

    /// Equation (8) where the output takes the place of the first operand.
    fn add_in_place(&mut self, job: &Add, input_and_output: &mut [i8], other: &[i8]) {
        add::add_in_place(job, input_and_output, other);
    }

    /// Equation (9).
    fn softmax(&mut self, job: &Softmax, input: &[i8], output: &mut [i8]) {
        softmax::softmax(job, input, output);
    }
}

/// The kernels of this crate, on any core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl Kernels for Portable {}

/// Index of the largest value; the lowest of several. 0 for an empty slice.
pub fn argmax(values: &[i8]) -> usize {
    let mut best = 0;
    let mut largest = i32::MIN;
    for (index, &value) in values.iter().enumerate() {
        let value = i32::from(value);
        if value > largest {
            largest = value;
            best = index;
        }
    }
    best
}

/// Equation (2) for a convolution's sum.
#[inline(always)]
fn requantize_channel(job: &Convolution<'_>, sum: i32, rescale: Rescale) -> i8 {
    requantize(sum, rescale, job.output_zero_point, job.activation)
}
