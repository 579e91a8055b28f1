//! Fully connected layer, equation (5).

use std::sync::OnceLock;

use candle_core::Tensor;
use serde::Deserialize;
use tinyhero_common::operator::{self, Operator};

use super::{
    Folded, Folding, Forward, Keys, Order, Refusal, Rules, Sizes, product, weighted as rules,
};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::{Initial, ParameterKind, ParameterRule};
use crate::lowering::weights::WeightMatrix;
use crate::lowering::{Context, FoldedOperator, Linear, Lowered, Reads, weighted};

/// Matrix times all input values, taken in height, width, channel order. Weights: output, input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullyConnected {
    /// Output values.
    pub out_features: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

/// The word for `out-features` of a network that gives back its sample.
pub(super) const INPUTS: &str = "inputs";

#[derive(Deserialize)]
#[serde(untagged)]
enum Features {
    Number(usize),
    Word(String),
}

impl Rules for FullyConnected {
    const NAMES: &'static [&'static str] = &["fully-connected"];
    const ORDER: Order = Order::Memory;

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        let out_features = match keys.required("out-features")? {
            Features::Number(number) => number,
            Features::Word(word) if word == "classes" => keys.classes,
            Features::Word(word) if word == INPUTS => keys.sample.elements(),
            Features::Word(word) => {
                return Err(format!(
                    "has out-features '{word}' instead of a number, \"classes\" or \"inputs\""
                )
                .into());
            }
        };
        Ok(Self { out_features, bias: keys.or("bias", true)? })
    }

    fn write(&self, keys: &mut Keys) {
        keys.set("out-features", self.out_features);
        keys.set("bias", self.bias);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        product(&[inputs[0].elements(), self.out_features])?;
        let output = SampleShape::new(1, 1, self.out_features);
        Ok(Sizes { output, macs_per_value: inputs[0].elements() })
    }

    fn parameters(&self, input: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let fan_in = input.elements();
        let weight = ParameterRule::weight(
            vec![output.channels, fan_in],
            ParameterKind::LinearWeight,
            Initial::FullyConnected { fan_in },
        );
        rules(weight, self.bias, output.channels, fan_in)
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        // Features are taken in height, width, channel order, which is how they lie.
        let features = pass.input(0)?.flatten_from(1)?;
        let product = features.matmul(&pass.parameter(0)?.t()?)?;
        pass.biased(product.reshape((product.dim(0)?, 1, 1, self.out_features))?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let matrix = folding.parameters.matrix(false);
        folding.layer(FullyConnectedLayer { matrix, transposed: OnceLock::new() })
    }
}

/// A fully connected layer with folded weights, one row per output, in the memory order of the input.
struct FullyConnectedLayer {
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl FoldedOperator for FullyConnectedLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| self.matrix.transposed());
        for (value, &bias) in output.iter_mut().zip(&self.matrix.bias) {
            *value = bias as f32;
        }
        for (&value, weights) in inputs[0].iter().zip(weights.chunks_exact(output.len())) {
            for (sum, &weight) in output.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        weighted::lower(
            &self.matrix,
            context,
            |_, column| column,
            |weights| Operator::FullyConnected(operator::FullyConnected { weights }),
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::Elements })
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.matrix = matrix;
        self.transposed = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.transposed = OnceLock::new();
        true
    }

    fn reads_elements(&self) -> bool {
        true
    }
}
