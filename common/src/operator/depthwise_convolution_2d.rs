//! Depthwise convolution, equation (4): one kernel per channel, depth multiplier 1.

use super::span::Span;
use super::{ConvolutionJob, Rules, Tensors, Weights};
use crate::compact::described;
use crate::layout::Layout;
use crate::layout::channel_quads::QuadColumns;
use crate::layout::field_quads::QuadStrip;
use crate::layout::vector_rows::Blocks;
use crate::reason::{Reason, require};
use crate::shape::{Shape, Window, larger};

described! {
    /// One kernel per channel.
    pub struct DepthwiseConvolution2d {
        /// How the kernel slides.
        pub window: Window,
        /// `channels × (kernel_height · kernel_width)` weights.
        pub weights: Weights,
    }
}

impl Rules for DepthwiseConvolution2d {
    type Job<'a> = ConvolutionJob<'a>;

    const NAME: &'static str = "depthwise-convolution-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.same_channels(), Reason::ShapeMismatch)?;
        tensors.check_window(&self.window)
    }

    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<ConvolutionJob<'a>> {
        ConvolutionJob::new(&self.window, &self.weights, self.window.taps(), tensors, parameters)
    }

    fn weights(&self) -> Option<&Weights> {
        Some(&self.weights)
    }

    fn weights_mut(&mut self) -> Option<&mut Weights> {
        Some(&mut self.weights)
    }

    fn row_length(&self, _input: Shape, _output: Shape) -> usize {
        self.window.taps()
    }

    /// One kernel, unpacked.
    fn portable_scratch(&self, _input: Shape, _output: Shape) -> usize {
        self.window.taps()
    }

    fn scratch(&self, input: Shape, output: Shape) -> usize {
        let fast = match self.weights.layout {
            Layout::ChannelQuads => QuadColumns::new(self.window, input, output)
                .map_or(0, |columns| columns.scratch_bytes()),
            Layout::VectorRows => {
                Blocks::new(self.window, input, output).map_or(0, |blocks| blocks.bytes)
            }
            Layout::FieldQuads => QuadStrip::new(self.window, output).scratch_bytes(),
            Layout::Rows | Layout::ChannelPairs | Layout::VectorPairs => 0,
        };
        larger(self.window.taps(), fast)
    }
}

pub(crate) fn depthwise_convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let Some(taps) = scratch.get_mut(..job.weights.row_length) else { return };
    for (index, channel) in job.channels.iter().enumerate() {
        job.weights.unpack(index, 0, taps);
        let mut place = index;
        for y in 0..usize::from(job.output.height) {
            for x in 0..usize::from(job.output.width) {
                let sum = channel.bias.wrapping_add(window_sum(job, taps, input, index, y, x));
                if let Some(value) = output.get_mut(place) {
                    *value = job.requantize(sum, channel.rescale);
                }
                place += usize::from(job.output.channels);
            }
        }
    }
}

/// `Σ w · x` over the window of output pixel `(y, x)` in one channel, padding included.
#[inline(always)]
fn window_sum(
    job: &ConvolutionJob<'_>,
    taps: &[i8],
    input: &[i8],
    channel: usize,
    y: usize,
    x: usize,
) -> i32 {
    let window = job.window;
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
    let rows = Span::new(
        y,
        window.stride_height,
        window.padding_top,
        window.kernel_height,
        usize::from(job.input.height),
    );
    let columns =
        Span::new(x, window.stride_width, window.padding_left, window.kernel_width, width);
    let zero_point = i32::from(job.input_zero_point);

    let mut sum = 0i32;
    let mut tap = taps.iter();
    for row in 0..usize::from(window.kernel_height) {
        let row_inside = row >= rows.first_tap && row < rows.end_tap;
        let line = (rows.first_input + row).saturating_sub(rows.first_tap) * width;
        for column in 0..usize::from(window.kernel_width) {
            let Some(&weight) = tap.next() else { break };
            let inside = row_inside && column >= columns.first_tap && column < columns.end_tap;
            let pixel = line + (columns.first_input + column).saturating_sub(columns.first_tap);
            let value = if inside {
                input.get(pixel * depth + channel).map_or(zero_point, |&value| i32::from(value))
            } else {
                zero_point
            };
            sum = sum.wrapping_add(i32::from(weight) * value);
        }
    }
    sum
}
