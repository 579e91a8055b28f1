//! The channels of several tensors side by side: in integers two by two, equation (14).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::shape::Shape;

use super::{Folded, FoldedLayer, Folding, Forward, Keys, Refusal, Rules, Sizes, Source};
use crate::data::SampleShape;
use crate::error::Result;
use crate::lowering::constants::{RATIO_MAX, rescale};
use crate::lowering::{Context, FoldedOperator, Lowered};
use std::ops::RangeInclusive;

/// Most inputs.
const MOST: usize = 64;

/// The channels of several inputs of equal height and width, one input after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concatenate;

impl Rules for Concatenate {
    const NAMES: &'static [&'static str] = &["concatenate"];
    const INPUTS: RangeInclusive<usize> = 2..=MOST;

    fn read(_: &str, _: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let first = inputs[0];
        let mut channels = 0usize;
        for shape in inputs {
            if (shape.height, shape.width) != (first.height, first.width) {
                return Err(format!("puts {first} and {shape} side by side"));
            }
            channels = channels.saturating_add(shape.channels);
        }
        Ok(Sizes::of(SampleShape::new(first.height, first.width, channels)))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        Ok(Tensor::cat(pass.inputs, 3)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let last = folding.inputs.len() - 1;
        let mut layers: Vec<FoldedLayer> = Vec::new();
        let (mut left, mut channels) = (Source::Input(0), folding.input().channels);
        for position in 1..=last {
            let shape = folding.inputs[position].shape;
            let mut right = Source::Input(position);
            if left == Source::Input(0) && folding.same(0, position) {
                layers.push(FoldedLayer::copy(right, shape));
                right = Source::Layer(layers.len() - 1);
            }
            let pair = Pair { channels: [channels, shape.channels].map(usize::from) };
            // No more than the node's own channels, which fit.
            channels += shape.channels;
            let inputs = vec![left, right];
            if position == last {
                layers.push(FoldedLayer::last(pair, inputs));
            } else {
                let shape = Shape { channels, ..shape };
                layers.push(FoldedLayer::helper(pair, inputs, "part", shape));
                left = Source::Layer(layers.len() - 1);
            }
        }
        Ok(Folded::Layers(layers))
    }
}

/// Two different tensors side by side.
struct Pair {
    /// Channels of each.
    channels: [usize; 2],
}

impl FoldedOperator for Pair {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let [first, other] = self.channels;
        let pixels = inputs[0].chunks_exact(first).zip(inputs[1].chunks_exact(other));
        for (pixel, (a, b)) in output.chunks_exact_mut(first + other).zip(pixels) {
            pixel[..first].copy_from_slice(a);
            pixel[first..].copy_from_slice(b);
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let (first, other) = (context.inputs[0].scale, context.inputs[1].scale);
        let (output, activation) = context.output(first.max(other) / RATIO_MAX);
        let ratio = |scale: f64| {
            rescale(scale / output.scale).ok_or_else(|| {
                context.error(
                    "its operands have ranges too different from each other",
                    "check that the calibration samples are sensible",
                )
            })
        };
        let operator = Operator::Concatenate(operator::Concatenate {
            rescale: ratio(first)?,
            other_rescale: ratio(other)?,
        });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }
}
