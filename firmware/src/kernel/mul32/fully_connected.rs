//! Fully connected layer: four channels at a time.

use tinyhero_common::kernel::{FullyConnected, Kernels, Portable};
use tinyhero_common::requantize::requantize;

use super::columns::total;
use super::quads::{QUAD, Quads};

#[inline(never)]
pub fn fully_connected(
    job: &FullyConnected<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let Some(quads) = Quads::new(&job.weights, output.len()) else {
        return Portable.fully_connected(job, input, scratch, output);
    };
    let column = if input.len() >= quads.depth {
        input
    } else {
        // The inner loops take whole groups; what lies behind the input is multiplied with empty fields.
        let Some(column) = scratch.get_mut(..quads.depth) else {
            return Portable.fully_connected(job, input, scratch, output);
        };
        for (place, &value) in column.iter_mut().zip(input) {
            *place = value;
        }
        column
    };
    let correction = total(input).wrapping_mul(quads.offset);
    let mut table = job.channels.iter();
    for (sums, values) in quads.sums(column).zip(output.chunks_mut(QUAD)) {
        for ((value, sum), channel) in values.iter_mut().zip(sums).zip(&mut table) {
            let sum = sum.wrapping_add(channel.bias).wrapping_sub(correction);
            *value = requantize(sum, channel.rescale, job.output_zero_point, job.activation);
        }
    }
}
