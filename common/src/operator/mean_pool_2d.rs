//! Average pooling over the taps inside the image, equation (12): padding does not count.

use super::span::Span;
use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize};
use crate::shape::{Shape, Window};

described! {
    /// Means of those taps that lie inside the image.
    pub struct MeanPool2d {
        /// How the window slides.
        pub window: Window,
        /// `scale_in / (scale_out · 2^7)`.
        pub rescale: Rescale,
    }
}

/// A mean pooling, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct MeanPool2dJob {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the window slides.
    pub window: Window,
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// `scale_in / (scale_out · 2^7)`.
    pub rescale: Rescale,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// Bits of a mean behind the point.
const FRACTION_BITS: u32 = 7;

impl Rules for MeanPool2d {
    type Job<'a> = MeanPool2dJob;

    const NAME: &'static str = "mean-pool-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.same_channels(), Reason::ShapeMismatch)?;
        require(self.rescale.is_valid(), Reason::Rescale)?;
        let bound = 255 << FRACTION_BITS;
        require(bound <= self.rescale.accumulator_limit(), Reason::Accumulator)?;
        tensors.check_window(&self.window)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<MeanPool2dJob> {
        let (input, output) = (tensors.input(), tensors.output);
        Some(MeanPool2dJob {
            input: input.shape.copied(),
            output: output.shape.copied(),
            window: self.window,
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            rescale: self.rescale,
            activation: tensors.activation,
        })
    }

    fn reads_per_output(&self) -> usize {
        self.window.taps()
    }
}

/// The mean of `count` values with the sum `sum`, in 2^-7, ties toward +∞.
///
/// A window has at most 255² taps and each a magnitude of at most 255, so that everything fits 32 bits. The division is one of numbers
/// without a sign, which every core has or has a routine for: the sum is moved up by 256 a value, and the mean down again.
#[inline(always)]
const fn mean(sum: i32, count: u32) -> i32 {
    let above = (sum as u32).wrapping_add(count << 8);
    let halves = (above << FRACTION_BITS).wrapping_add(count >> 1);
    match halves.checked_div(count) {
        Some(mean) => (mean as i32).wrapping_sub(256 << FRACTION_BITS),
        None => 0,
    }
}

pub(crate) fn mean_pool_2d(job: &MeanPool2dJob, input: &[i8], output: &mut [i8]) {
    let window = job.window;
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
    let zero_point = i32::from(job.input_zero_point);
    let mut values = output.iter_mut();
    for y in 0..usize::from(job.output.height) {
        let rows = Span::new(
            y,
            window.stride_height,
            window.padding_top,
            window.kernel_height,
            usize::from(job.input.height),
        );
        for x in 0..usize::from(job.output.width) {
            let columns =
                Span::new(x, window.stride_width, window.padding_left, window.kernel_width, width);
            let count = (rows.inputs().len() * columns.inputs().len()) as u32;
            for channel in 0..depth {
                let mut sum = 0i32;
                for row in rows.inputs() {
                    for column in columns.inputs() {
                        let place = (row * width + column) * depth + channel;
                        if let Some(&value) = input.get(place) {
                            sum = sum.wrapping_add(i32::from(value) - zero_point);
                        }
                    }
                }
                if let Some(value) = values.next() {
                    let mean = mean(sum, count);
                    *value = requantize(mean, job.rescale, job.output_zero_point, job.activation);
                }
            }
        }
    }
}
