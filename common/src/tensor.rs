//! Tensors in the arena, who wrote them, and what raw samples are.

use serde::{Deserialize, Serialize};

use crate::shape::{Region, Shape};

/// A real scale as `mantissa · 2^exponent`, for people and for whoever turns outputs back into real numbers.
///
/// Inference never reads it: everything that it needs is in [`Rescale`](crate::requantize::Rescale) values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// 24 significant bits.
    pub mantissa: u32,
    /// Power of two.
    pub exponent: i8,
}

/// An int8 activation tensor in the arena: `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Shape,
    /// Where it begins in the arena, in bytes.
    pub offset: u32,
    /// The int8 value that stands for real zero.
    pub zero_point: i8,
    /// The real step between neighbouring values.
    pub scale: Scale,
}

impl Tensor {
    /// The arena bytes that the tensor takes. Valid models have at most [`MAX_ARENA_BYTES`](crate::model::MAX_ARENA_BYTES).
    pub const fn region(self) -> Region {
        Region { offset: self.offset, bytes: self.shape.elements() as u32 }
    }
}

/// A tensor that a layer reads, and which layer wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// 0 for the network's input, `k` for the output of layer `k − 1`.
    pub source: u16,
    /// The same tensor as the source's, repeated so that a layer is complete in itself.
    pub tensor: Tensor,
}

/// The integers that a sensor or a data set delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleType {
    /// One byte, 0 to 255.
    U8,
    /// Two bytes, little-endian, −32768 to 32767.
    I16,
}

impl SampleType {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
        }
    }
}
