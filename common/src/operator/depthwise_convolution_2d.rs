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

    super::weights::shows_weights!();

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
    job.each_output(scratch, output, &|taps, [channel, y, x]| {
        window_sum(job, taps, input, channel, y, x)
    });
}

/// `Σ w · (x − zero point)` over the taps of output pixel `(y, x)` inside the image, in one channel.
#[inline(always)]
fn window_sum(
    job: &ConvolutionJob<'_>,
    taps: &[i8],
    input: &[i8],
    channel: usize,
    y: usize,
    x: usize,
) -> i32 {
    let depth = usize::from(job.input.channels);
    let [rows, columns] = Span::both(&job.window, job.input, [y, x]);
    let zero_point = i32::from(job.input_zero_point);
    let mut first = rows.first_tap * usize::from(job.window.kernel_width) + columns.first_tap;
    let mut sum = 0i32;
    for row in rows.inputs() {
        let line = row * usize::from(job.input.width);
        let weights = taps.get(first..).unwrap_or(&[]);
        for (column, &weight) in columns.inputs().zip(weights) {
            let value = input.get((line + column) * depth + channel).copied().unwrap_or(0);
            let distance = i32::from(value).wrapping_sub(zero_point);
            sum = sum.wrapping_add(i32::from(weight) * distance);
        }
        first += usize::from(job.window.kernel_width);
    }
    sum
}
