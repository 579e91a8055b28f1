//! Convolution over all input channels: two pixels and four channels at a time.

use tinyhero_common::operator::ConvolutionJob;

use super::columns::Columns;
use super::quads::Quads;
use super::rescaled::{clamp, is_readable};
use super::tile::{self, Layer};

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
#[inline(never)]
pub fn convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let channels = usize::from(job.output.channels);
    let quads = Quads::new(&job.weights, channels)?;
    let mut columns = Columns::new(job, &quads, scratch)?;
    let readable = is_readable(job.channels, channels);
    let (table, zero_point, inner) = (job.channels, job.output_zero_point, quads.pair_loop());
    let layer = Layer { quads, table, channels, zero_point, inner };
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
    for pair in output.chunks_mut((2 * channels).max(1)) {
        let first = next();
        let second = if pair.len() > channels { next() } else { first };
        let (pointers, totals) = columns.gather(input, first, second)?;
        let corrections = totals.map(|total| total.wrapping_mul(quads.offset));
        // SAFETY: the columns are made of this layer's weights' measures, and nothing changes them before they are used.
        unsafe { tile::run(&layer, pointers, corrections, pair, readable) };
    }
    clamp(job.activation, output);
    Some(())
}
