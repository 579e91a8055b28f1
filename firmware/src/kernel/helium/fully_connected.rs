//! Fully connected layers: eight outputs at a time.
//!
//! Every weight is used once, so a step of the inner loop is one load of 16 inputs, eight of weights and eight `VMLADAVA`: 17 instructions
//! for 128 multiply-accumulates. 4-bit weights take 21, 2-bit ones 25.

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::vector_pairs::{padded_depth, pair_bytes, unit};
use tinyhero_common::operator::FullyConnectedJob;

use super::Table;
use super::lines::{copy_lines, fill};
use crate::kernel::offsets::{assert_offsets, assert_words};

core::arch::global_asm!(include_str!("fully_connected.s"), options(raw));

/// Longest padded row whose sums cannot overflow while they stand 16-fold: `16 · 8 · 128 · 2^16 = 2^30`.
const LONGEST_ROW: usize = 1 << 16;

/// What a routine computes: `channels` outputs from `units` units of inputs. The routine counts in it.
#[repr(C)]
struct Job {
    input: *const i8,
    units: usize,
    weights: *const u8,
    pair_bytes: usize,
    table: Table,
    output: *mut i8,
    channels: usize,
    zero_point: i32,
    activation_min: i32,
    activation_max: i32,
    /// How far to move the sums of even and odd channels with 4-bit weights.
    left: [i32; 4],
}

assert_offsets!(
    "fully_connected.s", Job, ".Lfully_connected_":
    "units" = units,
    "weights" = weights,
    "biases" = table.biases,
    "shifts" = table.shifts,
    "channels" = channels,
    "zero_point" = zero_point,
    "activation_min" = activation_min,
    "left" = left,
);
assert_words!(
    Job: input, units, weights, pair_bytes, table.biases, table.multipliers, table.shifts, output,
    channels, zero_point, activation_min, activation_max, left
);

// SAFETY: `fully_connected.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_fully_connected_8(job: *mut Job);
    fn tinyhero_helium_fully_connected_4(job: *mut Job);
    fn tinyhero_helium_fully_connected_2(job: *mut Job);
}

/// `None`, with nothing written but scratch, for jobs that these kernels do not take.
pub(super) fn fully_connected(
    job: &FullyConnectedJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let weights = job.weights;
    let depth = padded_depth(weights.bit_width, weights.row_length);
    let pair_bytes = pair_bytes(weights.bit_width, weights.row_length);
    let channels = output.len();
    let fits = weights.layout == Layout::VectorPairs
        && (1..=LONGEST_ROW).contains(&depth)
        && input.len() == weights.row_length
        && weights.bytes.len() == pair_bytes.checked_mul(channels.div_ceil(2))?
        && channels > 0;
    if !fits {
        return None;
    }
    let table = Table::new(job.channels, channels)?;
    let input = if depth == input.len() {
        input
    } else {
        let padded = scratch.get_mut(..depth)?;
        let (values, padding) = padded.split_at_mut_checked(input.len())?;
        copy_lines(values, input, 1, input.len(), 0)?;
        fill(padding, 0);
        padded
    };
    let mut call = Job {
        input: input.as_ptr(),
        units: depth.checked_div(unit(weights.bit_width))?,
        weights: weights.bytes.as_ptr(),
        pair_bytes,
        table,
        output: output.as_mut_ptr(),
        channels,
        zero_point: job.output_zero_point.into(),
        activation_min: job.activation.min.into(),
        activation_max: job.activation.max.into(),
        left: [-4, 0, -4, 0],
    };
    let call = &raw mut call;
    // SAFETY: the routine reads `units` units, which are `depth` bytes, of the input and as many of each pair of rows, of which there are
    // `channels` over two, rounded up; pairs beyond the last are that one again. Loads from the table and stores of outputs are predicated to
    // `channels` lanes. All lengths have been compared with the slices above; the job lives until the routine returns.
    unsafe {
        match field_bits(weights.bit_width) {
            2 => tinyhero_helium_fully_connected_2(call),
            4 => tinyhero_helium_fully_connected_4(call),
            _ => tinyhero_helium_fully_connected_8(call),
        }
    }
    Some(())
}
