//! Values below 0, and perhaps above 6, cut off. The layer before carries it out, if it can.

use candle_core::Tensor;

use super::{Folded, Folding, Forward, Keys, Order, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::activation::Activation;

/// `max(x, 0)`, or `min(max(x, 0), 6)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relu {
    /// Whether values above 6 are cut off too.
    pub six: bool,
}

impl Rules for Relu {
    const NAMES: &'static [&'static str] = &["relu", "relu6"];
    const ORDER: Order = Order::Value;

    fn name(&self) -> &'static str {
        Self::NAMES[usize::from(self.six)]
    }

    fn read(name: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self { six: name == "relu6" })
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        Ok(Sizes::of(inputs[0]))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let positive = pass.input(0)?.relu()?;
        // min(relu(x), 6) without a clamp, whose derivative candle does not differentiate.
        Ok(match self.six {
            true => positive.sub(&positive.affine(1.0, -6.0)?.relu()?)?,
            false => positive,
        })
    }

    fn fold(&self, _: &Folding<'_>) -> Result<Folded> {
        Ok(Folded::Cut(if self.six { Activation::Relu6 } else { Activation::Relu }))
    }
}
