//! A multiple of its input: what is left of an activation that could not be fused, or of a sum of a tensor with itself.
//! In integers an average pooling with a window of one pixel, equation (6).

use super::average_pool_2d::lower_mean;
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::shape::Window;

const ONE_PIXEL: Window = Window {
    kernel_height: 1,
    kernel_width: 1,
    stride_height: 1,
    stride_width: 1,
    padding_top: 0,
    padding_left: 0,
};

/// `gain · x`.
pub struct Identity {
    /// The factor, positive.
    pub gain: f32,
}

impl FoldedOperator for Identity {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        for (value, &input) in output.iter_mut().zip(inputs[0]) {
            *value = self.gain * input;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        lower_mean(context, ONE_PIXEL, f64::from(self.gain))
    }
}
