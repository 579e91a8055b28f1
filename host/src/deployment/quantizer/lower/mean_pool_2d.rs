//! Average pooling over the taps inside the image, equation (12).

use super::super::constants::{RATIO_MAX, rescale};
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};

/// Parts of an input step in which means are taken, 2^7.
const PARTS: f64 = 128.0;

/// An average pooling that leaves padding out.
pub struct MeanPool2d {
    geometry: Geometry,
}

impl MeanPool2d {
    /// A pooling some of whose windows leave the image.
    pub const fn new(geometry: Geometry) -> Self {
        Self { geometry }
    }
}

impl FoldedOperator for MeanPool2d {
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
