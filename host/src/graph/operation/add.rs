//! Sum of two tensors, equation (8).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::{Folded, FoldedLayer, Folding, Forward, Keys, Order, Refusal, Rules, Sizes, Source};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::constants::add_rescale;
use crate::lowering::identity::Identity;
use crate::lowering::{Context, FoldedOperator, Lowered};
use std::ops::RangeInclusive;

/// Ratios of scales stay below this, which keeps the common shift positive.
const RATIO_MAX: f64 = 8_192.0;

/// Sum of two inputs of equal shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

impl Rules for Add {
    const NAMES: &'static [&'static str] = &["add"];
    const INPUTS: RangeInclusive<usize> = 2..=2;
    const ORDER: Order = Order::Value;

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        match inputs[1] == inputs[0] {
            true => Ok(Sizes::of(inputs[0])),
            false => Err(format!("adds {} and {}", inputs[0], inputs[1])),
        }
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(pass.input(0)?.add(pass.input(1)?)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        if folding.inputs[1].shape != folding.input() {
            return Err(folding
                .refuse("adds an image and a flattened one", "put flatten behind the addition"));
        }
        if folding.same(0, 1) {
            return folding.layer(Identity { gain: 2.0 });
        }
        let inputs = vec![Source::Input(0), Source::Input(1)];
        Ok(Folded::Layers(vec![FoldedLayer::last(Self, inputs)]))
    }
}

impl FoldedOperator for Add {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        for ((value, &first), &other) in output.iter_mut().zip(inputs[0]).zip(inputs[1]) {
            *value = first + other;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let (first, other) = (context.inputs[0].scale, context.inputs[1].scale);
        let (output, activation) = context.output(first.max(other) / RATIO_MAX);
        let rescale = add_rescale(first / output.scale, other / output.scale);
        let rescale = rescale.ok_or_else(|| {
            context.error(
                "its operands are too large for its output's scale",
                "check that the calibration samples are sensible",
            )
        })?;
        let operator = Operator::Add(operator::Add { rescale });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
