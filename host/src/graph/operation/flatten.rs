//! An image as a vector. Integers keep the image, whose memory is that vector.

use candle_core::Tensor;

use super::{Folded, Folding, Forward, Keys, Order, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;

/// All values as a vector 1x1xN, in height, width, channel order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Rules for Flatten {
    const NAMES: &'static [&'static str] = &["flatten"];
    const ORDER: Order = Order::Memory;

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        Ok(Sizes::of(SampleShape::new(1, 1, inputs[0].elements())))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let x = pass.input(0)?;
        let vector = x.flatten_from(1)?;
        let features = vector.dim(1)?;
        Ok(vector.reshape((x.dim(0)?, 1, 1, features))?)
    }

    fn fold(&self, _: &Folding<'_>) -> Result<Folded> {
        Ok(Folded::Flattened)
    }
}
