//! A quantized network as the host holds it: owned, with its scales in real numbers, before memory is planned.
//!
//! The quantizer makes it, [`crate::deployment::export`] turns it into a model file. Operators are those of the model file; only
//! places in the arena and in the file are still missing from them (they stand as 0 until export fills them in).

pub use crate::lowering::tensor::{IntegerTensor, IntegerWeights};

use crate::deployment::notes::Notes;
use tinyhero_common::input::InputMap;
use tinyhero_common::operator::{Operator, Weights};
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::tensor::{SampleType, Scale};

/// One step of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerLayer {
    /// Unique name, from the network's description.
    pub name: String,
    /// What it computes. Offsets inside are 0.
    pub operator: Operator,
    /// Tensors that it reads: the network's inputs first, then the output of each layer.
    pub inputs: Vec<usize>,
    /// Weights, for operators that have some.
    pub weights: Option<IntegerWeights>,
    /// Constants as they stand in the model file, for operators that have some.
    pub constants: Vec<u8>,
    /// What it writes.
    pub output: IntegerTensor,
    /// Where its output is cut off.
    pub activation: ActivationRange,
}

/// What a network's outputs are for; see [`tinyhero_common::model::Task`].
#[derive(Clone, Debug, PartialEq)]
pub enum OutputTask {
    /// The largest output is the answer.
    Classification {
        /// Name of each class, in output order; empty if the classes have none.
        labels: Vec<String>,
    },
    /// Every output stands for a number.
    Regression {
        /// Name of each number.
        names: Vec<String>,
        /// Unit of each number, empty where there is none.
        units: Vec<String>,
    },
    /// The output imitates the input.
    Reconstruction {
        /// Largest mean squared error of a sample that counts as usual, in normalized input units.
        threshold: Option<f64>,
    },
}

impl OutputTask {
    /// Name of each class; empty for a network that is not a classifier.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Classification { labels } => labels,
            Self::Regression { .. } | Self::Reconstruction { .. } => &[],
        }
    }
}

/// One of a network's inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerInput {
    /// Unique name.
    pub name: String,
    /// What a raw sample is.
    pub sample_type: SampleType,
    /// From raw samples to the int8 input: one map for all channels, or one per channel.
    pub maps: Vec<InputMap>,
    /// The int8 input.
    pub tensor: IntegerTensor,
}

/// One of a network's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegerOutput {
    /// Unique name.
    pub name: String,
    /// The tensor, which a layer writes.
    pub tensor: usize,
}

/// A quantized network.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegerNetwork {
    /// Name of the network.
    pub name: String,
    /// What the output is for.
    pub task: OutputTask,
    /// What it reads, at least one. Raw samples follow one another in this order.
    pub inputs: Vec<IntegerInput>,
    /// Layers, each after those that it reads.
    pub layers: Vec<IntegerLayer>,
    /// What it gives, at least one; the first has the answer.
    pub outputs: Vec<IntegerOutput>,
    /// What people and programs on a PC want to know about it.
    pub notes: Notes,
}

impl IntegerNetwork {
    /// The network as one whose outputs are plain numbers. With initial weights the output of a reconstruction has a range of its
    /// own, which the format would compare with the input's.
    pub fn without_task(self) -> Self {
        let task = OutputTask::Regression { names: Vec::new(), units: Vec::new() };
        match self.task {
            OutputTask::Reconstruction { .. } => Self { task, ..self },
            OutputTask::Classification { .. } | OutputTask::Regression { .. } => self,
        }
    }

    /// The layer that writes a tensor; `None` for an input.
    pub fn layer_of(&self, tensor: usize) -> Option<usize> {
        tensor.checked_sub(self.inputs.len())
    }

    /// The tensor with that number: the inputs first, then the output of each layer.
    pub fn tensor(&self, number: usize) -> IntegerTensor {
        match self.layer_of(number) {
            None => self.inputs[number].tensor,
            Some(layer) => self.layers[layer].output,
        }
    }

    /// The tensor of the first output.
    pub fn output(&self) -> IntegerTensor {
        self.outputs.first().map_or_else(|| self.tensor(0), |output| self.tensor(output.tensor))
    }
}

/// The scale with 24 significant bits, as it stands in the model file. `None` for a scale that is not positive, or
/// outside `2^-104 .. 2^151`.
pub fn encode_scale(scale: f64) -> Option<Scale> {
    if !(scale.is_finite() && scale > 0.0) {
        return None;
    }
    let mut exponent = scale.log2().floor() as i32 - 23;
    let mut mantissa = (scale / f64::from(exponent).exp2()).round();
    if mantissa >= f64::from(1 << 24) {
        mantissa /= 2.0;
        exponent += 1;
    }
    Some(Scale { mantissa: mantissa as u32, exponent: i8::try_from(exponent).ok()? })
}

/// The real number of a scale in a model file.
pub fn decode_scale(scale: Scale) -> f64 {
    f64::from(scale.mantissa) * f64::from(scale.exponent).exp2()
}

/// Puts the place of the weights into an operator that has some.
pub(crate) fn set_weights(operator: &mut Operator, place: Weights) {
    if let Some(weights) = operator.weights_mut() {
        *weights = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_keeps_24_bits() {
        for scale in [1.0, 1.0 / 256.0, 0.1, 3.0e-7, 1234.5, 1.0 - 1e-12, 2.0f64.powi(-100)] {
            let encoded = encode_scale(scale).unwrap();
            assert!((1 << 23..1 << 24).contains(&encoded.mantissa), "{scale}");
            let error = (decode_scale(encoded) / scale - 1.0).abs();
            assert!(error <= 2.0f64.powi(-24), "{scale} {error}");
        }
        assert_eq!(encode_scale(0.0), None);
        assert_eq!(encode_scale(f64::NAN), None);
        assert_eq!(encode_scale(-1.0), None);
        assert_eq!(encode_scale(1e-60), None);
    }
}
