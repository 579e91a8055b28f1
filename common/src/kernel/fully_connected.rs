//! Fully connected layer, equation (5). Each weight is used once, so rows are unpacked in short pieces on the stack.

use super::convolution_2d::dot;
use crate::kernel::FullyConnected;
use crate::layout::PackedWeights;
use crate::requantize::requantize;

/// Weights unpacked at a time.
const PIECE: usize = 4 * PackedWeights::PIECE;

pub(super) fn fully_connected(job: &FullyConnected<'_>, input: &[i8], output: &mut [i8]) {
    for (row, (value, channel)) in output.iter_mut().zip(job.channels.iter()).enumerate() {
        let mut sum = channel.bias;
        for (piece, values) in input.chunks(PIECE).enumerate() {
            let mut weights = [0i8; PIECE];
            job.weights.unpack(row, piece * PIECE, &mut weights);
            sum = sum.wrapping_add(dot(&weights, values));
        }
        *value = requantize(sum, channel.rescale, job.output_zero_point, job.activation);
    }
}
