//! Transposed convolution, equation (16).

use std::sync::OnceLock;

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::convolution_2d::ConvolutionLayer;
use super::windowed::{self, Pair};
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, product, weighted as rules};
use crate::convolution::{self, convolve_transposed};
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::parameters::{Initial, ParameterKind, ParameterRule};
use crate::lowering::weights::WeightMatrix;
use crate::lowering::{Context, FoldedOperator, Geometry, Linear, Lowered, Taps, weighted};
use crate::window::{Padding, PaddingAmounts, Sliding, Window};

/// Every input pixel adds its kernel to the output, strides apart. Weights: output channel, input channel, row, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransposedConvolution2d {
    /// Output channels.
    pub out_channels: usize,
    /// Kernel and strides; padding is what is cut off around the output, and `same` makes it as many times as large as the strides say.
    pub sliding: Sliding,
    /// Rows and columns more at the far ends of the output.
    pub output_padding: [usize; 2],
    /// Whether a bias is added.
    pub bias: bool,
}

impl TransposedConvolution2d {
    /// What is cut off, and the size of the output. `None` where there would be none, or where it would go on where no kernel reaches.
    fn window(&self, input: SampleShape) -> Option<Window> {
        let Sliding { kernel, stride, padding } = self.sliding;
        if kernel.contains(&0) || stride.contains(&0) {
            return None;
        }
        let amounts = match padding {
            Padding::Explicit(PaddingAmounts { top, bottom, left, right }) => {
                [[top, bottom], [left, right]]
            }
            Padding::Valid => [[0, 0]; 2],
            Padding::Same => [0, 1].map(|axis| {
                let cut = kernel[axis].saturating_sub(stride[axis]);
                [cut / 2, cut - cut / 2]
            }),
        };
        let extents = [input.height, input.width];
        let axis = |axis: usize| {
            let [before, after] = amounts[axis];
            let (kernel, stride) = (kernel[axis], stride[axis]);
            let whole = extents[axis].checked_sub(1)?.checked_mul(stride)?.checked_add(kernel)?;
            let output = match padding {
                Padding::Same => extents[axis].checked_mul(stride)?,
                _ => whole.checked_add(self.output_padding[axis])?.checked_sub(before + after)?,
            };
            let inside = before < kernel && output + before < whole + stride;
            (output > 0 && inside).then_some(output)
        };
        let output = [axis(0)?, axis(1)?];
        let [[top, bottom], [left, right]] = amounts;
        let padding = PaddingAmounts { top, bottom, left, right };
        Some(Window { kernel, stride, padding, output })
    }
}

impl Rules for TransposedConvolution2d {
    const NAMES: &'static [&'static str] = &["transposed-convolution-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        let output_padding = keys.take::<Pair>("output-padding")?.map_or([0, 0], Pair::sizes);
        Ok(Self {
            out_channels: keys.required("out-channels")?,
            sliding: windowed::read(keys, |kernel| kernel, Padding::Same)?,
            output_padding,
            bias: keys.or("bias", true)?,
        })
    }

    fn write(&self, keys: &mut Keys) {
        keys.set("out-channels", self.out_channels);
        windowed::write(&self.sliding, keys);
        keys.set("output-padding", self.output_padding);
        keys.set("bias", self.bias);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let input = inputs[0];
        let Some(window) = self.window(input) else {
            let [rows, columns] = self.sliding.kernel;
            return Err(format!(
                "kernel {rows}x{columns}, its stride, padding or output-padding do not fit: each \
                 is at least 1 but for padding below the kernel and output-padding below the stride"
            ));
        };
        let [height, width] = window.output;
        let [rows, columns] = self.sliding.kernel;
        let terms = product(&[rows, columns, input.channels])?;
        product(&[terms, self.out_channels])?;
        let output = SampleShape::new(height, width, self.out_channels);
        // Of an output's taps, those a stride apart meet an input.
        let [down, across] = self.sliding.stride;
        let met = rows.div_ceil(down) * columns.div_ceil(across) * input.channels;
        Ok(Sizes { output, macs_per_value: met })
    }

    fn parameters(&self, input: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let [rows, columns] = self.sliding.kernel;
        let [down, across] = self.sliding.stride;
        let fan_in = rows.div_ceil(down) * columns.div_ceil(across) * input.channels;
        let fan_out = rows * columns * output.channels;
        let weight = ParameterRule::weight(
            vec![output.channels, input.channels, rows, columns],
            ParameterKind::ConvolutionWeight,
            Initial::Convolution { fan_in, fan_out },
        );
        rules(weight, self.bias, output.channels, fan_in)
    }

    /// The map that gives the gradient of a convolution's input, which is one of the maps that derivatives stay among.
    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let misfit = || Error::Tensor("a window does not fit its input".to_string());
        let window = self.window(pass.input).ok_or_else(misfit)?;
        let geometry = convolution::Geometry {
            input: window.output,
            output: [pass.input.height, pass.input.width],
            channels: pass.output.channels,
            out_channels: pass.input.channels,
            kernel: window.kernel,
            stride: window.stride,
            padding: window.padding,
            depthwise: false,
        };
        let weights = pass.parameter(0)?.transpose(0, 1)?;
        pass.biased(convolve_transposed(pass.input(0)?, &weights, &geometry)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let (input, output) = (folding.input(), folding.output);
        let shape = SampleShape::new(
            usize::from(input.height),
            usize::from(input.width),
            usize::from(input.channels),
        );
        let Some(window) = self.window(shape) else {
            return Err(folding.refuse("its window does not fit its input", "change the layer"));
        };
        let window = windowed::in_bytes(&window, folding)?;
        let geometry = Geometry { window, taps: Taps::Upward, input, output };
        folding.layer(TransposedLayer(ConvolutionLayer {
            geometry,
            matrix: folding.parameters.matrix(true),
            tiles: OnceLock::new(),
        }))
    }
}

/// A transposed convolution with folded weights: a convolution that meets other taps.
struct TransposedLayer(ConvolutionLayer);

impl FoldedOperator for TransposedLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        self.0.forward(inputs, output);
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let depth = usize::from(self.0.geometry.input.channels);
        let window = self.0.geometry.window;
        weighted::lower(
            &self.0.matrix,
            context,
            |_, column| column % depth,
            |weights| {
                Operator::TransposedConvolution2d(operator::TransposedConvolution2d {
                    window,
                    weights,
                })
            },
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        self.0.linear()
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.0.set_matrix(matrix);
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.0.fold_affine(gain, shift)
    }
}
