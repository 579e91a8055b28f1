//! Probabilities from scores, equation (9).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::constants::exponent_multiplier;
use crate::lowering::tensor::IntegerTensor;
use crate::lowering::{Context, FoldedOperator, Lowered};

/// `exp(x) / Σ exp(x)` over all values of a vector. Only as the last node; training leaves it to the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax;

impl Rules for Softmax {
    const NAMES: &'static [&'static str] = &["softmax"];
    const ONLY_LAST: bool = true;

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        match inputs[0].height * inputs[0].width {
            1 => Ok(Sizes::of(inputs[0])),
            _ => Err(format!("reads {} instead of a vector", inputs[0])),
        }
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(pass.input(0)?.clone())
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        folding.layer(Self)
    }
}

impl FoldedOperator for Softmax {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let largest = inputs[0].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (value, &input) in output.iter_mut().zip(inputs[0]) {
            *value = (input - largest).exp();
        }
        let sum: f32 = output.iter().sum();
        output.iter_mut().for_each(|value| *value /= sum);
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let exponent_multiplier = exponent_multiplier(context.inputs[0].scale);
        let output =
            IntegerTensor { shape: context.shape, scale: 1.0 / 256.0, zero_point: i8::MIN };
        let operator = Operator::Softmax(operator::Softmax { exponent_multiplier });
        Ok(Lowered {
            operator,
            weights: None,
            constants: Vec::new(),
            output,
            activation: ActivationRange::FULL,
        })
    }
}
