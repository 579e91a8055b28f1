//! Fully connected layer, equation (5). Each weight is used once, so rows are unpacked in short pieces on the stack.

use super::FullyConnected;
use super::convolution_2d::dot;
use crate::packing::unpack_row;
use crate::requantize::requantize;

/// Weights unpacked at a time: a multiple of 8, so that every piece begins at a byte boundary.
const PIECE: usize = 32;

pub(super) fn fully_connected(job: &FullyConnected<'_>, input: &[i8], output: &mut [i8]) {
    let bit_width = job.weights.bit_width;
    let piece_bytes = bit_width.row_bytes(PIECE);
    let rows = job.channels.iter().zip(job.weights.rows());
    for (value, (channel, packed)) in output.iter_mut().zip(rows) {
        let mut sum = channel.bias;
        let mut rest = packed;
        for values in input.chunks(PIECE) {
            let mut weights = [0i8; PIECE];
            let (piece, tail) = rest.split_at_checked(piece_bytes).unwrap_or((rest, &[]));
            rest = tail;
            unpack_row(piece, bit_width, &mut weights);
            sum = sum.wrapping_add(dot(&weights, values));
        }
        *value = requantize(sum, channel.rescale, job.output_zero_point, job.activation);
    }
}
