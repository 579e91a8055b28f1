//! Convolution over all input channels, equation (3).
//!
//! In the portable kernel, output channels are the outermost loop, so that each weight row is unpacked once and serves every pixel. Within a
//! window row the taps read neighbouring bytes of the input (HWC), so the inner loop is one dot product a window row.

use super::span::Span;
use super::{Rules, Tensors, Weights};
use crate::channels::Channels;
use crate::compact::described;
use crate::layout::channel_pairs::{self, PairColumns};
use crate::layout::vector_pairs::Strips;
use crate::layout::{Layout, PackedWeights};
use crate::reason::Reason;
use crate::requantize::{ActivationRange, Rescale, requantize};
use crate::shape::{Shape, Window, larger};

described! {
    /// Full convolution over all input channels.
    pub struct Convolution2d {
        /// How the kernel slides.
        pub window: Window,
        /// `output channels × (kernel_height · kernel_width · input channels)` weights.
        pub weights: Weights,
    }
}

/// A convolution or depthwise convolution, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct ConvolutionJob<'a> {
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

impl<'a> ConvolutionJob<'a> {
    /// The job of a layer whose rows have `row_length` weights.
    #[inline(never)]
    pub(super) fn new(
        window: &Window,
        weights: &Weights,
        row_length: usize,
        tensors: &Tensors<'_>,
        parameters: &'a [u8],
    ) -> Option<Self> {
        let (input, output) = (*tensors.input(), tensors.output);
        let rows = usize::from(output.shape.channels);
        let (weights, channels) = weights.find(parameters, rows, rows, row_length)?;
        Some(Self {
            input: input.shape,
            output: output.shape,
            window: *window,
            weights,
            channels,
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            activation: tensors.activation,
        })
    }

    /// Equation (2) for a channel's sum.
    #[inline(always)]
    pub(super) fn requantize(&self, sum: i32, rescale: Rescale) -> i8 {
        requantize(sum, rescale, self.output_zero_point, self.activation)
    }
}

impl Rules for Convolution2d {
    type Job<'a> = ConvolutionJob<'a>;

    const NAME: &'static str = "convolution-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        tensors.check_window(&self.window)
    }

    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<ConvolutionJob<'a>> {
        let row_length = self.row_length(tensors.input().shape, tensors.output.shape);
        ConvolutionJob::new(&self.window, &self.weights, row_length, tensors, parameters)
    }

    fn weights(&self) -> Option<&Weights> {
        Some(&self.weights)
    }

    fn weights_mut(&mut self) -> Option<&mut Weights> {
        Some(&mut self.weights)
    }

    fn row_length(&self, input: Shape, _output: Shape) -> usize {
        self.window.taps().saturating_mul(usize::from(input.channels))
    }

    /// One row of weights, unpacked.
    fn portable_scratch(&self, input: Shape, output: Shape) -> usize {
        self.row_length(input, output)
    }

    fn scratch(&self, input: Shape, output: Shape) -> usize {
        let Weights { bit_width, layout, .. } = self.weights;
        let fast = match layout {
            Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
            Layout::VectorPairs => Strips::new(self.window, bit_width, input, output).bytes,
            Layout::FieldQuads => {
                4 * channel_pairs::padded_depth(bit_width, self.row_length(input, output))
            }
            Layout::ChannelPairs => {
                PairColumns::new(self.window, bit_width, input, output).scratch_bytes()
            }
        };
        larger(self.portable_scratch(input, output), fast)
    }
}

pub(crate) fn convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let Some(row) = scratch.get_mut(..job.weights.row_length) else { return };
    for (index, channel) in job.channels.iter().enumerate() {
        job.weights.unpack(index, 0, row);
        let mut place = index;
        for y in 0..usize::from(job.output.height) {
            for x in 0..usize::from(job.output.width) {
                let sum = channel.bias.wrapping_add(window_sum(job, row, input, y, x));
                if let Some(value) = output.get_mut(place) {
                    *value = job.requantize(sum, channel.rescale);
                }
                place += usize::from(job.output.channels);
            }
        }
    }
}

/// `Σ w · x` over the window of output pixel `(y, x)`, padding included.
#[inline(always)]
fn window_sum(job: &ConvolutionJob<'_>, row: &[i8], input: &[i8], y: usize, x: usize) -> i32 {
    let window = job.window;
    let width = usize::from(job.input.width);
    let height = usize::from(job.input.height);
    let depth = usize::from(job.input.channels);
    let rows = Span::new(y, window.stride_height, window.padding_top, window.kernel_height, height);
    let columns =
        Span::new(x, window.stride_width, window.padding_left, window.kernel_width, width);
    let line_length = usize::from(window.kernel_width) * depth;
    let before = columns.first_tap * depth;
    let inside = columns.inputs().len() * depth;

    let mut sum = 0i32;
    let mut padded = 0i32;
    let mut rest = row;
    for tap in 0..usize::from(window.kernel_height) {
        let Some((line, tail)) = rest.split_at_checked(line_length) else { break };
        rest = tail;
        if tap < rows.first_tap || tap >= rows.end_tap {
            padded = padded.wrapping_add(total(line));
            continue;
        }
        let pixel = (rows.first_input + tap - rows.first_tap) * width + columns.first_input;
        let Some((left, line)) = line.split_at_checked(before) else { break };
        let Some((middle, right)) = line.split_at_checked(inside) else { break };
        let Some((_, values)) = input.split_at_checked(pixel * depth) else { break };
        sum = sum.wrapping_add(dot(middle, values));
        padded = padded.wrapping_add(total(left)).wrapping_add(total(right));
    }
    sum.wrapping_add(padded.wrapping_mul(i32::from(job.input_zero_point)))
}

/// `Σ w · x` over as many pairs as the shorter slice has.
#[inline(always)]
pub(super) fn dot(weights: &[i8], values: &[i8]) -> i32 {
    let mut sum = 0i32;
    for (&weight, &value) in weights.iter().zip(values) {
        sum = sum.wrapping_add(i32::from(weight) * i32::from(value));
    }
    sum
}

/// `Σ w · (x − zero point)` over as many pairs as the shorter slice has.
#[inline(always)]
pub(super) fn centred_dot(weights: &[i8], values: &[i8], zero_point: i8) -> i32 {
    let mut sum = 0i32;
    for (&weight, &value) in weights.iter().zip(values) {
        let distance = i32::from(value) - i32::from(zero_point);
        sum = sum.wrapping_add(i32::from(weight) * distance);
    }
    sum
}

/// `Σ w`.
#[inline(always)]
pub(super) fn total(weights: &[i8]) -> i32 {
    let mut sum = 0i32;
    for &weight in weights {
        sum = sum.wrapping_add(i32::from(weight));
    }
    sum
}
