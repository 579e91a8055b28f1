//! Probabilities from scores, equation (9).

use super::super::constants::exponent_multiplier;
use super::{Context, FoldedOperator, Lowered};
use crate::deployment::integer_network::IntegerTensor;
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

/// Softmax over all values of a vector.
pub struct Softmax;

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
