//! Convolution over all input channels, equation (3).

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
use crate::lowering::tiles::Tiles;
use crate::lowering::weights::WeightMatrix;
use crate::lowering::{Context, FoldedOperator, Geometry, Linear, Lowered, Reads, weighted};
use crate::window::{Padding, Sliding};

/// Convolution over all input channels. Weights: output channel, input channel, row, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution2d {
    /// Output channels.
    pub out_channels: usize,
    /// How the kernel slides, over zeros around the input.
    pub sliding: Sliding,
    /// Whether a bias is added (not needed before batch normalization).
    pub bias: bool,
}

impl Convolution2d {
    /// Its shapes for training.
    ///
    /// # Errors
    /// The window does not fit, which the check of the network excludes.
    pub fn geometry(
        &self,
        input: SampleShape,
        output: SampleShape,
    ) -> Result<convolution::Geometry> {
        windowed::convolution(&self.sliding, input, output, false)
    }
}

impl Rules for Convolution2d {
    const NAMES: &'static [&'static str] = &["convolution-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self {
            out_channels: keys.required("out-channels")?,
            sliding: windowed::read(keys, |_| [1, 1], Padding::Same)?,
            bias: keys.or("bias", true)?,
        })
    }

    fn write(&self, keys: &mut Keys) {
        keys.set("out-channels", self.out_channels);
        windowed::write(&self.sliding, keys);
        keys.set("bias", self.bias);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let [height, width] = windowed::over(&self.sliding, inputs[0])?.output;
        let [rows, columns] = self.sliding.kernel;
        let terms = product(&[rows, columns, inputs[0].channels])?;
        product(&[terms, self.out_channels])?;
        let output = SampleShape::new(height, width, self.out_channels);
        Ok(Sizes { output, macs_per_value: terms })
    }

    fn parameters(&self, input: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let [rows, columns] = self.sliding.kernel;
        let fan_in = rows * columns * input.channels;
        let fan_out = rows * columns * output.channels;
        let weight = ParameterRule::weight(
            vec![output.channels, input.channels, rows, columns],
            ParameterKind::ConvolutionWeight,
            Initial::Convolution { fan_in, fan_out },
        );
        rules(weight, self.bias, output.channels, fan_in)
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let geometry = self.geometry(pass.input, pass.output)?;
        pass.biased(convolve(pass.input(0)?, pass.parameter(0)?, &geometry)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        folding.layer(ConvolutionLayer {
            geometry: windowed::folded(&self.sliding, folding)?,
            matrix: folding.parameters.matrix(true),
            tiles: OnceLock::new(),
        })
    }
}

/// A convolution with folded weights, one row per output channel, in the order kernel row, kernel column, input channel.
pub(super) struct ConvolutionLayer {
    /// How it slides.
    pub geometry: Geometry,
    /// The weights.
    pub matrix: WeightMatrix,
    /// The weights as the forward pass reads them, once it did.
    pub tiles: OnceLock<Tiles>,
}

impl FoldedOperator for ConvolutionLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let tiles = self.tiles.get_or_init(|| Tiles::new(&self.matrix));
        let depth = usize::from(self.geometry.input.channels);
        let mut strip = tiles.strip(output);
        self.geometry.for_each_tap(|pixel, tap, place| {
            let values = &inputs[0][place * depth..(place + 1) * depth];
            strip.window(pixel)[tap * depth..(tap + 1) * depth].copy_from_slice(values);
        });
        strip.finish();
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let depth = usize::from(self.geometry.input.channels);
        let window = self.geometry.window;
        weighted::lower(
            &self.matrix,
            context,
            |_, column| column % depth,
            |weights| Operator::Convolution2d(operator::Convolution2d { window, weights }),
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::Windows(&self.geometry) })
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.matrix = matrix;
        self.tiles = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.tiles = OnceLock::new();
        true
    }
}
