//! Average pooling, equation (6); global average pooling is a window of the image's size.

use super::span::Span;
use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize};
use crate::shape::{Shape, Window};

described! {
    /// Means. Padding counts as real zero and the divisor is always the whole window.
    pub struct AveragePool2d {
        /// How the window slides; global pooling is a window of the image's size.
        pub window: Window,
        /// `scale_in / (scale_out · taps)`.
        pub rescale: Rescale,
    }
}

/// An average pooling, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2dJob {
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
    /// `scale_in / (scale_out · taps)`.
    pub rescale: Rescale,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for AveragePool2d {
    type Job<'a> = AveragePool2dJob;

    const NAME: &'static str = "average-pool-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.same_channels(), Reason::ShapeMismatch)?;
        require(self.rescale.is_valid(), Reason::Rescale)?;
        let bound = 255 * self.window.taps() as u64;
        let limit = u64::from(self.rescale.accumulator_limit());
        require(bound <= limit, Reason::Accumulator)?;
        tensors.check_window(&self.window)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<AveragePool2dJob> {
        let (input, output) = (tensors.input(), tensors.output);
        Some(AveragePool2dJob {
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

pub(crate) fn average_pool_2d(job: &AveragePool2dJob, input: &[i8], output: &mut [i8]) {
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
            for channel in 0..depth {
                let mut sum = 0i32;
                for row in rows.inputs() {
                    for column in columns.inputs() {
                        let place = (row * width + column) * depth + channel;
                        if let Some(&value) = input.get(place) {
                            // Padding is real zero and adds nothing once the zero point is taken off.
                            sum = sum.wrapping_add(i32::from(value) - zero_point);
                        }
                    }
                }
                if let Some(value) = values.next() {
                    *value = requantize(sum, job.rescale, job.output_zero_point, job.activation);
                }
            }
        }
    }
}
