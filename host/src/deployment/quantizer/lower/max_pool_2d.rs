//! Max pooling, equation (7). Scale and zero point stay.

use super::super::activation::Activation;
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Lowered};
use crate::deployment::integer_network::IntegerTensor;
use crate::error::Result;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

/// A max pooling.
pub struct MaxPool2d {
    geometry: Geometry,
}

impl MaxPool2d {
    /// Padding never wins.
    pub const fn new(geometry: Geometry) -> Self {
        Self { geometry }
    }
}

impl FoldedOperator for MaxPool2d {
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
        let input = context.inputs[0];
        let output = IntegerTensor { shape: context.shape, ..input };
        let mut activation = ActivationRange::FULL;
        if context.activation != Activation::None {
            activation.min = input.zero_point;
        }
        if context.activation == Activation::Relu6 {
            let top = (6.0 / input.scale).round() + f64::from(input.zero_point);
            activation.max = top.clamp(-128.0, 127.0) as i8;
        }
        let operator = Operator::MaxPool2d(operator::MaxPool2d { window: self.geometry.window });
        Ok(Lowered { operator, weights: None, constants: Vec::new(), output, activation })
    }

    fn commutes_with_activation(&self) -> bool {
        true
    }
}
