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
use crate::requantize::{ActivationRange, Rescale, requantize_apart};
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

    /// The portable convolutions: `sum_of` gives `Σ w · (x − zero point)` over the taps inside the image, for a row of weights and the
    /// channel, row and column of an output.
    // One for all of them, which is smaller than one for each, and not slower by what counts beside the sums.
    #[inline(never)]
    pub(super) fn each_output(
        &self,
        scratch: &mut [i8],
        output: &mut [i8],
        sum_of: &dyn Fn(&[i8], [usize; 3]) -> i32,
    ) {
        let Some(row) = scratch.get_mut(..self.weights.row_length) else { return };
        for (index, channel) in self.channels.iter().enumerate() {
            self.weights.unpack(index, 0, row);
            // The bias of the table is for taps that all meet something, if only a pixel of real zero.
            let zeros = total(row).wrapping_mul(i32::from(self.input_zero_point));
            let bias = channel.bias.wrapping_add(zeros);
            let mut place = index;
            for y in 0..usize::from(self.output.height) {
                for x in 0..usize::from(self.output.width) {
                    let sum = bias.wrapping_add(sum_of(row, [index, y, x]));
                    if let Some(value) = output.get_mut(place) {
                        *value = self.requantize(sum, channel.rescale);
                    }
                    place += usize::from(self.output.channels);
                }
            }
        }
    }

    /// Equation (2) for a channel's sum.
    #[inline(always)]
    pub(super) fn requantize(&self, sum: i32, rescale: Rescale) -> i8 {
        requantize_apart(sum, rescale, self.output_zero_point, self.activation)
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

    super::weights::shows_weights!();

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
    job.each_output(scratch, output, &|row, [_, y, x]| window_sum(job, row, input, y, x));
}

/// `Σ w · (x − zero point)` over the taps of output pixel `(y, x)` inside the image.
#[inline(always)]
fn window_sum(job: &ConvolutionJob<'_>, row: &[i8], input: &[i8], y: usize, x: usize) -> i32 {
    let depth = usize::from(job.input.channels);
    let [rows, columns] = Span::both(&job.window, job.input, [y, x]);
    let line = usize::from(job.window.kernel_width) * depth;
    let length = columns.inputs().len() * depth;
    let pitch = usize::from(job.input.width) * depth;
    let mut first = rows.first_tap * line + columns.first_tap * depth;
    let mut pixel = rows.first_input * pitch + columns.first_input * depth;
    let mut sum = 0i32;
    for _ in rows.inputs() {
        let weights = row.get(first..first + length).unwrap_or(&[]);
        let values = input.get(pixel..).unwrap_or(&[]);
        sum = sum.wrapping_add(centred_dot(weights, values, job.input_zero_point));
        (first, pixel) = (first + line, pixel + pitch);
    }
    sum
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
fn total(weights: &[i8]) -> i32 {
    let mut sum = 0i32;
    for &weight in weights {
        sum = sum.wrapping_add(i32::from(weight));
    }
    sum
}
