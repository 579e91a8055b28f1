//! Transposed convolution, equation (16): every input pixel adds its kernel to the output, strides apart.
//!
//! The portable kernel goes through the outputs: of an output's taps, only those that some input pixel reaches are looked at.

use super::convolution_2d::centred_dot;
use super::{ConvolutionJob, Rules, Tensors, Weights};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::shape::{Shape, Window};

described! {
    /// Every input pixel adds its kernel to the output.
    pub struct TransposedConvolution2d {
        /// Strides are from one input pixel's kernel to the next one's, in the output; padding is what is cut off above and left.
        pub window: Window,
        /// `output channels × (kernel_height · kernel_width · input channels)` weights.
        pub weights: Weights,
    }
}

impl Rules for TransposedConvolution2d {
    type Job<'a> = ConvolutionJob<'a>;

    const NAME: &'static str = "transposed-convolution-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        // Less than a stride of the output may lie beyond the last kernel.
        let axis = |kernel: u8, stride: u8, padding: u8, input: u16, output: u16| {
            let end = u32::from(input) * u32::from(stride) + u32::from(kernel);
            kernel >= 1
                && stride >= 1
                && padding < kernel
                && u32::from(output) + u32::from(padding) < end
        };
        let (input, output) = (&tensors.input().shape, &tensors.output.shape);
        let Window { kernel_height, stride_height, padding_top, .. } = self.window;
        let Window { kernel_width, stride_width, padding_left, .. } = self.window;
        let rows = axis(kernel_height, stride_height, padding_top, input.height, output.height);
        let columns = axis(kernel_width, stride_width, padding_left, input.width, output.width);
        require(rows && columns, Reason::Window)
    }

    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<ConvolutionJob<'a>> {
        let row_length = self.row_length(tensors.input().shape, tensors.output.shape);
        ConvolutionJob::new(&self.window, &self.weights, row_length, tensors, parameters)
    }

    super::weights::shows_weights!();

    fn row_length(&self, input: Shape, _output: Shape) -> usize {
        self.window.taps().saturating_mul(usize::from(input.channels))
    }

    fn macs(&self, input: Shape, output: Shape) -> u64 {
        // Every input pixel meets every weight once.
        let weights = self.row_length(input, output) as u64 * u64::from(output.channels);
        weights.saturating_mul(input.pixels() as u64)
    }

    /// One row of weights, unpacked.
    fn portable_scratch(&self, input: Shape, output: Shape) -> usize {
        self.row_length(input, output)
    }
}

/// Along one axis, the taps of an output that meet an input: the first one and its input, which may lie behind the image; the next taps are a
/// stride apart, their inputs one before the other.
fn meetings(output: usize, stride: u8, padding: u8) -> (usize, usize) {
    let place = output + usize::from(padding);
    let stride = usize::from(stride);
    (place.checked_rem(stride).unwrap_or(0), place.checked_div(stride).unwrap_or(0))
}

pub(crate) fn transposed_convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    job.each_output(scratch, output, &|row, [_, y, x]| reached(job, row, input, y, x));
}

/// `Σ w · (x − zero point)` over the taps of output pixel `(y, x)` that an input pixel reaches.
#[inline(always)]
fn reached(job: &ConvolutionJob<'_>, row: &[i8], input: &[i8], y: usize, x: usize) -> i32 {
    let window = job.window;
    let depth = usize::from(job.input.channels);
    let (height, width) = (usize::from(job.input.height), usize::from(job.input.width));
    let (kernel_height, kernel_width) =
        (usize::from(window.kernel_height), usize::from(window.kernel_width));
    let (mut tap_row, mut input_row) = meetings(y, window.stride_height, window.padding_top);
    let mut sum = 0i32;
    while tap_row < kernel_height {
        let (mut tap, mut column) = meetings(x, window.stride_width, window.padding_left);
        while input_row < height && tap < kernel_width {
            let weights = row.get((tap_row * kernel_width + tap) * depth..).unwrap_or(&[]);
            let values = input.get((input_row * width + column) * depth..).unwrap_or(&[]);
            if column < width
                && let Some(values) = values.get(..depth)
            {
                sum = sum.wrapping_add(centred_dot(weights, values, job.input_zero_point));
            }
            let Some(before) = column.checked_sub(1) else { break };
            column = before;
            tap += usize::from(window.stride_width);
        }
        let Some(before) = input_row.checked_sub(1) else { break };
        input_row = before;
        tap_row += usize::from(window.stride_height);
    }
    sum
}
