//! What a layer computes, and where its weights are.

use serde::{Deserialize, Serialize};

use crate::bit_width::BitWidth;
use crate::compact::{Read, Reader, described};
use crate::layout::Layout;
use crate::requantize::{AddRescale, Rescale};
use crate::shape::Window;

described! {
    #[shared]
    /// Packed weights and what belongs to each output channel.
    pub struct Weights {
        /// Bits of each weight.
        pub bit_width: BitWidth,
        /// Order of the packed weights.
        pub layout: Layout,
        /// Where the packed weights begin in the parameters, in bytes, a multiple of 4.
        pub offset: u32,
        /// Where the channel table begins in the parameters, in bytes, a multiple of 4; see [`crate::channels::Channels`].
        pub channels: u32,
    }
}

/// What a layer computes. `docs/arithmetic.md` and the [crate] page define each in real numbers and in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Equation (3): full convolution over all input channels.
    Convolution2d {
        /// How the kernel slides.
        window: Window,
        /// `output channels × (kernel_height · kernel_width · input channels)` weights.
        weights: Weights,
    },
    /// Equation (4): one kernel per channel.
    DepthwiseConvolution2d {
        /// How the kernel slides.
        window: Window,
        /// `channels × (kernel_height · kernel_width)` weights.
        weights: Weights,
    },
    /// Equation (5): every output reads every input, flattened in memory order.
    FullyConnected {
        /// `outputs × inputs` weights.
        weights: Weights,
    },
    /// Equation (6). Padding counts as real zero and the divisor is always the whole window.
    AveragePool2d {
        /// How the window slides; global pooling is a window of the image's size.
        window: Window,
        /// `scale_in / (scale_out · taps)`.
        rescale: Rescale,
    },
    /// Equation (7). Padding never wins; scale and zero point stay.
    MaxPool2d {
        /// How the window slides.
        window: Window,
    },
    /// Equation (8): element-wise sum of two tensors of one shape.
    Add {
        /// How both are brought to the output's scale.
        rescale: AddRescale,
    },
    /// Equation (9): probabilities over the channels of each pixel, scale 1/256, zero point −128.
    Softmax {
        /// `scale_in · log2(e) · 2^20`, in `1 ..= 2^24 − 1`.
        exponent_multiplier: u32,
    },
}

impl Operator {
    /// Number of tensors that it reads.
    pub const fn operand_count(&self) -> usize {
        match self {
            Self::Add { .. } => 2,
            _ => 1,
        }
    }

    /// Whether its output may take the place of the first tensor that it reads.
    pub const fn may_overwrite(&self) -> bool {
        matches!(self, Self::Add { .. })
    }
}

impl<'a> Read<'a> for Operator {
    fn read(reader: &mut Reader<'a>) -> Self {
        match reader.variant(7) {
            0 => {
                Self::Convolution2d { window: Window::read(reader), weights: Weights::read(reader) }
            }
            1 => Self::DepthwiseConvolution2d {
                window: Window::read(reader),
                weights: Weights::read(reader),
            },
            2 => Self::FullyConnected { weights: Weights::read(reader) },
            3 => {
                Self::AveragePool2d { window: Window::read(reader), rescale: Rescale::read(reader) }
            }
            4 => Self::MaxPool2d { window: Window::read(reader) },
            5 => Self::Add { rescale: AddRescale::read(reader) },
            _ => Self::Softmax { exponent_multiplier: reader.word() },
        }
    }
}
