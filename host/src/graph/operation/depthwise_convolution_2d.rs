//! Convolution of each channel with its own kernel, equation (4).

use std::sync::OnceLock;

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::{
    Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, product, weighted as rules, windowed,
};
use crate::convolution::{self, convolve};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::{Initial, ParameterKind, ParameterRule};
use crate::lowering::weights::WeightMatrix;
use crate::lowering::{Context, FoldedOperator, Geometry, Linear, Lowered, Reads, weighted};
use crate::window::{Padding, Sliding};

/// Convolution of each channel with one kernel of its own. Weights: channel, 1, row, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConvolution2d {
    /// How the kernel slides, over zeros around the input.
    pub sliding: Sliding,
    /// Whether a bias is added.
    pub bias: bool,
}

impl DepthwiseConvolution2d {
    /// Its shapes for training.
    ///
    /// # Errors
    /// The window does not fit, which the check of the network excludes.
    pub fn geometry(
        &self,
        input: SampleShape,
        output: SampleShape,
    ) -> Result<convolution::Geometry> {
        windowed::convolution(&self.sliding, input, output, true)
    }
}

impl Rules for DepthwiseConvolution2d {
    const NAMES: &'static [&'static str] = &["depthwise-convolution-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self {
            sliding: windowed::read(keys, |_| [1, 1], Padding::Same)?,
            bias: keys.or("bias", true)?,
        })
    }

    fn write(&self, keys: &mut Keys) {
        windowed::write(&self.sliding, keys);
        keys.set("bias", self.bias);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let [height, width] = windowed::over(&self.sliding, inputs[0])?.output;
        let terms = product(&self.sliding.kernel)?;
        product(&[terms, inputs[0].channels])?;
        let output = SampleShape::new(height, width, inputs[0].channels);
        Ok(Sizes { output, macs_per_value: terms })
    }

    fn parameters(&self, _: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let [rows, columns] = self.sliding.kernel;
        let fan = rows * columns;
        let weight = ParameterRule::weight(
            vec![output.channels, 1, rows, columns],
            ParameterKind::ConvolutionWeight,
            Initial::Convolution { fan_in: fan, fan_out: fan },
        );
        rules(weight, self.bias, output.channels, fan)
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let geometry = self.geometry(pass.input, pass.output)?;
        pass.biased(convolve(pass.input(0)?, pass.parameter(0)?, &geometry)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let geometry = windowed::folded(&self.sliding, folding)?;
        folding.layer(DepthwiseLayer::new(geometry, folding.parameters.matrix(true)))
    }
}

/// A depthwise convolution with folded weights.
pub(super) struct DepthwiseLayer {
    geometry: Geometry,
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl DepthwiseLayer {
    /// `matrix` has one row per channel, in the order kernel row, kernel column.
    pub(super) const fn new(geometry: Geometry, matrix: WeightMatrix) -> Self {
        Self { geometry, matrix, transposed: OnceLock::new() }
    }
}

impl FoldedOperator for DepthwiseLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| self.matrix.transposed());
        let channels = self.matrix.rows();
        for pixel in output.chunks_exact_mut(channels) {
            for (value, &bias) in pixel.iter_mut().zip(&self.matrix.bias) {
                *value = bias as f32;
            }
        }
        self.geometry.for_each_tap(|pixel, tap, place| {
            let sums = &mut output[pixel * channels..(pixel + 1) * channels];
            let values = &inputs[0][place * channels..(place + 1) * channels];
            let weights = &weights[tap * channels..(tap + 1) * channels];
            for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum += value * weight;
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let window = self.geometry.window;
        weighted::lower(
            &self.matrix,
            context,
            |row, _| row,
            |weights| {
                Operator::DepthwiseConvolution2d(operator::DepthwiseConvolution2d {
                    window,
                    weights,
                })
            },
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::ChannelWindows(&self.geometry) })
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.matrix = matrix;
        self.transposed = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.transposed = OnceLock::new();
        true
    }
}
