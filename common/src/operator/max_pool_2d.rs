//! Max pooling, equation (7).

use super::span::Span;
use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::ActivationRange;
use crate::shape::{Shape, Window};

described! {
    /// Largest values. Padding never wins; scale and zero point stay.
    pub struct MaxPool2d {
        /// How the window slides.
        pub window: Window,
    }
}

/// A max pooling, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2dJob {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// How the window slides.
    pub window: Window,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for MaxPool2d {
    type Job<'a> = MaxPool2dJob;

    const NAME: &'static str = "max-pool-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.same_channels(), Reason::ShapeMismatch)?;
        let (input, output) = (tensors.input(), tensors.output);
        let same = input.zero_point == output.zero_point && input.scale == output.scale;
        require(same, Reason::Quantization)?;
        tensors.check_window(&self.window)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<MaxPool2dJob> {
        Some(MaxPool2dJob {
            input: tensors.input().shape.copied(),
            output: tensors.output.shape.copied(),
            window: self.window,
            activation: tensors.activation,
        })
    }

    fn reads_per_output(&self) -> usize {
        self.window.taps()
    }
}

pub(crate) fn max_pool_2d(job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
    let window = job.window;
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
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
                let mut largest = i8::MIN;
                for row in rows.inputs() {
                    for column in columns.inputs() {
                        let place = (row * width + column) * depth + channel;
                        if let Some(&value) = input.get(place) {
                            largest = largest.max(value);
                        }
                    }
                }
                if let Some(value) = values.next() {
                    *value = job.activation.saturate(i32::from(largest));
                }
            }
        }
    }
}
