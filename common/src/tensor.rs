//! Tensors in the arena, who wrote them, and what raw samples are.

use serde::{Deserialize, Serialize};

use crate::compact::described;
use crate::shape::{Element, Region, Shape};

described! {
    /// A real scale as `mantissa · 2^exponent`, for people and for whoever turns outputs back into real numbers.
    ///
    /// Inference never reads it: everything that it needs is in [`Rescale`](crate::requantize::Rescale) values.
    pub struct Scale {
        /// 24 significant bits.
        pub mantissa: u32,
        /// Power of two.
        pub exponent: i8,
    }
}

described! {
    #[shared]
    /// A tensor in the arena: `real = scale · (q − zero_point)`.
    pub struct Tensor {
        /// Dimensions.
        pub shape: Shape,
        /// What one value is. Every operator of this version reads and writes [`Element::I8`].
        pub element: Element,
        /// Where it begins in the arena, in bytes.
        pub offset: u32,
        /// The value that stands for real zero.
        pub zero_point: i8,
        /// The real step between neighbouring values.
        pub scale: Scale,
    }
}

impl Tensor {
    /// Bytes that it takes in the arena.
    pub const fn bytes(self) -> usize {
        self.shape.elements().wrapping_mul(self.element.bytes())
    }

    /// The arena bytes that the tensor takes. Valid models have at most [`MAX_ARENA_BYTES`](crate::model::MAX_ARENA_BYTES).
    pub const fn region(self) -> Region {
        Region { offset: self.offset, bytes: self.bytes() as u32 }
    }
}

/// Most tensors that a layer of this version's operators reads. A file could name more: every layer has room for as many, which is
/// copied in every run.
pub const MAX_OPERANDS: usize = 2;

/// The tensors that a layer reads, in the order in which its operator names them.
pub type Operands = heapless::Vec<Operand, MAX_OPERANDS>;

described! {
    #[shared]
    /// A tensor that a layer or the network's user reads, and what wrote it.
    pub struct Operand {
        /// `k` for the network's input number `k`, and the number of inputs plus `k` for the output of layer `k`.
        pub source: u16,
        /// The same tensor as the source's, repeated so that a layer is complete in itself.
        pub tensor: Tensor,
    }
}

described! {
    /// The integers that a sensor or a data set delivers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum SampleType {
        /// One byte, 0 to 255.
        U8,
        /// Two bytes, little-endian, −32768 to 32767.
        I16,
    }
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
