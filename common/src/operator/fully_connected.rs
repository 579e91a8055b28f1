//! Fully connected layer, equation (5). Each weight is used once, so the portable kernel unpacks rows in short pieces on the stack.

use super::convolution_2d::dot;
use super::{Rules, Tensors, Weights};
use crate::channels::Channels;
use crate::compact::described;
use crate::layout::{Layout, PackedWeights, channel_pairs, vector_pairs};
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, requantize_apart};
use crate::shape::Shape;

/// Weights unpacked at a time.
const PIECE: usize = 4 * PackedWeights::PIECE;

described! {
    /// Every output reads every input, flattened in memory order.
    pub struct FullyConnected {
        /// `outputs × inputs` weights.
        pub weights: Weights,
    }
}

/// A fully connected layer, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnectedJob<'a> {
    /// The packed weights; the row length is the number of inputs.
    pub weights: PackedWeights<'a>,
    /// Bias and rescaling of each output.
    pub channels: Channels<'a>,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

impl Rules for FullyConnected {
    type Job<'a> = FullyConnectedJob<'a>;

    const NAME: &'static str = "fully-connected";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.output.shape.pixels() == 1, Reason::ShapeMismatch)
    }

    fn job<'a>(
        &self,
        tensors: &Tensors<'_>,
        parameters: &'a [u8],
    ) -> Option<FullyConnectedJob<'a>> {
        let (inputs, output) = (tensors.input().shape.elements(), tensors.output);
        let rows = usize::from(output.shape.channels);
        let (weights, channels) = self.weights.find(parameters, rows, rows, inputs)?;
        Some(FullyConnectedJob {
            weights,
            channels,
            output_zero_point: output.zero_point,
            activation: tensors.activation,
        })
    }

    super::weights::shows_weights!();

    fn row_length(&self, input: Shape, _output: Shape) -> usize {
        input.elements()
    }

    /// Copies of the input, padded; where a layout's groups are whole, it is read in place.
    fn scratch(&self, input: Shape, _output: Shape) -> usize {
        let Weights { bit_width, layout, .. } = self.weights;
        let inputs = input.elements();
        let unless_whole = |depth: usize| if depth == inputs { 0 } else { depth };
        match layout {
            Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
            Layout::VectorPairs => unless_whole(vector_pairs::padded_depth(bit_width, inputs)),
            Layout::FieldQuads => unless_whole(channel_pairs::padded_depth(bit_width, inputs)),
            Layout::ChannelPairs => 2 * channel_pairs::padded_depth(bit_width, inputs),
        }
    }
}

pub(crate) fn fully_connected(job: &FullyConnectedJob<'_>, input: &[i8], output: &mut [i8]) {
    for (row, (value, channel)) in output.iter_mut().zip(job.channels.iter()).enumerate() {
        let mut sum = channel.bias;
        for (piece, values) in input.chunks(PIECE).enumerate() {
            let mut weights = [0i8; PIECE];
            job.weights.unpack(row, piece * PIECE, &mut weights);
            sum = sum.wrapping_add(dot(&weights, values));
        }
        *value = requantize_apart(sum, channel.rescale, job.output_zero_point, job.activation);
    }
}
