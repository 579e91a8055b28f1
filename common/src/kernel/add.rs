//! Element-wise sum of two tensors, equation (8): one rounding for both.

use super::Add;

pub(super) fn add(job: &Add, input: &[i8], other: &[i8], output: &mut [i8]) {
    for ((&first, &second), value) in input.iter().zip(other).zip(output) {
        *value = sum(job, first, second);
    }
}

pub(super) fn add_in_place(job: &Add, input_and_output: &mut [i8], other: &[i8]) {
    for (value, &second) in input_and_output.iter_mut().zip(other) {
        *value = sum(job, *value, second);
    }
}

/// Both products are below `2^23` and their sum below `2^24`, far from the ends of 32 bits.
#[inline(always)]
fn sum(job: &Add, first: i8, second: i8) -> i8 {
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
