//! Convolution over all input channels: two pixels and four channels at a time.

use tinyhero_common::kernel::{Convolution, Kernels, Portable};
use tinyhero_common::requantize::requantize;

use super::columns::Columns;
use super::quads::{PAIR_SUMS, Quads};

pub fn convolution_2d(job: &Convolution<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
    let quads = Quads::new(&job.weights);
    let channels = usize::from(job.output.channels);
    if quads.bytes == 0 || channels == 0 {
        return;
    }
    let Some(mut columns) = Columns::new(job, &quads, scratch) else {
        return Portable.convolution_2d(job, input, scratch, output);
    };
    let width = usize::from(job.output.width);
    let (mut y, mut x) = (0, 0);
    let mut next = || {
        let pixel = (y, x);
        x += 1;
        if x == width {
            (y, x) = (y + 1, 0);
        }
        pixel
    };
    for pair in output.chunks_mut(2 * channels) {
        let first = next();
        // A last pixel without a neighbour is computed twice.
        let second = if pair.len() > channels { next() } else { first };
        let totals = columns.gather(job, input, first, second);
        let mut table = job.channels.iter();
        let mut place = 0;
        for weights in job.weights.bytes.chunks_exact(quads.bytes) {
            let mut sums = [0; PAIR_SUMS];
            columns.dot(&quads, input, weights, &mut sums);
            let [a0, b0, a1, b1, c0, d0, c1, d1] = sums;
            for [first, second] in [[a0, a1], [b0, b1], [c0, c1], [d0, d1]] {
                let Some(channel) = table.next() else { break };
                for (offset, sum, total) in [(0, first, totals[0]), (channels, second, totals[1])] {
                    let sum = sum
                        .wrapping_add(channel.bias)
                        .wrapping_sub(total.wrapping_mul(quads.offset));
                    if let Some(value) = pair.get_mut(place + offset) {
                        let zero_point = job.output_zero_point;
                        *value = requantize(sum, channel.rescale, zero_point, job.activation);
                    }
                }
                place += 1;
            }
        }
    }
}
