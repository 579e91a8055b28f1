//! What the two kinds of average pooling share: their job, and the walk over the windows.

use super::Tensors;
use super::span::Span;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize_apart};
use crate::shape::{Shape, Window};

/// An average pooling of either kind, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct PoolJob {
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
    /// From what is made of a window's sum to steps of the output.
    pub rescale: Rescale,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl PoolJob {
    /// The job of a layer.
    #[inline(never)]
    pub(super) fn new(window: &Window, rescale: Rescale, tensors: &Tensors<'_>) -> Self {
        let (input, output) = (tensors.input(), tensors.output);
        Self {
            input: input.shape.copied(),
            output: output.shape.copied(),
            window: *window,
            input_zero_point: input.zero_point,
            output_zero_point: output.zero_point,
            rescale,
            activation: tensors.activation,
        }
    }
}

/// Checks what both kinds have in common; what is made of a sum is at most `bound` in magnitude.
#[inline(never)]
pub(super) fn check(
    tensors: &Tensors<'_>,
    window: &Window,
    rescale: Rescale,
    bound: u64,
) -> Result<(), Reason> {
    require(tensors.same_channels(), Reason::ShapeMismatch)?;
    require(rescale.is_valid(), Reason::Rescale)?;
    require(bound <= u64::from(rescale.accumulator_limit()), Reason::Accumulator)?;
    tensors.check_window(window)
}

/// Rescales what `of_sum` makes of each window's sum and of the number of its taps inside the image.
#[inline(always)]
pub(super) fn pool(
    job: &PoolJob,
    input: &[i8],
    output: &mut [i8],
    of_sum: impl Fn(i32, u32) -> i32,
) {
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
    let zero_point = i32::from(job.input_zero_point);
    let mut values = output.iter_mut();
    for y in 0..usize::from(job.output.height) {
        for x in 0..usize::from(job.output.width) {
            let [rows, columns] = Span::both(&job.window, job.input, [y, x]);
            let count = (rows.inputs().len() * columns.inputs().len()) as u32;
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
                    let sum = of_sum(sum, count);
                    *value =
                        requantize_apart(sum, job.rescale, job.output_zero_point, job.activation);
                }
            }
        }
    }
}
