//! One step of a network, complete in itself.

use serde::{Deserialize, Serialize};

use crate::operator::{Operator, Weights};
use crate::requantize::ActivationRange;
use crate::shape::Region;
use crate::tensor::{Operand, Tensor};
use crate::text::Text;

/// Longest name of a layer, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// One step of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer<'a> {
    /// Unique name, from the network's description; at most [`MAX_NAME_BYTES`].
    #[serde(borrow)]
    pub name: Text<'a>,
    /// What it computes.
    pub operator: Operator,
    /// What it reads.
    pub input: Operand,
    /// What it writes.
    pub output: Tensor,
    /// Where its output is cut off: ReLU, ReLU6 or nothing.
    pub activation: ActivationRange,
    /// Arena bytes that its kernel may use while it runs.
    pub scratch: Region,
}

impl Layer<'_> {
    /// The weights, for operators that have some.
    pub const fn weights(&self) -> Option<Weights> {
        match self.operator {
            Operator::Convolution2d { weights, .. }
            | Operator::DepthwiseConvolution2d { weights, .. }
            | Operator::FullyConnected { weights } => Some(weights),
            _ => None,
        }
    }

    /// Weights of one output channel; 0 for operators without weights.
    pub const fn row_length(&self) -> usize {
        match self.operator {
            Operator::Convolution2d { window, .. } => {
                window.taps().saturating_mul(self.input.tensor.shape.channels as usize)
            }
            Operator::DepthwiseConvolution2d { window, .. } => window.taps(),
            Operator::FullyConnected { .. } => self.input.tensor.shape.elements(),
            _ => 0,
        }
    }

    /// Multiply-accumulates of one inference; 0 for operators without weights.
    pub const fn macs(&self) -> u64 {
        self.output.shape.elements() as u64 * self.row_length() as u64
    }
}
