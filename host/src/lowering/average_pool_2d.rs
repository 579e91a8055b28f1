//! Average pooling, equation (6). The output has a scale of its own, because means are smaller than what they are means of.

use super::constants::{RATIO_MAX, rescale};
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};

/// Windows with more taps than this keep their ratio of scales at most 1, so that their sum fits the rescaling.
const LARGE_WINDOW: usize = 4_096;

/// An average pooling whose windows all lie inside the image.
pub struct AveragePoolLayer {
    geometry: Geometry,
}

impl AveragePoolLayer {
    /// A pooling without padding.
    pub const fn new(geometry: Geometry) -> Self {
        Self { geometry }
    }
}

impl FoldedOperator for AveragePoolLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let depth = usize::from(self.geometry.input.channels);
        let share = 1.0 / self.geometry.window.taps() as f32;
        output.fill(0.0);
        self.geometry.for_each_tap(|pixel, _, place| {
            let sums = &mut output[pixel * depth..(pixel + 1) * depth];
            for (sum, &value) in sums.iter_mut().zip(&inputs[0][place * depth..]) {
                *sum += value * share;
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let window = self.geometry.window;
        lower_mean(context, window, 1.0 / window.taps() as f64)
    }
}

/// Lowers `gain · Σ x` over the taps of a window.
pub fn lower_mean(
    context: &Context<'_>,
    window: tinyhero_common::shape::Window,
    gain: f64,
) -> Result<Lowered> {
    let step = context.inputs[0].scale * gain;
    let largest = if window.taps() > LARGE_WINDOW { 1.0 } else { RATIO_MAX };
    let (output, activation) = context.output(step / largest);
    let rescale = rescale(step / output.scale).ok_or_else(|| {
        context.error(
            "its output is too large for its input's scale",
            "check that the calibration samples are sensible",
        )
    })?;
    let operator = Operator::AveragePool2d(operator::AveragePool2d { window, rescale });
    Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
}
