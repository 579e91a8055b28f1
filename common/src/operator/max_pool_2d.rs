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

/// Writes the larger of each two values: of the second slice, or of what the first one holds where there is none, and the third. All have the same
/// length. A core's kernels bring their own way.
pub type Larger = fn(&mut [i8], Option<&[i8]>, &[i8]);

/// One value after the other.
fn one_by_one(values: &mut [i8], first: Option<&[i8]>, other: &[i8]) {
    for (index, (value, &other)) in values.iter_mut().zip(other).enumerate() {
        let one = first.and_then(|first| first.get(index)).unwrap_or(value);
        *value = other.max(*one);
    }
}

pub(crate) fn max_pool_2d(job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
    max_pool_2d_by(one_by_one, job, input, output);
}

/// Equation (7), all channels of a pixel at once.
// By itself, so that its numbers stay in registers.
#[inline(never)]
pub fn max_pool_2d_by(larger: Larger, job: &MaxPool2dJob, input: &[i8], mut output: &mut [i8]) {
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
    for y in 0..usize::from(job.output.height) {
        for x in 0..usize::from(job.output.width) {
            let [rows, columns] = Span::both(&job.window, job.input, [y, x]);
            let Some(values) = output.split_off_mut(..depth) else { return };
            // The first tap, until it has met another.
            let mut first = None;
            let mut is_fresh = true;
            let mut line = (rows.first_input * width + columns.first_input) * depth;
            for _ in rows.first_tap..rows.end_tap {
                let mut place = line;
                for _ in columns.first_tap..columns.end_tap {
                    let end = place.wrapping_add(depth);
                    let Some(pixel) = input.get(place..end) else { return };
                    place = end;
                    if is_fresh {
                        is_fresh = false;
                        first = Some(pixel);
                    } else {
                        larger(values, first.take(), pixel);
                    }
                }
                line = line.wrapping_add(width * depth);
            }
            if let Some(only) = first {
                larger(values, Some(only), only);
            }
            if job.activation != ActivationRange::FULL {
                for value in values {
                    *value = job.activation.saturate(i32::from(*value));
                }
            }
        }
    }
}
