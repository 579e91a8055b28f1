//! Element-wise sum of two tensors, equation (8), four elements at a time: nine instructions, of which two multiply.

use tinyhero_common::operator::AddJob;

use crate::kernel::offsets::assert_words;

core::arch::global_asm!(include_str!("add.s"), options(raw));

/// `output[i] = clamp((input[i] · multiplier + other[i] · other_multiplier + constant) >> shift, rounded)` for `elements` elements.
#[repr(C)]
struct Job {
    input: *const i8,
    other: *const i8,
    output: *mut i8,
    elements: usize,
    multiplier: i32,
    other_multiplier: i32,
    constant: i32,
    left: i32,
    activation_min: i32,
    activation_max: i32,
}

assert_words!(
    Job: input, other, output, elements, multiplier, other_multiplier, constant, left,
    activation_min, activation_max
);

// SAFETY: `add.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_add(job: *const Job);
}

pub(super) fn add(job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
    let elements = input.len().min(other.len()).min(output.len());
    run(job, input.as_ptr(), other.as_ptr(), output.as_mut_ptr(), elements);
}

pub(super) fn add_in_place(job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
    let elements = input_and_output.len().min(other.len());
    let output = input_and_output.as_mut_ptr();
    run(job, output, other.as_ptr(), output, elements);
}

/// `elements` must be within all three tensors; `input` may be `output`.
fn run(job: &AddJob, input: *const i8, other: *const i8, output: *mut i8, elements: usize) {
    let shift = i32::from(job.rescale.shift);
    let multiplier = i32::from(job.rescale.multiplier);
    let other_multiplier = i32::from(job.rescale.other_multiplier);
    // Zero points are taken off after the products: |constant| < 2^24. The output's joins them where the shift leaves room for it,
    // which is always: 2^7 · 2^23 = 2^30, and the sum of all stays below 2^31.
    let constant = (i32::from(job.output_zero_point) << shift)
        - i32::from(job.input_zero_point) * multiplier
        - i32::from(job.other_zero_point) * other_multiplier;
    let call = Job {
        input,
        other,
        output,
        elements,
        multiplier,
        other_multiplier,
        constant,
        left: -shift,
        activation_min: job.activation.min.into(),
        activation_max: job.activation.max.into(),
    };
    // SAFETY: the routine reads and writes `elements` bytes from each pointer, the last vector predicated; both callers take the
    // length of the shortest slice. Elements are read before their place is written.
    unsafe { tinyhero_helium_add(&raw const call) };
}
