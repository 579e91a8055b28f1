//! Product of two tensors, or of a tensor and a vector of its channels, equation (13).

use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize};
use crate::shape::Shape;

described! {
    /// Products. The second operand has the first one's shape, or is a vector with a value for each channel.
    pub struct Multiply {
        /// `scale_in · scale_other / scale_out`.
        pub rescale: Rescale,
    }
}

/// A product, ready to run. The second operand is used again and again, as often as it fits the first.
#[derive(Clone, Copy, Debug)]
pub struct MultiplyJob {
    /// `scale_in · scale_other / scale_out`.
    pub rescale: Rescale,
    /// Zero point of the first operand.
    pub input_zero_point: i8,
    /// Zero point of the other operand.
    pub other_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for Multiply {
    type Job<'a> = MultiplyJob;

    const NAME: &'static str = "multiply";
    const OPERANDS: usize = 2;
    const MAY_OVERWRITE: bool = true;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let [first, other] = tensors.inputs else { return Err(Reason::OperandCount) };
        let shape = &tensors.output.shape;
        let other = &other.tensor.shape;
        let fits = other == shape || *other == Shape::vector(shape.channels);
        require(first.tensor.shape == *shape && fits, Reason::ShapeMismatch)?;
        require(self.rescale.is_valid(), Reason::Rescale)?;
        require(255 * 255 <= self.rescale.accumulator_limit(), Reason::Accumulator)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<MultiplyJob> {
        Some(MultiplyJob {
            rescale: self.rescale,
            input_zero_point: tensors.input().zero_point,
            other_zero_point: tensors.inputs.get(1)?.tensor.zero_point,
            output_zero_point: tensors.output.zero_point,
            activation: tensors.activation,
        })
    }
}

#[inline(always)]
fn product(job: &MultiplyJob, first: i8, second: i8) -> i8 {
    let first = i32::from(first) - i32::from(job.input_zero_point);
    let second = i32::from(second) - i32::from(job.other_zero_point);
    requantize(first.wrapping_mul(second), job.rescale, job.output_zero_point, job.activation)
}

pub(crate) fn multiply(job: &MultiplyJob, input: &[i8], other: &[i8], output: &mut [i8]) {
    for ((&first, &second), value) in input.iter().zip(other.iter().cycle()).zip(output) {
        *value = product(job, first, second);
    }
}

pub(crate) fn multiply_in_place(job: &MultiplyJob, input_and_output: &mut [i8], other: &[i8]) {
    for (value, &second) in input_and_output.iter_mut().zip(other.iter().cycle()) {
        *value = product(job, *value, second);
    }
}
