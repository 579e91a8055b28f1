//! Product of two tensors, or of a tensor and a vector of its channels, equation (13).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::{Folded, FoldedLayer, Folding, Forward, Keys, Refusal, Rules, Sizes, Source};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::constants::{RATIO_MAX, rescale};
use crate::lowering::{Context, FoldedOperator, Lowered};
use std::ops::RangeInclusive;

/// Product of two inputs of equal shape, or of an image and a vector with a number for each of its channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiply;

impl Rules for Multiply {
    const NAMES: &'static [&'static str] = &["multiply"];
    const INPUTS: RangeInclusive<usize> = 2..=2;

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let [first, other] = [inputs[0], inputs[1]];
        // Either may be the vector.
        let (image, vector) = if first.height * first.width >= other.height * other.width {
            (first, other)
        } else {
            (other, first)
        };
        if vector != image && vector != SampleShape::new(1, 1, image.channels) {
            return Err(format!("multiplies {first} by {other}"));
        }
        Ok(Sizes::of(image))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(pass.input(0)?.broadcast_mul(pass.input(1)?)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let other = folding.inputs[1].shape;
        let mut layers = Vec::new();
        let mut inputs = vec![Source::Input(0), Source::Input(1)];
        // A tensor is not multiplied by itself but by its copy.
        if folding.same(0, 1) {
            layers.push(FoldedLayer::copy(Source::Input(1), other));
            inputs[1] = Source::Layer(0);
        }
        // The vector comes second.
        if other.pixels() > folding.input().pixels() {
            inputs.reverse();
        }
        layers.push(FoldedLayer::last(Self, inputs));
        Ok(Folded::Layers(layers))
    }
}

impl FoldedOperator for Multiply {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let pairs = inputs[0].iter().zip(inputs[1].iter().cycle());
        for (value, (&first, &other)) in output.iter_mut().zip(pairs) {
            *value = first * other;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let step = context.inputs[0].scale * context.inputs[1].scale;
        let (output, activation) = context.output(step / RATIO_MAX);
        let rescale = rescale(step / output.scale).ok_or_else(|| {
            context.error(
                "its output is too large for the scales of its operands",
                "check that the calibration samples are sensible",
            )
        })?;
        let operator = Operator::Multiply(operator::Multiply { rescale });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
