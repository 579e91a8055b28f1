//! The seam at which a core's fast kernels take the place of the portable ones.
//!
//! [`Kernels`] has one method an operator; each default is the portable kernel in the operator's file, which every other
//! implementation must equal to the last bit. A fast kernel replaces a whole operator, tiles as it likes, and may use the
//! scratch bytes that the layer names. All kernels trust a validated model ([`crate::model::Model::load`]): slices have the
//! sizes that the job's shapes say. If they had not, the portable kernels would leave outputs unwritten, never panic.

mod only;

pub use only::{Only, only};

use crate::input;
use crate::layer::Layer;
use crate::operator::{
    self, AddJob, ConcatenateJob, ConvolutionJob, FullyConnectedJob, GroupedConvolutionJob, GruJob,
    LstmJob, MaxPool2dJob, MultiplyJob, PoolJob, Resize2dJob, SoftmaxJob, TableJob,
};
use crate::tensor::SampleType;

/// One implementation of every operator; the defaults are the portable kernels.
pub trait Kernels {
    /// The operators of which the set computes layers, a bit for each by its number ([`only`]). The descriptions of others are not read, so
    /// that an image has no code for them.
    const OPERATORS: u32 = u32::MAX;

    /// Whether the set computes a layer at all. Sets that leave some out keep their code small; an engine refuses models that
    /// need what its set lacks.
    fn computes(_layer: &Layer<'_>) -> bool {
        true
    }

    /// Equation (1). `maps` holds one [`InputMap`](input::InputMap) for all channels, or one per channel in turn.
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
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        operator::convolution_2d(job, input, scratch, output);
    }

    /// Equation (4).
    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        operator::depthwise_convolution_2d(job, input, scratch, output);
    }

    /// Equation (5).
    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        _scratch: &mut [i8],
        output: &mut [i8],
    ) {
        operator::fully_connected(job, input, output);
    }

    /// Equation (6).
    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        operator::average_pool_2d(job, input, output);
    }

    /// Equation (7).
    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        operator::max_pool_2d(job, input, output);
    }

    /// Equation (8).
    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        operator::add(job, input, other, output);
    }

    /// Equation (8) where the output takes the place of the first operand.
    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        operator::add_in_place(job, input_and_output, other);
    }

    /// Equation (9).
    fn softmax(&mut self, job: &SoftmaxJob, input: &[i8], output: &mut [i8]) {
        operator::softmax(job, input, output);
    }

    /// Equation (11).
    fn table(&mut self, job: &TableJob<'_>, input: &[i8], output: &mut [i8]) {
        operator::table(job, input, output);
    }

    /// Equation (11) where the output takes the place of the input.
    fn table_in_place(&mut self, job: &TableJob<'_>, input_and_output: &mut [i8]) {
        operator::table_in_place(job, input_and_output);
    }

    /// Equation (12).
    fn mean_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        operator::mean_pool_2d(job, input, output);
    }

    /// Equation (13). `other` is used again from its beginning where `input` is longer.
    fn multiply(&mut self, job: &MultiplyJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        operator::multiply(job, input, other, output);
    }

    /// Equation (13) where the output takes the place of the first operand.
    fn multiply_in_place(&mut self, job: &MultiplyJob, input_and_output: &mut [i8], other: &[i8]) {
        operator::multiply_in_place(job, input_and_output, other);
    }

    /// Equation (14).
    fn concatenate(&mut self, job: &ConcatenateJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        operator::concatenate(job, input, other, output);
    }

    /// Equation (15).
    fn resize_2d(&mut self, job: &Resize2dJob, input: &[i8], output: &mut [i8]) {
        operator::resize_2d(job, input, output);
    }

    /// Equation (16).
    fn transposed_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        operator::transposed_convolution_2d(job, input, scratch, output);
    }

    /// Equation (17).
    fn grouped_convolution_2d(
        &mut self,
        job: &GroupedConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        operator::grouped_convolution_2d(job, input, scratch, output);
    }

    /// Equation (19).
    fn lstm(&mut self, job: &LstmJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
        operator::lstm(job, input, scratch, output);
    }

    /// Equation (20).
    fn gru(&mut self, job: &GruJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
        operator::gru(job, input, scratch, output);
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
