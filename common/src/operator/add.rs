//! Element-wise sum of two tensors, equation (8): one rounding for both.

use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, AddRescale};

described! {
    /// Element-wise sum of two tensors of one shape.
    pub struct Add {
        /// How both are brought to the output's scale.
        pub rescale: AddRescale,
    }
}

/// An element-wise sum, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct AddJob {
    /// How both operands are brought to the output's scale.
    pub rescale: AddRescale,
    /// Zero point of the first operand.
    pub input_zero_point: i8,
    /// Zero point of the other operand.
    pub other_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for Add {
    type Job<'a> = AddJob;

    const NAME: &'static str = "add";
    const OPERANDS: usize = 2;
    const MAY_OVERWRITE: bool = true;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let shape = &tensors.output.shape;
        let same = tensors.inputs.iter().all(|operand| operand.tensor.shape == *shape);
        require(same, Reason::ShapeMismatch)?;
        let AddRescale { multiplier, other_multiplier, shift } = self.rescale;
        let valid = multiplier >= 1 && other_multiplier >= 1 && (1..=23).contains(&shift);
        require(valid, Reason::Rescale)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<AddJob> {
        Some(AddJob {
            rescale: self.rescale,
            input_zero_point: tensors.input().zero_point,
            other_zero_point: tensors.inputs.get(1)?.tensor.zero_point,
            output_zero_point: tensors.output.zero_point,
            activation: tensors.activation,
        })
    }

    fn exchanged(&self) -> Self {
        let AddRescale { multiplier, other_multiplier, shift } = self.rescale;
        let rescale =
            AddRescale { multiplier: other_multiplier, other_multiplier: multiplier, shift };
        Self { rescale }
    }
}

pub(crate) fn add(job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
    for ((&first, &second), value) in input.iter().zip(other).zip(output) {
        *value = sum(job, first, second);
    }
}

pub(crate) fn add_in_place(job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
    for (value, &second) in input_and_output.iter_mut().zip(other) {
        *value = sum(job, *value, second);
    }
}

/// Both products are below `2^23` and their sum below `2^24`, far from the ends of 32 bits.
#[inline(always)]
fn sum(job: &AddJob, first: i8, second: i8) -> i8 {
    let first = i32::from(first) - i32::from(job.input_zero_point);
    let second = i32::from(second) - i32::from(job.other_zero_point);
    let total = first
        .wrapping_mul(i32::from(job.rescale.multiplier))
        .wrapping_add(second.wrapping_mul(i32::from(job.rescale.other_multiplier)));
    let shift = u32::from(job.rescale.shift);
    let half = 1i32.wrapping_shl(shift.wrapping_sub(1));
    let rounded = total.wrapping_add(half).wrapping_shr(shift);
    job.activation.saturate(rounded.wrapping_add(i32::from(job.output_zero_point)))
}
