//! A function of single values, equation (11): the table holds it for all 256 inputs.

use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use crate::graph::function::Function;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

/// A function, with the activation that follows it.
pub struct Table {
    /// What is applied to every value.
    pub function: Function,
}

impl FoldedOperator for Table {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        for (value, &input) in output.iter_mut().zip(inputs[0]) {
            *value = self.function.value(f64::from(input)) as f32;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let input = context.inputs[0];
        let (output, range) = context.output(0.0);
        let entry = |byte: u8| {
            let real = self.function.value(input.real(byte.cast_signed()));
            let stored = (real / output.scale + 0.5).floor() + f64::from(output.zero_point);
            let clamped = stored.clamp(f64::from(range.min), f64::from(range.max));
            (clamped as i8).cast_unsigned()
        };
        Ok(Lowered {
            operator: Operator::Table(operator::Table { entries: 0 }),
            weights: None,
            constants: (0..=u8::MAX).map(entry).collect(),
            output,
            activation: ActivationRange::FULL,
        })
    }
}
