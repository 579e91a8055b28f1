//! Fully connected layer: four channels at a time.

use tinyhero_common::kernel::{FullyConnected, Kernels, Portable};
use tinyhero_common::requantize::requantize;

use super::columns::total;
use super::core_loops::dot_single;
use super::quads::{QUAD, Quads};

pub fn fully_connected(
    job: &FullyConnected<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let quads = Quads::new(&job.weights);
    if quads.bytes == 0 {
        return;
    }
    let correction = total(input).wrapping_mul(quads.offset);
    let column = if input.len() >= quads.depth {
        input
    } else {
        // The inner loops take whole groups; what lies behind the input is multiplied with empty fields.
        let (Some(column), true) = (scratch.get_mut(..quads.depth), input.len() <= quads.depth)
        else {
            return Portable.fully_connected(job, input, scratch, output);
        };
        for (place, &value) in column.iter_mut().zip(input) {
            *place = value;
        }
        column
    };
    let mut table = job.channels.iter();
    let tiles = job.weights.bytes.chunks_exact(quads.bytes);
    for (weights, values) in tiles.zip(output.chunks_mut(QUAD)) {
        let mut sums = [0; QUAD];
        dot_single(&quads, column, weights, &mut sums);
        for ((value, sum), channel) in values.iter_mut().zip(sums).zip(&mut table) {
            let sum = sum.wrapping_add(channel.bias).wrapping_sub(correction);
            *value = requantize(sum, channel.rescale, job.output_zero_point, job.activation);
        }
    }
}
