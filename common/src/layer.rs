//! One step of a network, complete in itself.

use crate::compact::described;
use crate::operator::{Operator, Tensors, Weights};
use crate::requantize::ActivationRange;
use crate::shape::Region;
use crate::tensor::{Operands, Tensor};
use crate::text::Text;

/// Longest name of a layer, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

described! {
    /// One step of the network.
    pub struct Layer<'a> {
        /// Unique name, from the network's description; at most [`MAX_NAME_BYTES`].
        #[serde(borrow)]
        pub name: Text<'a>,
        /// What it computes.
        pub operator: Operator,
        /// What it reads: at least one tensor, and as many as the operator asks for.
        pub inputs: Operands,
        /// What it writes.
        pub output: Tensor,
        /// Where its output is cut off: ReLU, ReLU6 or nothing.
        pub activation: ActivationRange,
        /// Arena bytes that its kernel may use while it runs.
        pub scratch: Region,
    }
}

impl Layer<'_> {
    /// What it computes on.
    pub fn tensors(&self) -> Tensors<'_> {
        Tensors { inputs: &self.inputs, output: &self.output, activation: self.activation }
    }

    /// The first tensor that it reads, which its operator's shapes and zero point are about.
    // Called from many places.
    #[inline(never)]
    pub fn input(&self) -> &Tensor {
        self.inputs.first().map_or(&self.output, |operand| &operand.tensor)
    }

    /// The weights, for operators that have some.
    pub fn weights(&self) -> Option<Weights> {
        self.operator.weights().copied()
    }

    /// Rows of weights, for operators that have some.
    pub fn rows(&self) -> usize {
        self.operator.rows(self.output.shape)
    }

    /// Entries of the channel table, for operators that have weights.
    pub fn channel_entries(&self) -> usize {
        self.rows().saturating_mul(self.operator.channel_sets())
    }

    /// Weights of a row; 0 for operators without weights.
    pub fn row_length(&self) -> usize {
        self.operator.row_length(self.input().shape, self.output.shape)
    }

    /// Multiply-accumulates of one inference; 0 for operators without weights.
    pub fn macs(&self) -> u64 {
        self.operator.macs(self.input().shape, self.output.shape)
    }
}
