//! Convolution in groups of channels, with taps apart, equation (17): groups, dilation and depth multipliers without weights of zero.

use super::convolution_2d::centred_dot;
use super::{ConvolutionJob, Rules, Tensors, Weights};
use crate::compact::described;
use crate::layout::Layout;
use crate::layout::channel_pairs::PairColumns;
use crate::layout::channel_quads::QuadColumns;
use crate::reason::{Reason, require};
use crate::shape::{Shape, Window, larger};

described! {
    /// Convolution of each group of input channels to a group of output channels.
    pub struct GroupedConvolution2d {
        /// How the kernel slides; padding is fewer than the rows and columns that it spans.
        pub window: Window,
        /// Rows from one row of taps to the next, at least 1.
        pub dilation_height: u8,
        /// Columns from one column of taps to the next, at least 1.
        pub dilation_width: u8,
        /// Groups, which divide the channels of input and output.
        pub groups: u16,
        /// `output channels × (kernel_height · kernel_width · input channels of a group)` weights.
        pub weights: Weights,
    }
}

/// A grouped convolution, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct GroupedConvolutionJob<'a> {
    /// What a convolution has.
    pub convolution: ConvolutionJob<'a>,
    /// Vertical and horizontal distance of taps.
    pub dilation: [u8; 2],
    /// Groups of channels.
    pub groups: u16,
}

impl GroupedConvolution2d {
    /// The part of an image that a group reads or writes.
    pub fn group_of(&self, shape: Shape) -> Shape {
        Shape { channels: shape.channels.checked_div(self.groups).unwrap_or(0), ..shape }
    }
}

impl Rules for GroupedConvolution2d {
    type Job<'a> = GroupedConvolutionJob<'a>;

    const NAME: &'static str = "grouped-convolution-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let divides = |channels: u16| channels.checked_rem(self.groups) == Some(0);
        let (input, output) = (&tensors.input().shape, &tensors.output.shape);
        require(divides(input.channels) && divides(output.channels), Reason::ShapeMismatch)?;
        tensors.check_spread(&self.window, [self.dilation_height, self.dilation_width])
    }

    fn job<'a>(
        &self,
        tensors: &Tensors<'_>,
        parameters: &'a [u8],
    ) -> Option<GroupedConvolutionJob<'a>> {
        let row_length = self.row_length(tensors.input().shape, tensors.output.shape);
        let convolution =
            ConvolutionJob::new(&self.window, &self.weights, row_length, tensors, parameters)?;
        let dilation = [self.dilation_height, self.dilation_width];
        Some(GroupedConvolutionJob { convolution, dilation, groups: self.groups })
    }

    super::weights::shows_weights!();

    fn row_length(&self, input: Shape, _output: Shape) -> usize {
        let channels = input.channels.checked_div(self.groups).unwrap_or(0);
        self.window.taps().saturating_mul(usize::from(channels))
    }

    /// One row of weights, unpacked.
    fn portable_scratch(&self, input: Shape, output: Shape) -> usize {
        self.row_length(input, output)
    }

    /// What the kernels of convolutions need for a group, whose channels are copied out of the image; or what that of depthwise convolutions
    /// needs, with the pixels of two rows laid out as outputs read them.
    fn scratch(&self, input: Shape, output: Shape) -> usize {
        let Weights { bit_width, layout, .. } = self.weights;
        let fast = match layout {
            Layout::ChannelPairs => {
                let (input, output) = (self.group_of(input), self.group_of(output));
                let columns = PairColumns::new(self.window, bit_width, input, output);
                columns.scratch_bytes().saturating_add(input.elements().next_multiple_of(4))
            }
            Layout::ChannelQuads => {
                let wide = Shape { channels: output.channels, ..input };
                QuadColumns::new(self.window, wide, output).map_or(0, |columns| {
                    let lines = usize::from(input.width).saturating_mul(8);
                    columns.scratch_bytes().saturating_add(lines)
                })
            }
            _ => 0,
        };
        larger(self.portable_scratch(input, output), fast)
    }
}

pub(crate) fn grouped_convolution_2d(
    job: &GroupedConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let convolution = &job.convolution;
    let of_group = |channels: u16| usize::from(channels.checked_div(job.groups).unwrap_or(0));
    let (depth, outputs) =
        (of_group(convolution.input.channels), of_group(convolution.output.channels));
    convolution.each_output(scratch, output, &|row, [index, y, x]| {
        let first = index.checked_div(outputs).unwrap_or(0) * depth;
        inside(job, row, input, first..first + depth, [y, x])
    });
}

/// `Σ w · (x − zero point)` over the taps of an output pixel inside the image, in some of the channels.
#[inline(always)]
fn inside(
    job: &GroupedConvolutionJob<'_>,
    row: &[i8],
    input: &[i8],
    channels: core::ops::Range<usize>,
    [y, x]: [usize; 2],
) -> i32 {
    let ConvolutionJob { window, input: shape, .. } = &job.convolution;
    let [down, across] = job.dilation.map(usize::from);
    let (height, width) = (usize::from(shape.height), usize::from(shape.width));
    let start_row = y * usize::from(window.stride_height);
    let start_column = x * usize::from(window.stride_width);
    let (top, left) = (usize::from(window.padding_top), usize::from(window.padding_left));
    let (tap_rows, tap_columns) =
        (usize::from(window.kernel_height), usize::from(window.kernel_width));
    let mut sum = 0i32;
    for tap_row in 0..tap_rows {
        let Some(line) = (start_row + tap_row * down).checked_sub(top) else { continue };
        if line >= height {
            break;
        }
        for tap_column in 0..tap_columns {
            let column = (start_column + tap_column * across).checked_sub(left);
            let Some(column) = column else { continue };
            if column >= width {
                break;
            }
            let tap = tap_row * tap_columns + tap_column;
            let weights = row.get(tap * channels.len()..).unwrap_or(&[]);
            let pixel = (line * width + column) * usize::from(shape.channels);
            let values = input.get(pixel + channels.start..pixel + channels.end).unwrap_or(&[]);
            let zero_point = job.convolution.input_zero_point;
            sum = sum.wrapping_add(centred_dot(weights, values, zero_point));
        }
    }
    sum
}
