//! Product of two tensors, or of a tensor and a vector of its channels, equation (13).

use super::super::constants::{RATIO_MAX, rescale};
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};

/// A product of two different tensors; the second may be a vector of the first one's channels.
pub struct Multiply;

impl FoldedOperator for Multiply {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let pairs = inputs[0].iter().zip(inputs[1].iter().cycle());
        for (value, (&first, &other)) in output.iter_mut().zip(pairs) {
            *value = first * other;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let step = context.inputs[0].scale * context.inputs[1].scale;
        let (output, activation) = context.output(step / RATIO_MAX);
        let rescale = rescale(step / output.scale).ok_or_else(|| {
            context.error(
                "its output is too large for the scales of its operands",
                "check that the calibration samples are sensible",
            )
        })?;
        let operator = Operator::Multiply(operator::Multiply { rescale });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
