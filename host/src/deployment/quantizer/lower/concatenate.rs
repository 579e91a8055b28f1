//! The channels of two tensors side by side, equation (14).

use super::super::constants::{RATIO_MAX, rescale};
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};

/// Two different tensors side by side.
pub struct Concatenate {
    /// Channels of each.
    pub channels: [usize; 2],
}

impl FoldedOperator for Concatenate {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let [first, other] = self.channels;
        let pixels = inputs[0].chunks_exact(first).zip(inputs[1].chunks_exact(other));
        for (pixel, (a, b)) in output.chunks_exact_mut(first + other).zip(pixels) {
            pixel[..first].copy_from_slice(a);
            pixel[first..].copy_from_slice(b);
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let (first, other) = (context.inputs[0].scale, context.inputs[1].scale);
        let (output, activation) = context.output(first.max(other) / RATIO_MAX);
        let ratio = |scale: f64| {
            rescale(scale / output.scale).ok_or_else(|| {
                context.error(
                    "its operands have ranges too different from each other",
                    "check that the calibration samples are sensible",
                )
            })
        };
        let operator = Operator::Concatenate(operator::Concatenate {
            rescale: ratio(first)?,
            other_rescale: ratio(other)?,
        });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
