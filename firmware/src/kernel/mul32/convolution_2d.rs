//! Convolution over all input channels: two pixels and four channels at a time.

use tinyhero_common::kernel::{Convolution, Kernels, Portable};

use super::columns::Columns;
use super::quads::{PAIR_SUMS, Quads};
use super::rescaled::{PairFinisher, clamp, is_fast};

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
    let fast = is_fast(job.channels);
    let mut sums = [0; PAIR_SUMS];
    for pair in output.chunks_mut(2 * channels) {
        let first = next();
        // A last pixel without a neighbour is computed twice.
        let second = if pair.len() > channels { next() } else { first };
        let totals = columns.gather(job, input, first, second);
        let corrections = totals.map(|total| total.wrapping_mul(quads.offset));
        let mut finisher = PairFinisher::new(job, pair, corrections, fast);
        for weights in job.weights.bytes.chunks_exact(quads.bytes) {
            columns.dot(&quads, input, weights, &mut sums);
            finisher.take(&sums);
        }
    }
    clamp(job.activation, output);
}
