//! Average pooling over the taps inside the image, equation (12).

use tinyhero_common::operator::{self, Operator};

use crate::error::Result;
use crate::lowering::constants::{RATIO_MAX, rescale};
use crate::lowering::{Context, FoldedOperator, Geometry, Lowered};

/// Parts of an input step in which means are taken, 2^7.
const PARTS: f64 = 128.0;

/// An average pooling that leaves padding out, for windows some of which leave the image.
pub(super) struct MeanPoolLayer {
    pub geometry: Geometry,
}

impl FoldedOperator for MeanPoolLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let depth = usize::from(self.geometry.input.channels);
        let mut counts = vec![0.0f32; self.geometry.output.pixels()];
        output.fill(0.0);
        self.geometry.for_each_tap(|pixel, _, place| {
            counts[pixel] += 1.0;
            let sums = &mut output[pixel * depth..(pixel + 1) * depth];
            for (sum, &value) in sums.iter_mut().zip(&inputs[0][place * depth..]) {
                *sum += value;
            }
        });
        for (pixel, count) in output.chunks_exact_mut(depth).zip(counts) {
            pixel.iter_mut().for_each(|value| *value /= count);
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let step = context.inputs[0].scale / PARTS;
        let (output, activation) = context.output(step / RATIO_MAX);
        let rescale = rescale(step / output.scale).ok_or_else(|| {
            context.error(
                "its output is too large for its input's scale",
                "check that the calibration samples are sensible",
            )
        })?;
        let window = self.geometry.window;
        let operator = Operator::MeanPool2d(operator::MeanPool2d { window, rescale });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
