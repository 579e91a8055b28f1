//! Element-wise sums, four at a time: both products and the addend of a sum are one instruction.

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::AddJob;
use tinyhero_common::requantize::ActivationRange;

// SAFETY: the symbol is that of `add.s`, with its calling convention.
unsafe extern "C" {
    fn th_dsp_add(
        first: *const i8,
        second: *const i8,
        output: *mut i8,
        end: *const i8,
        multipliers: u32,
        addend: i32,
        shift: u32,
    );
}

/// The constants as the loop takes them: multipliers in two lanes; zero points and the rounding half in one addend, below
/// `2^31` in magnitude as shifts are at most 23.
fn constants(job: &AddJob) -> Option<(u32, i32, u32)> {
    let rescale = job.rescale;
    let shift = u32::from(rescale.shift);
    if job.activation != ActivationRange::FULL || !(1..=23).contains(&shift) {
        return None;
    }
    let (first, second) = (i32::from(rescale.multiplier), i32::from(rescale.other_multiplier));
    let multipliers = (second as u32) << 16 | (first as u32 & 0xFFFF);
    let addend = (i32::from(job.output_zero_point).wrapping_shl(shift))
        .wrapping_add(1i32.wrapping_shl(shift - 1))
        .wrapping_sub(first.wrapping_mul(i32::from(job.input_zero_point)))
        .wrapping_sub(second.wrapping_mul(i32::from(job.other_zero_point)));
    Some((multipliers, addend, shift))
}

/// Elements that the loop takes; the rest, fewer than four, is left to the portable kernel.
const fn whole(length: usize) -> usize {
    length & !3
}

pub(super) fn add(job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
    let mut done = 0;
    if let Some((multipliers, addend, shift)) = constants(job) {
        done = whole(input.len().min(other.len()).min(output.len()));
        let out = output.as_mut_ptr();
        let end = out.wrapping_add(done);
        if done > 0 {
            // SAFETY: `done`, a multiple of 4 above 0, bytes of all three slices are read or written.
            unsafe {
                th_dsp_add(input.as_ptr(), other.as_ptr(), out, end, multipliers, addend, shift);
            }
        }
    }
    let rest = (input.get(done..), other.get(done..), output.get_mut(done..));
    if let (Some(input), Some(other), Some(output)) = rest {
        Portable.add(job, input, other, output);
    }
}

pub(super) fn add_in_place(job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
    let mut done = 0;
    if let Some((multipliers, addend, shift)) = constants(job) {
        done = whole(input_and_output.len().min(other.len()));
        let out = input_and_output.as_mut_ptr();
        let end = out.wrapping_add(done);
        if done > 0 {
            // SAFETY: as above; each round reads four elements before it writes them.
            unsafe { th_dsp_add(out, other.as_ptr(), out, end, multipliers, addend, shift) };
        }
    }
    if let (Some(rest), Some(other)) = (input_and_output.get_mut(done..), other.get(done..)) {
        Portable.add_in_place(job, rest, other);
    }
}
