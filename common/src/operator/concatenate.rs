//! The channels of two tensors side by side, equation (14).

use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize};

described! {
    /// All channels of the first tensor, then all of the second, each at the output's scale.
    pub struct Concatenate {
        /// `scale_in / scale_out`.
        pub rescale: Rescale,
        /// `scale_other / scale_out`.
        pub other_rescale: Rescale,
    }
}

/// Two tensors to be put side by side.
#[derive(Clone, Copy, Debug)]
pub struct ConcatenateJob {
    /// Channels of the first operand.
    pub channels: usize,
    /// Channels of the other operand.
    pub other_channels: usize,
    /// `scale_in / scale_out`.
    pub rescale: Rescale,
    /// `scale_other / scale_out`.
    pub other_rescale: Rescale,
    /// Zero point of the first operand.
    pub input_zero_point: i8,
    /// Zero point of the other operand.
    pub other_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for Concatenate {
    type Job<'a> = ConcatenateJob;

    const NAME: &'static str = "concatenate";
    const OPERANDS: usize = 2;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let output = &tensors.output.shape;
        let mut channels = 0u32;
        for operand in tensors.inputs {
            let shape = &operand.tensor.shape;
            let same = shape.height == output.height && shape.width == output.width;
            require(same, Reason::ShapeMismatch)?;
            channels = channels.wrapping_add(u32::from(shape.channels));
        }
        require(channels == u32::from(output.channels), Reason::ShapeMismatch)?;
        for rescale in [self.rescale, self.other_rescale] {
            require(rescale.is_valid(), Reason::Rescale)?;
            require(255 <= rescale.accumulator_limit(), Reason::Accumulator)?;
        }
        Ok(())
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<ConcatenateJob> {
        let (input, other) = (tensors.input(), &tensors.inputs.get(1)?.tensor);
        Some(ConcatenateJob {
            channels: usize::from(input.shape.channels),
            other_channels: usize::from(other.shape.channels),
            rescale: self.rescale,
            other_rescale: self.other_rescale,
            input_zero_point: input.zero_point,
            other_zero_point: other.zero_point,
            output_zero_point: tensors.output.zero_point,
            activation: tensors.activation,
        })
    }
}

pub(crate) fn concatenate(job: &ConcatenateJob, input: &[i8], other: &[i8], output: &mut [i8]) {
    let (mut input, mut other, mut rest) = (input, other, output);
    let channels = job.channels.saturating_add(job.other_channels);
    // Without channels nothing would get smaller; only a model that was not validated has none.
    while channels > 0
        && let Some(pixel) = rest.split_off_mut(..channels)
        && let Some((first, second)) = pixel.split_at_mut_checked(job.channels)
        && let Some(values) = input.split_off(..job.channels)
        && let Some(others) = other.split_off(..job.other_channels)
    {
        rescaled(job, values, job.input_zero_point, job.rescale, first);
        rescaled(job, others, job.other_zero_point, job.other_rescale, second);
    }
}

/// The values of one operand at the output's scale.
fn rescaled(
    job: &ConcatenateJob,
    values: &[i8],
    zero_point: i8,
    rescale: Rescale,
    output: &mut [i8],
) {
    for (value, &input) in output.iter_mut().zip(values) {
        let distance = i32::from(input) - i32::from(zero_point);
        *value = requantize(distance, rescale, job.output_zero_point, job.activation);
    }
}
