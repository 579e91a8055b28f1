//! Fully connected layers: the input becomes a column of lanes once, then every pair of outputs is one pass over it.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::channel_pairs::padded_depth;
use tinyhero_common::operator::FullyConnectedJob;

use super::expand::expand_one;
use super::pairs::Pairs;
use super::scratch_words;

/// Whether a fully connected layer's scratch memory holds the column of its inputs.
#[inline(never)]
pub(super) fn has_room(bit_width: BitWidth, layer: &Layer<'_>) -> bool {
    let column = padded_depth(bit_width, layer.input().shape.elements()).saturating_mul(2);
    layer.scratch.bytes as usize >= column
}

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
pub(super) fn fully_connected(
    job: &FullyConnectedJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let rows = output.len();
    let (zero_point, activation) = (job.output_zero_point, job.activation);
    let pairs = Pairs::new(&job.weights, job.channels, rows, zero_point, activation)?;
    let depth = padded_depth(job.weights.bit_width, job.weights.row_length);
    let column = scratch_words(scratch)?.get_mut(..depth / 2)?;
    let input = input.get(..job.weights.row_length)?;
    let sum = expand_one(input, column)?;
    pairs.row(column, sum, output)
}
