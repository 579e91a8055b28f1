//! From real numbers to the integers of one layer: ranges, scales, constants, weights.
//!
//! An operation of a network becomes layers that integers can carry out, each with a [`FoldedOperator`],
//! which computes it in real numbers and gives its integers once the ranges of its tensors are known. The
//! file of each operation in [`crate::graph::operation`] has those that it needs; here is what they share.

pub mod activation;
pub mod average_pool_2d;
pub mod constants;
pub mod identity;
pub mod quantization;
pub mod range;
pub mod recurrent;
pub mod rounded_matrix;
pub mod tensor;
pub mod tensor_statistics;
pub mod tiles;
pub mod weighted;
pub mod weights;
pub mod windowed;

pub use windowed::{Geometry, Taps};

use crate::error::{Error, Result};
use activation::Activation;
use quantization::Quantization;
use range::{RangeMethod, quantize_tensor};
use rounded_matrix::RoundedMatrix;
use tensor::{IntegerTensor, IntegerWeights};
use tensor_statistics::TensorStatistics;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::operator::Operator;
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::Shape;
use weights::WeightMatrix;

/// An operator of the folded network.
pub trait FoldedOperator: Send + Sync {
    /// Computes the output in real numbers, without the activation.
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]);

    /// Its integers.
    fn lower(&self, context: &Context<'_>) -> Result<Lowered>;

    /// Its weights, where it multiplies one table of them.
    fn linear(&self) -> Option<Linear<'_>> {
        None
    }

    /// Whether it has weights that are packed with a bit width.
    fn has_weights(&self) -> bool {
        self.linear().is_some()
    }

    /// Replaces the weights of [`FoldedOperator::linear`] by others of the same shape.
    fn set_matrix(&mut self, _matrix: WeightMatrix) {}

    /// Takes `y → gain · y + shift` per output channel into itself. False if it cannot.
    fn fold_affine(&mut self, _gain: &[f64], _shift: &[f64]) -> bool {
        false
    }

    /// Whether it reads every element with a weight of its own, so that statistics are needed per element.
    fn reads_elements(&self) -> bool {
        false
    }

    /// Whether its output can be cut off, as by ReLU.
    fn cuts(&self) -> bool {
        true
    }

    /// Whether an activation before it gives the same result as one behind it.
    fn commutes_with_activation(&self) -> bool {
        false
    }
}

/// The weights of an operator and what they multiply.
pub struct Linear<'a> {
    /// One row an output channel.
    pub matrix: &'a WeightMatrix,
    /// What a row is multiplied with.
    pub reads: Reads<'a>,
}

/// What the rows of a table of weights are multiplied with.
pub enum Reads<'a> {
    /// All elements of the input.
    Elements,
    /// Windows over all channels, in the order row, column, channel.
    Windows(&'a Geometry),
    /// Windows over the channel that has the row's number.
    ChannelWindows(&'a Geometry),
    /// Windows over the channels of the row's group, one of so many.
    GroupWindows(&'a Geometry, usize),
}

impl Linear<'_> {
    /// Pairs of weights that multiply the same window.
    pub const fn pairs(&self) -> usize {
        let columns = self.matrix.row_length;
        let rows = match self.reads {
            Reads::Elements | Reads::Windows(_) => 1,
            Reads::ChannelWindows(_) => self.matrix.bias.len(),
            Reads::GroupWindows(_, groups) => groups,
        };
        rows * columns * (columns + 1) / 2
    }
}

/// What an operator needs to know about its surroundings.
pub struct Context<'a> {
    /// The layer's name.
    pub name: &'a str,
    /// The quantized tensors that it reads.
    pub inputs: &'a [IntegerTensor],
    /// What calibration knows about them.
    pub input_statistics: &'a [&'a TensorStatistics],
    /// Shape of its output.
    pub shape: Shape,
    /// What calibration knows about its output, the activation applied.
    pub statistics: &'a TensorStatistics,
    /// What follows it.
    pub activation: Activation,
    /// Whether the network's answer is read off its output.
    pub decides: bool,
    /// The wishes of whoever quantizes.
    pub quantization: &'a Quantization,
    /// Bits of its weights.
    pub bit_width: BitWidth,
    /// Its weights where they are integers already.
    pub rounded: Option<&'a RoundedMatrix>,
}

impl Context<'_> {
    /// An error of this layer.
    pub fn error(&self, problem: &str, advice: &str) -> Error {
        Error::bad_input(format_args!("layer '{}'", self.name), problem, advice)
    }

    /// Quantization of the output, with a scale of at least `scale_min`.
    pub fn output(&self, scale_min: f64) -> (IntegerTensor, ActivationRange) {
        // Clipping the largest scores would make classes tie.
        let method = if self.decides { RangeMethod::MinMax } else { self.quantization.range };
        quantize_tensor(self.shape, self.statistics, self.activation, method, scale_min)
    }
}

/// An operator in integers.
pub struct Lowered {
    /// What the model file holds, offsets still 0.
    pub operator: Operator,
    /// Weights, for operators that have some.
    pub weights: Option<IntegerWeights>,
    /// Constants, for operators that have some.
    pub constants: Vec<u8>,
    /// Quantization of its output.
    pub output: IntegerTensor,
    /// Where its output is cut off.
    pub activation: ActivationRange,
}

/// An operator without weights whose output has the scale and zero point of its input.
pub fn range_of_input(operator: Operator, context: &Context<'_>) -> Lowered {
    let input = context.inputs[0];
    let output = IntegerTensor { shape: context.shape, ..input };
    let mut activation = ActivationRange::FULL;
    if context.activation != Activation::None {
        activation.min = input.zero_point;
    }
    if context.activation == Activation::Relu6 {
        let top = (6.0 / input.scale).round() + f64::from(input.zero_point);
        activation.max = top.clamp(-128.0, 127.0) as i8;
    }
    Lowered { operator, weights: None, constants: Vec::new(), output, activation }
}
