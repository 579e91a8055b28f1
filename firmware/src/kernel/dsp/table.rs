//! Tables, sixteen values a round: a load, a look-up and a store a value, and two instructions of loop.
//!
//! Words of four values save nothing: each index must then be cut out of its word, and each result put into one.

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::operator::{Table, TableJob};

// SAFETY: the symbol is that of `table.s`, with its calling convention.
unsafe extern "C" {
    fn th_dsp_table(
        input: *const i8,
        output: *mut i8,
        end: *const i8,
        entries: *const [u8; Table::ENTRIES],
    );
}

/// Values that the loop takes; the rest, fewer than sixteen, is left to the portable kernel.
const fn whole(length: usize) -> usize {
    length & !15
}

pub(super) fn table(job: &TableJob<'_>, input: &[i8], output: &mut [i8]) {
    let done = whole(input.len().min(output.len()));
    let out = output.as_mut_ptr();
    if done > 0 {
        // SAFETY: `done`, a multiple of 16 above 0, bytes of both slices are read or written.
        unsafe { th_dsp_table(input.as_ptr(), out, out.wrapping_add(done), job.entries) };
    }
    if let (Some(input), Some(output)) = (input.get(done..), output.get_mut(done..)) {
        Portable.table(job, input, output);
    }
}

pub(super) fn table_in_place(job: &TableJob<'_>, input_and_output: &mut [i8]) {
    let done = whole(input_and_output.len());
    let out = input_and_output.as_mut_ptr();
    if done > 0 {
        // SAFETY: as above; the loop reads four values before it writes them.
        unsafe { th_dsp_table(out, out, out.wrapping_add(done), job.entries) };
    }
    if let Some(rest) = input_and_output.get_mut(done..) {
        Portable.table_in_place(job, rest);
    }
}
