//! The mean of whole images: an average pooling of one window, equation (6).

use candle_core::Tensor;

use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, windowed};
use crate::convolution::{Pool, average_pool};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::average_pool_2d::AveragePoolLayer;

/// Mean over all positions of each channel: 1x1xC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAveragePool;

impl Rules for GlobalAveragePool {
    const NAMES: &'static [&'static str] = &["global-average-pool"];

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        Ok(Sizes::of(SampleShape::new(1, 1, inputs[0].channels)))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let SampleShape { height, width, channels } = pass.input;
        Ok(average_pool(pass.input(0)?, &Pool::global([height, width], channels))?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        folding.layer(AveragePoolLayer::new(windowed::whole(folding)?))
    }
}
