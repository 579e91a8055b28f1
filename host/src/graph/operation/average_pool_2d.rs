//! Average pooling, equation (6); where padding is left out of the means, equation (12).

mod mean_pool_2d;

use candle_core::Tensor;

use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, windowed};
use crate::convolution::{Pool, average_pool};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::average_pool_2d::AveragePoolLayer;
use crate::window::{Padding, PaddingAmounts, Sliding};
use mean_pool_2d::MeanPoolLayer;

/// Mean over each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool2d {
    /// How the window slides, over positions around the input.
    pub sliding: Sliding,
    /// Whether those count as zeros; else they are left out of the mean.
    pub count_padding: bool,
}

impl AveragePool2d {
    /// Its shapes for training.
    ///
    /// # Errors
    /// The window does not fit, which the check of the network excludes.
    pub fn pool(&self, input: SampleShape) -> Result<Pool> {
        let window = windowed::checked(&self.sliding, input)?;
        let [rows, columns] = self.sliding.kernel;
        let divisor = self.count_padding.then_some(rows * columns);
        let (extents, channels) = ([input.height, input.width], input.channels);
        Ok(Pool { window, input: extents, channels, divisor })
    }
}

impl Rules for AveragePool2d {
    const NAMES: &'static [&'static str] = &["average-pool-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self {
            sliding: windowed::read(keys, |kernel| kernel, Padding::Valid)?,
            count_padding: keys.or("count-padding", false)?,
        })
    }

    fn write(&self, keys: &mut Keys) {
        windowed::write(&self.sliding, keys);
        keys.set("count-padding", self.count_padding);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let [height, width] = windowed::over(&self.sliding, inputs[0])?.output;
        Ok(Sizes::of(SampleShape::new(height, width, inputs[0].channels)))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(average_pool(pass.input(0)?, &self.pool(pass.input)?)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let geometry = windowed::folded(&self.sliding, folding)?;
        let input = folding.input();
        let window = self.sliding.over([usize::from(input.height), usize::from(input.width)]);
        let padded = window.is_some_and(|window| window.padding != PaddingAmounts::default());
        if padded && !self.count_padding {
            folding.layer(MeanPoolLayer { geometry })
        } else {
            folding.layer(AveragePoolLayer::new(geometry))
        }
    }
}
