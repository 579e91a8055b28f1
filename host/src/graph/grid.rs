//! Weights that are integers already, because training had the quantizer in its loop.

use tinyhero_common::bit_width::BitWidth;

/// The grid that the weights of a layer lie on: `weight = step · integer`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The integers lie in this width's range.
    pub bit_width: BitWidth,
    /// One step per output channel. It has the sign of the batch normalization behind the layer, so
    /// that the integers are those of the folded weights.
    pub steps: Vec<f32>,
}
