//! Scratch memory that a layer's kernels get, by its operator and the layout of its weights.
//!
//! The exporter plans exactly this much, so a core that runs a layout of its own finds the room that its fast kernel needs. The loader only
//! insists on what the portable kernels need, [`portable_bytes`], so that whether a file is valid has one answer on every machine; a
//! fast kernel that finds less than its room leaves the layer to them.

use crate::bit_width::BitWidth;
use crate::layer::Layer;
use crate::layout::Layout;
use crate::layout::channel_pairs::PairColumns;
use crate::layout::channel_quads::QuadColumns;
use crate::layout::field_quads::QuadStrip;
use crate::layout::vector_pairs::Strips;
use crate::layout::vector_rows::Blocks;
use crate::layout::{channel_pairs, vector_pairs};
use crate::operator::{Operator, Weights};
use crate::shape::{Shape, Window, larger};

/// Scratch begins at a multiple of this in the arena, so that kernels may keep words in it.
pub const ALIGNMENT: u32 = 4;

/// Scratch bytes without which a layer cannot run: the portable kernels of convolutions unpack one row of weights.
pub fn portable_bytes(layer: &Layer<'_>) -> usize {
    match layer.operator {
        Operator::FullyConnected { .. } => 0,
        _ => layer.row_length(),
    }
}

/// Scratch bytes of a layer: what the kernels need that its layout is made for, and the portable ones.
pub const fn bytes(operator: &Operator, input: Shape, output: Shape) -> usize {
    match operator {
        Operator::Convolution2d { window, weights } => {
            let row = window.taps().saturating_mul(input.channels as usize);
            larger(row, convolution(*window, *weights, input, output))
        }
        Operator::DepthwiseConvolution2d { window, weights } => {
            larger(window.taps(), depthwise(*window, *weights, input, output))
        }
        Operator::FullyConnected { weights } => match weights.layout {
            Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
            Layout::VectorPairs => {
                // Inputs that fill whole vectors are read in place.
                let depth = vector_pairs::padded_depth(weights.bit_width, input.elements());
                if depth == input.elements() { 0 } else { depth }
            }
            Layout::ChannelPairs => {
                2 * channel_pairs::padded_depth(weights.bit_width, input.elements())
            }
            Layout::FieldQuads => quad_column(weights.bit_width, input.elements()),
        },
        _ => 0,
    }
}

const fn convolution(window: Window, weights: Weights, input: Shape, output: Shape) -> usize {
    match weights.layout {
        Layout::Rows | Layout::ChannelQuads | Layout::VectorRows => 0,
        Layout::VectorPairs => Strips::new(window, weights.bit_width, input, output).bytes,
        Layout::FieldQuads => {
            let depth = window.taps().saturating_mul(input.channels as usize);
            4 * channel_pairs::padded_depth(weights.bit_width, depth)
        }
        Layout::ChannelPairs => {
            PairColumns::new(window, weights.bit_width, input, output).scratch_bytes()
        }
    }
}

const fn depthwise(window: Window, weights: Weights, input: Shape, output: Shape) -> usize {
    match weights.layout {
        Layout::ChannelQuads => match QuadColumns::new(window, input, output) {
            Some(columns) => columns.scratch_bytes(),
            None => 0,
        },
        Layout::VectorRows => match Blocks::new(window, input, output) {
            Some(blocks) => blocks.bytes,
            None => 0,
        },
        Layout::FieldQuads => QuadStrip::new(window, output).scratch_bytes(),
        _ => 0,
    }
}

/// What a fully connected layer in [`Layout::FieldQuads`] needs: a copy of the input where it is no multiple of a group.
const fn quad_column(bit_width: BitWidth, inputs: usize) -> usize {
    let depth = channel_pairs::padded_depth(bit_width, inputs);
    if depth == inputs { 0 } else { depth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_convolution_of_resnet8_needs_less_than_2500_bytes() {
        let window = Window {
            kernel_height: 3,
            kernel_width: 3,
            stride_height: 1,
            stride_width: 1,
            padding_top: 1,
            padding_left: 1,
        };
        for (side, channels) in [(32, 16), (16, 32), (8, 64)] {
            let shape = Shape { height: side, width: side, channels };
            for bit_width in BitWidth::ALL {
                let columns = PairColumns::new(window, bit_width, shape, shape);
                assert!(columns.scratch_bytes() <= 2500, "{columns:?}");
                assert_eq!(columns.divided, channels == 64);
            }
        }
    }
}
