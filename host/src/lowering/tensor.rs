//! Integers that stand for real numbers: tensors and weights.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::Weights;
use tinyhero_common::requantize::Rescale;
use tinyhero_common::shape::Shape;

/// An int8 tensor: `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntegerTensor {
    /// Dimensions.
    pub shape: Shape,
    /// The real step between neighbouring values, positive.
    pub scale: f64,
    /// The value that stands for real zero.
    pub zero_point: i8,
}

impl IntegerTensor {
    /// The real number that `value` stands for.
    pub fn real(&self, value: i8) -> f64 {
        self.scale * f64::from(i32::from(value) - i32::from(self.zero_point))
    }
}

/// The weights of a layer, one row an output channel, and what belongs to each channel. The rows of a recurrent operator have two parts, and
/// entries for each: those of all first parts, then those of all second ones.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerWeights {
    /// Bits of each weight.
    pub bit_width: BitWidth,
    /// Weights of one output channel.
    pub row_length: usize,
    /// All rows one after the other, each in the order kernel row, kernel column, input channel.
    pub values: Vec<i8>,
    /// The real step between neighbouring weights of each channel; all equal when quantized per tensor.
    pub scales: Vec<f64>,
    /// `bias / (scale_in · scale_w) − zero_point_in · Σw` of each channel.
    pub biases: Vec<i32>,
    /// `scale_in · scale_w / scale_out` of each channel.
    pub rescales: Vec<Rescale>,
}

impl IntegerWeights {
    /// How a description names them before the exporter gives them a layout and a place.
    pub fn place(&self) -> Weights {
        Weights { bit_width: self.bit_width, layout: Layout::Rows, offset: 0, channels: 0 }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.row_length.max(1)
    }
}
