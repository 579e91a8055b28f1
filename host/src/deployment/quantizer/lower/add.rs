//! Sum of two tensors, equation (8).

use super::super::constants::add_rescale;
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};

/// Ratios of scales stay below this, which keeps the common shift positive.
const RATIO_MAX: f64 = 8_192.0;

/// An addition of two different tensors.
pub struct Add;

impl FoldedOperator for Add {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        for ((value, &first), &other) in output.iter_mut().zip(inputs[0]).zip(inputs[1]) {
            *value = first + other;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let (first, other) = (context.inputs[0].scale, context.inputs[1].scale);
        let (output, activation) = context.output(first.max(other) / RATIO_MAX);
        let rescale = add_rescale(first / output.scale, other / output.scale);
        let rescale = rescale.ok_or_else(|| {
            context.error(
                "its operands are too large for its output's scale",
                "check that the calibration samples are sensible",
            )
        })?;
        let operator = Operator::Add(operator::Add { rescale });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
