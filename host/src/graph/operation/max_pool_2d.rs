//! Max pooling, equation (7). Scale and zero point stay.

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, windowed};
use crate::convolution::{Pool, max_pool};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::{Context, FoldedOperator, Geometry, Lowered, range_of_input};
use crate::window::{Padding, Sliding};

/// Maximum over each window; padding does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    /// How the window slides, over positions around the input that are left out of the maximum.
    pub sliding: Sliding,
}

impl MaxPool2d {
    /// Its shapes for training.
    ///
    /// # Errors
    /// The window does not fit, which the check of the network excludes.
    pub fn pool(&self, input: SampleShape) -> Result<Pool> {
        let window = windowed::checked(&self.sliding, input)?;
        let (extents, channels) = ([input.height, input.width], input.channels);
        Ok(Pool { window, input: extents, channels, divisor: None })
    }
}

impl Rules for MaxPool2d {
    const NAMES: &'static [&'static str] = &["max-pool-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self { sliding: windowed::read(keys, |kernel| kernel, Padding::Valid)? })
    }

    fn write(&self, keys: &mut Keys) {
        windowed::write(&self.sliding, keys);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let [height, width] = windowed::over(&self.sliding, inputs[0])?.output;
        Ok(Sizes::of(SampleShape::new(height, width, inputs[0].channels)))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(max_pool(pass.input(0)?, &self.pool(pass.input)?)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        folding.layer(MaxPoolLayer { geometry: windowed::folded(&self.sliding, folding)? })
    }
}

/// A max pooling, where padding never wins.
struct MaxPoolLayer {
    geometry: Geometry,
}

impl FoldedOperator for MaxPoolLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let depth = usize::from(self.geometry.input.channels);
        output.fill(f32::NEG_INFINITY);
        self.geometry.for_each_tap(|pixel, _, place| {
            let largest = &mut output[pixel * depth..(pixel + 1) * depth];
            for (largest, &value) in largest.iter_mut().zip(&inputs[0][place * depth..]) {
                *largest = largest.max(value);
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let operator = Operator::MaxPool2d(operator::MaxPool2d { window: self.geometry.window });
        Ok(range_of_input(operator, context))
    }

    fn commutes_with_activation(&self) -> bool {
        true
    }
}
